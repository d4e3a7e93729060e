"""Write word vectors in another format.

The ending of OUT tells the format: .txt (GloVe), .vec (word2vec's text), .bin (word2vec's binary
file), .npy or .safetensors; .txt.gz, .vec.gz and .bin.gz are compressed.

example:
  pyembed convert glove.6B.zip/glove.6B.300d.txt glove.safetensors --limit 100000
"""

from __future__ import annotations

import argparse

from pyembed.cli import _arguments, _output
from pyembed.cli._parser import Parser


def add_arguments(parser: Parser) -> None:
    """Add the command's arguments."""
    _arguments.add_vectors(parser)
    parser.add_argument("out", metavar="OUT", help="the file to write")
    _arguments.add_written(parser)
    parser.add_argument(
        "--keep", metavar="WORDS", help="a file of words, one a line: others are left out"
    )
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    _arguments.add_output(parser)


def run(options: argparse.Namespace) -> bool:
    """Do what the command line says."""
    from pyembed import vectors

    _arguments.check_written(options)
    keep = None
    if options.keep is not None:
        keep = vectors.Vocabulary.load(options.keep, padding=None, unknown=None)
    wv = _arguments.loaded(options, keep=keep, dtype=options.dtype)
    vectors.save(wv, options.out, format=options.to)
    _output.say_written(options, options.out, words=len(wv), dim=wv.dim)
    return True
