"""MPI by mpi4py, whose buffers are ours: nothing is pickled or copied."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from pyembed.sharding import _mpi_hooks
from pyembed.sharding.communicator import check_process, row_bytes

_Begun: TypeAlias = tuple[MPI.Request, Any, Any]  # and what it sends and receives


class MPICommunicator:
    """An intracommunicator of MPI, with messages apart from the caller's own."""

    def __init__(self, comm: MPI.Intracomm) -> None:
        self._comm = comm.Dup()
        self._process = os.getpid()
        self.rank: int = comm.Get_rank()
        self.size: int = comm.Get_size()
        self._begun: list[_Begun] = []

    def counts(self, sent: NDArray[np.int64]) -> NDArray[np.int64]:
        """Exchange one number with each rank."""
        check_process(self._process, self.rank)
        received = np.empty_like(sent)
        self._comm.Alltoall(sent, received)
        return received

    def alltoallv(
        self,
        rows: NDArray[Any],
        counts: NDArray[np.int64],
        out: NDArray[Any],
        received: NDArray[np.int64],
    ) -> None:
        """Exchange rows with each rank."""
        check_process(self._process, self.rank)
        if row_bytes(rows) > 0:
            self._comm.Alltoallv(_message(rows, counts), _message(out, received))

    def start_alltoallv(
        self,
        rows: NDArray[Any],
        counts: NDArray[np.int64],
        out: NDArray[Any],
        received: NDArray[np.int64],
    ) -> Callable[[], Any]:
        """Begin to exchange rows of at least one element; return what waits for the end."""
        check_process(self._process, self.rank)
        sent, came = _message(rows, counts), _message(out, received)
        request = self._comm.Ialltoallv(sent, came)
        # Nobody need wait for it: its memory must stay until it is done.
        self._begun = [begun for begun in self._begun if not begun[0].Test()]
        self._begun.append((request, sent, came))
        wait: Callable[[], Any] = request.Wait
        return wait


def adapted(comm: MPI.Comm) -> MPICommunicator:
    """Return the one adapter that a communicator has."""
    if not isinstance(comm, MPI.Intracomm) or comm == MPI.COMM_NULL:
        raise TypeError(f"comm={comm!r} must be an intracommunicator of MPI")
    made: MPICommunicator | None = comm.Get_attr(_keyval())
    if made is None:
        made = MPICommunicator(comm)
        comm.Set_attr(_keyval(), made)
        if made.size > 1:
            _mpi_hooks.install(made._comm)
    return made


@functools.cache
def _keyval() -> int:
    """Return the key under which a communicator keeps its adapter."""
    key: int = MPI.Comm.Create_keyval()
    return key


@functools.cache
def _row_type(length: int) -> MPI.Datatype:
    """Return a type that counts whole rows, of which 2**31 are many where bytes are few."""
    return MPI.BYTE.Create_contiguous(length).Commit()


def _message(rows: NDArray[Any], counts: NDArray[np.int64]) -> tuple[Any, ...]:
    starts = np.cumsum(counts) - counts
    return rows.reshape(-1).view(np.uint8), (counts, starts), _row_type(row_bytes(rows))
