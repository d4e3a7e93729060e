"""Arguments that several commands have, and what is made of them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyembed.cli._errors import UnusableError
from pyembed.cli._parser import Parser

if TYPE_CHECKING:
    from pyembed.vectors import WordVectors

FORMATS = ("glove", "word2vec", "word2vec-binary", "fasttext", "npy", "safetensors", "model2vec")
WRITTEN = ("glove", "word2vec", "word2vec-binary", "fasttext", "npy", "safetensors")
FAULTS = ("strict", "replace", "skip")


def add_vectors(parser: Parser) -> None:
    """Add the file that word vectors are read from, and how."""
    parser.add_argument("file", metavar="FILE", help="word vectors, in any format that is read")
    parser.add_argument(
        "--format",
        choices=("auto", *FORMATS),
        default="auto",
        metavar="NAME",
        help=f"of FILE: {', '.join(FORMATS)} (default: it is seen)",
    )
    parser.add_argument(
        "--limit", type=count, metavar="N", help="read the first N words alone, the most frequent"
    )
    parser.add_argument(
        "--errors",
        choices=FAULTS,
        default="strict",
        help="whether faulty lines of FILE end it (default), are mended, or are left out",
    )


def add_written(parser: Parser) -> None:
    """Add the format of the vectors that are written to OUT."""
    parser.add_argument(
        "--to",
        choices=("auto", *WRITTEN),
        default="auto",
        metavar="NAME",
        help=f"the format of OUT: {', '.join(WRITTEN)} (default: by its ending)",
    )


def add_answers(parser: Parser) -> None:
    """Add how many answers a question has, and among which words."""
    parser.add_argument(
        "--top", type=count, default=10, metavar="N", help="answers (default: %(default)s)"
    )
    parser.add_argument(
        "--among", type=count, metavar="N", help="only words among the first N, the most frequent"
    )


def add_output(parser: Parser) -> None:
    """Add how results are told."""
    parser.add_argument("--json", action="store_true", help="print JSON, an object a line")
    parser.add_argument("--quiet", action="store_true", help="print results and errors alone")


def loaded(options: argparse.Namespace, **others: Any) -> WordVectors:
    """Return the word vectors that are asked for; `others` are further arguments of `load`."""
    from pyembed import vectors
    from pyembed.vectors import _source

    _source.shows_progress = not options.quiet
    given = {"format": options.format, "limit": options.limit, "errors": options.errors}
    made: WordVectors = vectors.load(options.file, **{**given, **others})
    return made


def count(text: str) -> int:
    """Convert an argument that is a whole number of 1 or more."""
    return whole(1)(text)


def whole(low: int) -> Callable[[str], int]:
    """Make a converter for an argument that is a whole number from `low` on."""

    def convert(text: str) -> int:
        if not text.isdecimal() or int(text) < low:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {low} on")
        return int(text)

    return convert


def check_written(options: argparse.Namespace) -> None:
    """Refuse vectors that could not be written to OUT: now, not once all is made.

    Raises
    ------
    UnusableError
        If there is no such folder, or no format has that ending.
    """
    from pyembed.vectors import saving

    check_folder_of(options.out)
    if options.to == "auto":
        saving.format_of(options.out)


def check_folder_of(path: str) -> None:
    """Refuse a file in a folder that is not there: now, not once all is read.

    Raises
    ------
    UnusableError
        If there is no such folder.
    """
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise UnusableError(f"{path}: there is no folder {folder!r}")
