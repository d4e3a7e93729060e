"""What was refused, in one line on standard error."""

from __future__ import annotations

import contextlib
import sys


class UnusableError(Exception):
    """What a user asked for cannot be done; the message says why."""


def told(error: Exception) -> str:
    """Return what an error says, in one line."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        text = f"{error.filename}: {error.strerror}"
    elif isinstance(error, MemoryError):
        text = str(error) or "there is not enough memory"
    elif isinstance(error, KeyError) and error.args:
        text = str(error.args[0])
    else:
        text = str(error) or type(error).__name__
    return " ".join(text.split())


def say(speaker: str, text: str) -> None:
    """Tell something in one line on standard error, if anybody reads it."""
    if sys.stderr is None:  # as it is where it was closed
        return
    with contextlib.suppress(BrokenPipeError):
        print(f"{speaker}: {text}", file=sys.stderr, flush=True)
