"""What carries bytes between the processes that share a table."""

from __future__ import annotations

import math
import os
import sys
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class Communicator(Protocol):
    """What `Embedding(comm=)` needs of the engine that connects processes: four members.

    Each call of `counts` and `alltoallv` is collective: all ranks make the same calls in the same
    order. One that can work on by itself may have ``start_alltoallv`` too: it takes what
    `alltoallv` does, and returns a function that waits for the end. `Embedding.prefetch` uses it.

    Attributes
    ----------
    rank : int
        The number of this process, from 0.
    size : int
        How many there are.
    """

    rank: int
    size: int

    def counts(self, sent: NDArray[np.int64]) -> NDArray[np.int64]:
        """Exchange one number with each rank.

        Parameters
        ----------
        sent : ndarray of int64, shape (size,)
            ``sent[r]`` goes to rank r.

        Returns
        -------
        ndarray of int64, shape (size,)
            What came from each rank.
        """
        ...

    def alltoallv(
        self,
        rows: NDArray[Any],
        counts: NDArray[np.int64],
        out: NDArray[Any],
        received: NDArray[np.int64],
    ) -> None:
        """Exchange rows with each rank.

        Parameters
        ----------
        rows : ndarray, shape (n, ...), in C order
            First those for rank 0, then those for rank 1, …
        counts : ndarray of int64, shape (size,)
            How many go to each rank; their sum is n.
        out : ndarray, shape (m, ...), in C order
            Where what comes is written, by rank as in `rows`; of the same dtype.
        received : ndarray of int64, shape (size,)
            How many come from each rank; their sum is m.
        """
        ...


def adapted(comm: Any) -> Communicator:
    """Return `comm` as a communicator.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm, torch.distributed.ProcessGroup or Communicator

    Raises
    ------
    TypeError
        If it is neither.
    """
    # Whoever has such an object has imported its library: nothing is imported for the others.
    mpi = sys.modules.get("mpi4py.MPI")
    if mpi is not None and isinstance(comm, mpi.Comm):
        from pyembed.sharding import _mpi

        return _mpi.adapted(comm)
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and isinstance(comm, distributed.ProcessGroup):
        from pyembed.sharding import _torch

        return _torch.adapted(comm)
    if isinstance(comm, type) or not isinstance(comm, Communicator):
        raise TypeError(
            f"comm={comm!r} must be an mpi4py communicator, a process group of torch.distributed, "
            "or have the members of pyembed.sharding.Communicator: rank, size, counts, alltoallv"
        )
    return comm


def check_process(process: int, rank: int) -> None:
    """Raise RuntimeError in a process that was forked from the one with this number."""
    if os.getpid() != process:
        raise RuntimeError(
            f"this process was forked from rank {rank}: what connects the ranks does not work in it"
        )


def row_bytes(rows: NDArray[Any]) -> int:
    """Return how many bytes each row has, which may have any axes."""
    return rows.itemsize * math.prod(rows.shape[1:])
