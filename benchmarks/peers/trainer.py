"""What a library does in a training step, in the form in which all of them are asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from data import Array, Ids


class Trainer(Protocol):
    """A (rows, dim) table in training, whose batches are bags of ``bag`` ids, the last shorter.

    Or tables of that size, each with its own ids: all arrays then have an axis for them.
    """

    bag: int
    times_itself: bool  # ``step`` returns the seconds that it took, or the part that counts

    def start(self, weights: Array) -> None:
        """Set the table."""

    def step(self, ids: Ids, dy: Array) -> float | None:
        """Look ids (N,) up, take dy (bags, dim) as the loss's gradient there, update the table."""

    def weights(self) -> Array:
        """The table as it is now."""


Kind = Callable[[int, int, str], Trainer]  # of rows, dim and dtype


class Live:
    """A trainer in this process, whose ``weights`` are the live table."""

    bag = 1
    times_itself = False

    def start(self, weights: Array) -> None:
        np.copyto(self.weights(), weights)


def bags(ids: int, bag: int) -> int:
    """How many bags so many ids make."""
    return -(-ids // bag)


def touch_every_row(trainer: Trainer, rows: int, dy: Array) -> None:
    """Steps over all rows, a batch at a time: writes every page of the table and its moments."""
    count = len(dy) * trainer.bag
    for start in range(0, rows, count):
        ids = np.arange(start, min(start + count, rows), dtype=np.int64)
        of_all = np.tile(ids, (*dy.shape[1:-1], 1)) if dy.ndim > 2 else ids
        trainer.step(of_all, dy[: bags(len(ids), trainer.bag)])
