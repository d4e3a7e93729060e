"""What `pyembed` does with a command line: the command that it names, and its exit status."""

from __future__ import annotations

import argparse
import io
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TextIO

from pyembed import _core
from pyembed.cli._errors import UnusableError, say, told
from pyembed.cli._parser import Parser, nearest

# Each is a module of this folder, imported when it is asked for.
COMMANDS = {
    "info": "what a file of word vectors has",
    "similar": "the words nearest to each of some words",
    "analogy": "what is to c as b is to a",
    "eval": "how well vectors do on word pairs and analogies",
    "convert": "write word vectors in another format",
    "train": "train word vectors on a text",
    "map": "draw words where their vectors lie, as a picture",
    "project": "write words for TensorBoard's embedding projector",
}
_MODULES = {"eval": "evaluate", "map": "word_map"}
REFUSALS = (*(UnusableError, ImportError, KeyError, MemoryError, OSError, TypeError, ValueError),)
USED_WRONGLY, INTERRUPTED, PIPE_CLOSED = 1, 130, 141  # as shells have the latter two


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, by default that of the process, and return its exit status.

    Parameters
    ----------
    arguments : sequence of str, optional

    Returns
    -------
    int
        0 if all went well, 1 if something was refused, 130 after Ctrl-C, 141 where whoever reads
        the output has left. A command line that cannot be understood ends the process with 2.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    name = ""
    try:
        with _all_printed():
            line = _parser().parse_args(given or ["--help"])
            name = f" {line.command}"
            return 0 if _run(line.command, line.arguments) else USED_WRONGLY
    except BrokenPipeError:
        return PIPE_CLOSED
    except KeyboardInterrupt:
        return INTERRUPTED
    except REFUSALS as error:
        say(f"pyembed{name}", told(error))
        return USED_WRONGLY


def _run(name: str, arguments: list[str]) -> bool:
    """Run a command; return whether all that was asked for could be done."""
    command = import_module(f"pyembed.cli.{_MODULES.get(name, name)}")
    parser = Parser(prog=f"pyembed {name}", about=command.__doc__)
    command.add_arguments(parser)
    options = parser.parse_intermixed_args(arguments)
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: say(parser.prog, f"warning: {message}")
        warnings.simplefilter("ignore" if options.quiet else "always")
        went_well: bool = command.run(options)
    return went_well


@contextmanager
def _all_printed() -> Iterator[None]:
    """Print UTF-8 to files and pipes, and write all of it before the end, where a failure is told.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    out = sys.stdout
    if isinstance(out, io.TextIOWrapper) and not out.isatty():
        out.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        yield
    finally:
        try:
            if out is not None:  # as it is where it was closed
                out.flush()
        except OSError:
            _forget_the_rest(out)
            raise


def _forget_the_rest(out: TextIO) -> None:
    """Let Python write at its end what is left nowhere: it would fail again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, out.fileno())
    os.close(nowhere)


def _parser() -> Parser:
    commands = "\n".join(f"  {name:<9}{about}" for name, about in COMMANDS.items())
    parser = Parser(
        prog="pyembed",
        usage="pyembed [-h] [--version] COMMAND ...",
        about="Word vectors on the command line: convert, ask, judge, train and draw them.\n"
        f"\ncommands:\n{commands}\n\n"
        "`pyembed COMMAND --help` tells more of one, with an example.",
    )
    parser.add_argument("--version", action="version", version=f"pyembed {_core.__version__}")
    parser.add_argument("command", type=_known, metavar="COMMAND", help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def _known(name: str) -> str:
    if name not in COMMANDS:
        raise argparse.ArgumentTypeError(f"there is no command {name!r}{nearest(name, COMMANDS)}")
    return name
