"""The words that a picture or a projection has: those asked for, or the first of the file."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyembed.cli import _arguments, _words
from pyembed.cli._errors import UnusableError, say
from pyembed.cli._parser import Parser

if TYPE_CHECKING:
    from pyembed.vectors import WordVectors


def add_arguments(parser: Parser, first: int) -> None:
    """Add the words, and how many there are where none is given."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="WORD",
        help="- for the lines of standard input (default: the first of FILE, the most frequent)",
    )
    parser.add_argument(
        "--first",
        type=_arguments.count,
        default=first,
        metavar="N",
        help="how many of FILE, where no WORD is given (default: %(default)s)",
    )


def chosen(
    options: argparse.Namespace, command: str
) -> tuple[WordVectors, list[str], NDArray[Any], bool]:
    """Load what a command line asks for.

    Returns
    -------
    wv : WordVectors
    words : list of str
    vectors : ndarray, shape (words, dim)
    all_there : bool
        Whether none is missing; those are told on standard error.
    """
    if not options.words:
        limit = min(options.limit or options.first, options.first)
        wv = _arguments.loaded(options, limit=limit)
        return wv, list(wv.words), wv.matrix, True
    from pyembed.vectors.questions import unknown_word

    wv = _arguments.loaded(options)
    found: dict[str, NDArray[Any]] = {}
    all_there = True
    for word in dict.fromkeys(_words.asked(options.words)):
        try:
            found[word] = wv[word]
        except KeyError:
            all_there = False
            say(f"pyembed {command}", unknown_word(word, wv._words))
    if not found:
        raise UnusableError("none of the words is there")
    return wv, list(found), np.stack(list(found.values())), all_there
