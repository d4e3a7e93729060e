"""What `pyembed` does with a command line: the command that it names, and its exit status."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module

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
    given_ones = sys.argv[1:] if arguments is None else list(arguments)
    given = _parser().parse_args(given_ones or ["--help"])
    name = given.command
    command = import_module(f"pyembed.cli.{_MODULES.get(name, name)}")
    parser = Parser(prog=f"pyembed {name}", about=command.__doc__)
    command.add_arguments(parser)
    options = parser.parse_intermixed_args(given.arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: say(name, f"warning: {message}")
            warnings.simplefilter("ignore" if options.quiet else "always")
            went_well = command.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        _leave_quietly()
        return PIPE_CLOSED
    except KeyboardInterrupt:
        return INTERRUPTED
    except REFUSALS as error:
        say(name, told(error))
        return USED_WRONGLY
    return 0 if went_well else USED_WRONGLY


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


def _leave_quietly() -> None:
    """Let nobody flush what is left into the closed pipe."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
