"""What commands print: columns for people, tabs for other programs, JSON."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterable, Sequence
from typing import Any


def say_json(value: dict[str, Any]) -> None:
    """Print an object as a line; numbers that JSON has not become null."""
    finite = {
        name: None if isinstance(item, float) and not math.isfinite(item) else item
        for name, item in value.items()
    }
    print(json.dumps(finite, ensure_ascii=False))


def is_terminal_in() -> bool:
    """Return whether somebody types what is read."""
    return sys.stdin is not None and sys.stdin.isatty()


def say_rows(rows: Iterable[Sequence[str]]) -> None:
    """Print rows: in columns on a terminal, else with tabs."""
    lines = list(rows)
    if not lines:
        return
    if not sys.stdout.isatty():
        for line in lines:
            print("\t".join(line))
        return
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())


def say_written(options: argparse.Namespace, path: str, **facts: int | str) -> None:
    """Tell what was written where: as JSON, or in words unless that is not wanted."""
    if options.json:
        say_json({"written": path, **facts})
    elif not options.quiet:
        told = ", ".join(
            f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}"
            for name, value in facts.items()
        )
        print(f"{path}: {told}")
