"""One rank of a table that several share, as `ranks.py` starts them: orders come to rank 0."""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI

sys.path.append(str(Path(__file__).parents[1]))

import pyembed as pe
from jobs.memory import peak_resident_bytes
from pyembed.sharding.communicator import adapted
from shares import Share, obey, start_rows

WORLD = MPI.COMM_WORLD
PIECE = 1 << 16  # rows that are filled at a time
MESSAGES = 200
NAP = 1e-3  # seconds between two looks for an order


class Rank:
    """A table, or what this rank has of it, in training."""

    def __init__(
        self,
        files: Path,
        *,
        rows: int,
        dim: int,
        ids: int,
        optimizer: str,
        settings: dict[str, Any],
    ) -> None:
        self.comm = WORLD if os.environ["PYEMBED_BENCH_COMM"] else None
        self._before = peak_resident_bytes() or 0
        self._dim = dim
        self._share = Share(
            files, ids, dim, rank=WORLD.rank, size=WORLD.size, barrier=WORLD.Barrier
        )
        self.emb = pe.Embedding(rows, dim, "zeros", comm=self.comm)
        self.optimizer = getattr(pe, optimizer)(self.emb, **settings)
        self._fill(rows)

    def _fill(self, rows: int) -> None:
        """Write every page of the rows and their state."""
        local = self.emb.local
        numbers = np.arange(rows)[WORLD.rank :: WORLD.size] if self.comm else np.arange(rows)
        for start in range(0, len(local), PIECE):
            piece = slice(start, start + PIECE)
            local[piece] = start_rows(numbers[piece], self._dim)
        self._own = local.nbytes
        for table in self.optimizer.state_dict()["tables"]:
            for array in table.values():
                if isinstance(array, np.ndarray):
                    array[...] = np.zeros(1, array.dtype)
                    self._own += array.nbytes

    def step(self, batch: int) -> float:
        """A whole step."""
        ids = self._share.ids(batch)

        def run() -> None:
            self.emb(ids)
            self.optimizer.step(self.emb.backward(ids, self._share.dy))

        return self._share.timed(run)

    def rows(self, batch: int) -> None:
        """Write what the ids of a batch read now."""
        self._share.write(self.emb(self._share.ids(batch)))

    def exchange(self, batch: int) -> float:
        """The exchange of the rows that a batch's lookup asks for."""
        comm = adapted(WORLD)
        sent, counts, came, received = self._messages(batch)
        return self._share.timed(lambda: comm.alltoallv(sent, counts, came, received))

    def copy(self, batch: int) -> float:
        """A copy of as many bytes by each rank, at the same time."""
        sent, _, came, _ = self._messages(batch)
        return self._share.timed(lambda: np.copyto(came[: len(sent)], sent[: len(came)]))

    def message(self, batch: int) -> float:
        """An exchange of one number with each rank."""
        comm, numbers = adapted(WORLD), np.zeros(WORLD.size, np.int64)

        def run() -> None:
            for _ in range(MESSAGES):
                comm.counts(numbers)

        return self._share.timed(run) / MESSAGES

    def _messages(self, batch: int) -> tuple[np.ndarray, ...]:
        """Rows to be sent, how many to each rank, where those that come go, how many they are."""
        wanted = np.unique(self._share.ids(batch))
        received = np.bincount(wanted % WORLD.size, minlength=WORLD.size)
        counts = adapted(WORLD).counts(received)
        sizes = int(counts.sum()), int(received.sum())
        if getattr(self, "_sizes", None) != sizes:
            self._sizes = sizes
            self._sent, self._came = (np.ones((n, self._dim), np.float32) for n in sizes)
        return self._sent, counts, self._came, received

    def extra(self, batch: int | None = None) -> int:
        """The most memory that any rank took, beside its rows and their state."""
        took = (peak_resident_bytes() or 0) - self._before - self._own
        return int(WORLD.allreduce(took, MPI.MAX))


def next_line() -> str:
    """What rank 0 reads; ranks that wait for it sleep, so that others may have their processors."""
    read = sys.stdin.readline() if WORLD.rank == 0 else None
    there = WORLD.Ibarrier()
    while not there.Test():
        time.sleep(NAP)
    line: str = WORLD.bcast(read)
    return line


if __name__ == "__main__":
    pe.set_num_threads(int(sys.argv[2]))
    answers = sys.stdout if WORLD.rank == 0 else None
    obey(next_line, partial(Rank, Path(sys.argv[1])), answers)
