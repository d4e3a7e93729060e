"""Print the words whose vectors are nearest to those of some words, by their cosines.

A word that is not there is told on standard error, with the one that is spelled most like it; the
others are answered, and the exit status is 1.

example:
  pyembed similar glove.6B.zip/glove.6B.50d.txt king queen --top 3
"""

from __future__ import annotations

import argparse

from pyembed.cli import _arguments, _asking, _words
from pyembed.cli._parser import Parser


def add_arguments(parser: Parser) -> None:
    """Add the command's arguments."""
    _arguments.add_vectors(parser)
    parser.add_argument(
        "words", nargs="*", metavar="WORD", help="default: the lines of standard input"
    )
    _arguments.add_answers(parser)
    _arguments.add_output(parser)


def run(options: argparse.Namespace) -> bool:
    """Do what the command line says; return whether every word was answered."""
    wv = _arguments.loaded(options)
    asked = (((word,), [word]) for word in _words.asked(options.words))
    return _asking.answer(wv, asked, options, "similar")
