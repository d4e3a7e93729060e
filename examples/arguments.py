"""What the examples' command lines have in common: arguments, checked as they are read."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

LARGEST_SEED = 2**32 - 1


def example_parser(about: str) -> argparse.ArgumentParser:
    """Make a parser that tells what an example's docstring does."""
    description, _, rest = about.partition("\n")
    return argparse.ArgumentParser(
        description=description,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_number(
    parser: argparse.ArgumentParser, name: str, default: int, about: str, low: int, high: int
) -> None:
    """Add an argument that is a whole number, from ``low`` to ``high``."""
    parser.add_argument(
        name,
        type=whole_number(low, high),
        default=default,
        metavar="N",
        help=f"{about} (default: %(default)s)",
    )


def add_seed(parser: argparse.ArgumentParser, about: str) -> None:
    """Add ``--seed``."""
    add_number(parser, "--seed", 0, about, 0, LARGEST_SEED)


def add_threads_and_figure(
    parser: argparse.ArgumentParser, threads: int, figure: str, of: str = "of pyembed"
) -> None:
    """Add the arguments that come last in every example: ``--threads`` and ``--output``."""
    add_number(parser, "--threads", threads, f"threads {of}", 1, 1024)
    parser.add_argument(
        "--output",
        type=figure_path,
        default=Path(figure),
        metavar="FILE",
        help="where to put the figure; .png, .pdf or .svg (default: %(default)s)",
    )


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Make a converter for an argument that is a whole number, from ``low`` to ``high``."""

    def convert(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, {low} to {high}")
        return int(text)

    return convert


def figure_path(text: str) -> Path:
    """Convert an argument, refusing now what could not be written two minutes later."""
    path = Path(text)
    if path.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise argparse.ArgumentTypeError(f"{text!r} does not end in .png, .pdf or .svg")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(path.parent)!r}")
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written")
    return path
