"""The words that a command asks for: its arguments, or the lines of standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterator


def asked(words: list[str]) -> Iterator[str]:
    """Yield the words of arguments; of standard input where there are none, or for one ``-``."""
    for word in words or ["-"]:
        if word == "-":
            yield from lines()
        else:
            yield word


def lines() -> Iterator[str]:
    """Yield the lines of standard input that are not blank, as they come.

    Raises
    ------
    ValueError
        If it is no UTF-8.
    """
    if sys.stdin is None:  # as it is where it was closed
        return
    for number, line in enumerate(sys.stdin.buffer, start=1):
        try:
            text = line.decode().strip()
        except UnicodeDecodeError:
            raise ValueError(f"standard input: line {number} is no valid UTF-8") from None
        if text:
            yield text
