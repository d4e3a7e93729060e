"""Train word vectors on a text, by word2vec's skip-gram or CBOW, and write them.

A CORPUS is a text in UTF-8, a document a line, its words parted by blanks; compressed by gzip or
not. The ending of OUT tells its format, as for `pyembed convert`. Ctrl-C ends the training: what
has been learned so far is written, and the exit status is 130.

example:
  pyembed train corpus.txt vectors.safetensors --dim 100 --epochs 5
"""

from __future__ import annotations

import argparse

from pyembed.cli import _arguments, _output
from pyembed.cli._parser import Parser


def add_arguments(parser: Parser) -> None:
    """Add the command's arguments, whose defaults are those of `pyembed.word2vec.train`."""
    add = parser.add_argument
    add("corpus", nargs="+", metavar="CORPUS", help="a text, or several")
    add("out", metavar="OUT", help="the file to write")
    _arguments.add_written(parser)
    count, whole = _arguments.count, _arguments.whole(0)
    add("--dim", type=count, metavar="N", help="numbers of a vector (default: 100)")
    add("--model", choices=("skipgram", "cbow"), help="(default: skipgram)")
    add("--window", type=count, metavar="N", help="words to either side (default: 5)")
    add("--negative", type=count, metavar="N", help="words drawn for a window (default: 5)")
    add("--min-count", type=whole, metavar="N", help="leave rarer words out (default: 5)")
    add("--max-vocab", type=count, metavar="N", help="take the N most frequent words alone")
    add("--sample", type=float, metavar="X", help="frequent words are thinned (default: 0.001)")
    add("--epochs", type=count, metavar="N", help="times the text is learned from (default: 5)")
    add("--learning-rate", type=float, metavar="X", help="at the beginning (default: 0.025)")
    add("--threads", type=count, metavar="N", help="default: all")
    add("--seed", type=whole, metavar="N", help="the same vectors each time, more slowly")
    _arguments.add_output(parser)


_NAMES = (
    *("dim", "model", "window", "negative", "min_count", "max_vocab", "sample", "epochs"),
    *("learning_rate", "threads", "seed"),
)


def run(options: argparse.Namespace) -> bool:
    """Do what the command line says.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, once what has been learned is written.
    """
    from pyembed import vectors, word2vec
    from pyembed.vectors import _source

    _arguments.check_written(options)
    _source.shows_progress = not options.quiet
    chosen = {name: value for name in _NAMES if (value := getattr(options, name)) is not None}
    wv = word2vec.train(options.corpus, progress=not options.quiet, **chosen)
    vectors.save(wv, options.out, format=options.to)
    _output.say_written(options, options.out, words=len(wv), dim=wv.dim)
    if wv.interrupted:
        raise KeyboardInterrupt
    return True
