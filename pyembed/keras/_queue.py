"""Gradients that wait until Keras's optimizer takes a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyembed._mutex import Mutex
from pyembed.keras._clipping import Clipping
from pyembed.sparse_grad import SparseGrad

SIGNAL_SIZE = 2  # numbers that stand for gradients: how many, and the sum of their tickets
_TICKETS = 1 << 12  # so few that float32 sums thousands of them exactly
_MOST = 1000
_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Queued:
    """The gradient of one lookup, and what was known of the step that it belongs to."""

    ticket: int
    grad: SparseGrad
    clipping: Clipping
    thread: int | None


class Queue:
    """The gradients of one table, each with a ticket.

    Keras is not given the gradients, which may be large, but a signal for each: (1, its ticket).
    Keras sums the signals of a step as it sums gradients, and hands the sum to the variable when
    its optimizer steps. That sum says which gradients are part of the step: those of a pass that
    failed, or whose result nobody applied, are not.
    """

    def __init__(self) -> None:
        self._mutex = Mutex()
        self._queued: list[Queued] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._queued)

    def put(
        self, grad: SparseGrad, clipping: Clipping, thread: int | None, dtype: str
    ) -> NDArray[Any]:
        """Queue a gradient, and return its signal.

        Raises
        ------
        RuntimeError
            If another thread's gradients wait, or if far too many do.
        """
        with self._mutex.held:
            if any(queued.thread != thread for queued in self._queued):
                raise RuntimeError(
                    "the table is being trained in another thread, by another fit: one at a time"
                )
            if len(self._queued) == _MOST:
                raise RuntimeError(
                    f"{_MOST} gradients of the table wait for a step: apply them by a Keras "
                    "optimizer, as fit does, or by layer.step()"
                )
            ticket = self._new_ticket()
            self._queued.append(Queued(ticket, grad, clipping, thread))
            return np.array([1.0, ticket], dtype)

    def take(self, signal: NDArray[Any]) -> tuple[list[Queued], float]:
        """Return the gradients that a sum of signals stands for, and by what it was multiplied.

        Older ones are dropped: no step will ask for them.

        Raises
        ------
        RuntimeError
            If they are not there.
        """
        count, total = (float(value) for value in signal)
        with self._mutex.held:
            found = self._found(count, total)
            if found is None:
                raise RuntimeError(
                    "the gradients of the table that are to be applied do not wait here: was it "
                    "trained in two threads, or one gradient applied twice?"
                )
            begin, end, factor = found
            taken = self._queued[begin:end]
            del self._queued[:end]
            return taken, factor

    def take_all(self) -> list[Queued]:
        """Return all that wait, in the order in which they came."""
        with self._mutex.held:
            taken, self._queued = self._queued, []
            return taken

    def _new_ticket(self) -> int:
        # Scattered, so that two sets of tickets hardly ever have one mean.
        waiting = {queued.ticket for queued in self._queued}
        while True:
            self._count += 1
            ticket = (self._count * 2654435761 >> 8) % _TICKETS + 1
            if ticket not in waiting:
                return ticket

    def _found(self, count: float, total: float) -> tuple[int, int, float] | None:
        tickets = [queued.ticket for queued in self._queued]
        number = round(count)
        if count == number:
            for begin in range(len(tickets) - number, -1, -1):
                if sum(tickets[begin : begin + number]) == total:
                    return begin, begin + number, 1.0
        # The caller's own loop may have multiplied its gradients.
        if tickets and count != 0.0:
            mean = sum(tickets) / len(tickets)
            if abs(total / count - mean) <= _TOLERANCE * mean:
                return 0, len(tickets), count / len(tickets)
        return None
