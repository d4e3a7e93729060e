"""Rows of a matrix, a block at a time."""

from __future__ import annotations

from collections.abc import Iterator

_NUMBERS = 1 << 20  # of a block


def blocks(rows: int, dim: int) -> Iterator[tuple[int, int]]:
    """Yield where blocks of a few rows begin and end."""
    step = max(1, _NUMBERS // max(1, dim))
    for start in range(0, rows, step):
        yield start, min(start + step, rows)
