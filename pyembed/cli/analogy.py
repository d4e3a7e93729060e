"""Print what is to C as B is to A: the words nearest to B - A + C.

With no words, each line of standard input has three of them.

example:
  pyembed analogy glove.6B.zip/glove.6B.50d.txt man king woman --top 3
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from pyembed.cli import _arguments, _asking, _words
from pyembed.cli._errors import UnusableError
from pyembed.cli._parser import Parser

_COUNT = 3


def add_arguments(parser: Parser) -> None:
    """Add the command's arguments."""
    _arguments.add_vectors(parser)
    parser.add_argument(
        "words", nargs="*", metavar="A B C", help="default: three on a line of standard input"
    )
    _arguments.add_answers(parser)
    _arguments.add_output(parser)


def run(options: argparse.Namespace) -> bool:
    """Do what the command line says; return whether every question was answered."""
    if len(options.words) not in (0, _COUNT):
        raise UnusableError(f"give three words, or none: there are {len(options.words)}")
    wv = _arguments.loaded(options)
    asked = ((words, [(words[0], -1.0), *words[1:]]) for words in _triples(options.words))
    return _asking.answer(wv, asked, options, "analogy")


def _triples(words: list[str]) -> Iterator[list[str]]:
    if words:
        yield words
        return
    for line in _words.lines():
        parts = line.split()
        if len(parts) != _COUNT:
            raise UnusableError(f"a line of standard input must have three words: {line[:80]!r}")
        yield parts
