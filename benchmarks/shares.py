"""What each of the processes does that share a table, by whatever library: it needs NumPy alone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

import data


def start_rows(numbers: NDArray[np.int64], dim: int) -> NDArray[np.float32]:
    """What the rows with these numbers start from: small whole numbers."""
    return ((numbers[:, None] * 31 + np.arange(dim) * 7) % 17 - 8).astype(np.float32)


class Share:
    """What a process has of each batch, which `peers/ranks.py` has put into a file.

    ``barrier()`` waits until all processes have come there.
    """

    def __init__(
        self,
        files: Path,
        ids: int,
        dim: int,
        *,
        rank: int,
        size: int,
        barrier: Callable[[], object],
    ) -> None:
        self._place, self._shape, self._is_first = files / "found", (ids, dim), rank == 0
        self._own = slice(ids * rank // size, ids * (rank + 1) // size)
        self._ids = np.fromfile(files / "ids", np.int64).reshape(-1, ids)
        self._barrier = barrier
        self.dy = data.whole_numbers((ids, dim), "float32")[self._own].copy()

    def ids(self, batch: int) -> NDArray[np.int64]:
        """This process's ids of a batch."""
        return self._ids[batch][self._own]

    def write(self, rows: NDArray[np.float32]) -> None:
        """Put the rows of a batch's ids into a file, in which those of all processes come."""
        if self._is_first:
            np.zeros(self._shape, np.float32).tofile(self._place)
        self._barrier()
        whole = np.memmap(self._place, np.float32, "r+", shape=self._shape)
        whole[self._own] = rows
        whole.flush()
        self._barrier()

    def timed(self, run: Callable[[], object]) -> float:
        """The seconds from when all processes begin to when all have ended."""
        self._barrier()
        started = time.perf_counter()
        run()
        self._barrier()
        return time.perf_counter() - started


def obey(next_line: Callable[[], str], make: Callable[..., Any], answers: TextIO | None) -> None:
    """Do what lines say that all processes get, until one is empty; the first answers them."""
    made: Any = None
    while line := next_line():
        order = json.loads(line)
        what, answer = order.pop("what"), None
        if what == "make":
            made = None  # the one before must be gone to make room
            made = make(**order)
        else:
            answer = getattr(made, what)(**order)
        if answers is not None:
            print(json.dumps(answer), file=answers, flush=True)
