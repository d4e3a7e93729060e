"""Draw words where their vectors lie, on a plane: near to each other where they are alike.

The ending of OUT tells the format: .png, .svg or .pdf. It needs matplotlib; t-SNE also needs
scikit-learn (`pip install matplotlib scikit-learn`).

example:
  pyembed map glove.6B.zip/glove.6B.50d.txt map.png --first 300
"""

from __future__ import annotations

import argparse

from pyembed.cli import _arguments, _chosen, _output, _picture, _plane
from pyembed.cli._errors import UnusableError
from pyembed.cli._parser import Parser

_FIRST = 200


def add_arguments(parser: Parser) -> None:
    """Add the command's arguments."""
    _arguments.add_vectors(parser)
    parser.add_argument("out", metavar="OUT", help="the picture to write")
    _chosen.add_arguments(parser, _FIRST)
    parser.add_argument(
        "--method",
        choices=_plane.METHODS,
        default="auto",
        help="default: t-SNE where scikit-learn is, else PCA",
    )
    parser.add_argument("--seed", type=_arguments.whole(0), default=0, help="of t-SNE (default: 0)")
    _arguments.add_output(parser)


def run(options: argparse.Namespace) -> bool:
    """Do what the command line says; return whether every word was there."""
    if not options.out.lower().endswith(_picture.ENDINGS):
        endings = ", ".join(_picture.ENDINGS)
        raise UnusableError(f"{options.out!r} ends with none of {endings}")
    _arguments.check_folder_of(options.out)
    _, words, vectors, all_there = _chosen.chosen(options, "map")
    places, method = _plane.on_plane(vectors, options.method, options.seed)
    title = f"{len(words):,} words, {vectors.shape[1]} dimensions by {method}"
    named = _picture.draw(options.out, words, places, title)
    _output.say_written(options, options.out, words=len(words), named=named, method=method)
    return all_there
