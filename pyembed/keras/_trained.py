"""A table that is trained by its own optimizer, apart from any backend."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyembed import _core
from pyembed.keras._clipping import NONE, Clipping
from pyembed.keras._optimizer import Choice, TableOptimizer
from pyembed.keras._queue import Queue, Queued
from pyembed.keras._turns import turn_of
from pyembed.layers.embedding import Embedding
from pyembed.layers.embedding_bag import EmbeddingBag
from pyembed.sharding import ShardedTable
from pyembed.sparse_grad import SparseGrad
from pyembed.table import at_rest

Layer = Embedding | EmbeddingBag


class TrainedTable:
    """A layer of NumPy's, its optimizer, and the gradients that wait for a step.

    With a comm, `look_up`, `step` and `step_all` are collective, and so is `take` where the mode of
    bags selects rows.

    Parameters
    ----------
    layer : pyembed.Embedding or pyembed.EmbeddingBag
    choice : Choice
        What trains it.
    """

    def __init__(self, layer: Layer, choice: Choice) -> None:
        self.layer = layer
        self.optimizer = TableOptimizer(choice.make(layer))
        self._queue = Queue()

    @property
    def waiting(self) -> int:
        """How many gradients wait for a step."""
        return len(self._queue)

    def look_up(self, ids: NDArray[Any], mask: NDArray[np.bool_] | None = None) -> NDArray[Any]:
        """Return the rows of ids, or their bags: one for each index but the last.

        Raises
        ------
        IndexError
            If an id is outside the table.
        """
        with turn_of(self.layer._table):
            if isinstance(self.layer, Embedding):
                return self.layer(ids)
            pooled = self.layer(*self._bags(ids, mask))
        return pooled.reshape(*ids.shape[:-1], self.layer.output_dim)

    def take(
        self,
        ids: NDArray[Any],
        upstream: NDArray[Any],
        mask: NDArray[np.bool_] | None = None,
        *,
        clipping: Clipping = NONE,
        thread: int | None = None,
    ) -> NDArray[Any]:
        """Queue the gradient of one lookup, and return the signal that stands for it."""
        upstream = upstream.astype(self.layer.dtype, copy=False)
        if isinstance(self.layer, Embedding):
            grad = self.layer.backward(ids, upstream)
        else:
            bags, offsets = self._bags(ids, mask)
            rows = upstream.reshape(math.prod(ids.shape[:-1]), self.layer.output_dim)
            with turn_of(self.layer._table):
                grad = self.layer.backward(bags, rows, offsets)
        return self._queue.put(grad, clipping, thread, self.layer.dtype)

    def step(self, signal: NDArray[Any], rate: float | None = None) -> None:
        """Apply the gradients that a sum of signals stands for as one step.

        Parameters
        ----------
        signal : ndarray
        rate : float, optional
            Of this step, where a schedule of Keras's has been asked already.

        Raises
        ------
        RuntimeError
            If there are no such gradients.
        """
        if not np.any(signal):
            return
        with turn_of(self.layer._table):
            taken, factor = self.layer._table.checked(lambda: self._taken(signal))
            grads = [queued.grad for queued in taken]
            if factor != 1.0:
                grads = [grad * factor for grad in grads]
            self._apply(taken[-1].clipping.clipped(grads), rate)

    def _taken(self, signal: NDArray[Any]) -> tuple[list[Queued], float]:
        if not np.isfinite(signal).all():
            raise RuntimeError(
                f"the table's gradients cannot be told from the signal {signal}: an optimizer that "
                "accumulates gradients cannot make the steps of a table"
            )
        return self._queue.take(signal)

    def step_all(self) -> None:
        """Apply all gradients that wait as one step."""
        taken = self._queue.take_all()
        if taken or isinstance(self.layer._table, ShardedTable):
            with turn_of(self.layer._table):
                self._apply([queued.grad for queued in taken], None)

    def _apply(self, grads: list[SparseGrad], rate: float | None) -> None:
        with self.optimizer.at_rate(rate) if rate is not None else contextlib.nullcontext():
            self.optimizer.sparse.step(*grads)

    def values(self) -> NDArray[Any]:
        """Return a copy of the table.

        Raises
        ------
        RuntimeError
            If its rows are with several ranks.
        """
        table = self.layer._table.part
        if isinstance(self.layer._table, ShardedTable):
            raise RuntimeError(
                f"the {self.layer.input_dim} rows of {self.layer.name} are with "
                f"{self.layer._table.comm.size} ranks, and neither Keras's files nor get_weights() "
                "have them: pyembed.save(path, emb=layer.table, opt=layer.optimizer.sparse) saves "
                "the table and pyembed.load loads it, and layer.table.local has the rows of this "
                "rank"
            )

        def copied() -> NDArray[Any]:
            table.settle()
            with _core.Holding((table,), alone=False):
                return table.array.copy()

        return at_rest([table], copied)

    def assign(self, values: NDArray[Any]) -> None:
        """Write the whole table, of which a rank keeps its rows; the optimizer's state stays."""
        table = self.layer._table.part
        if isinstance(self.layer._table, ShardedTable):
            comm = self.layer._table.comm
            values = values[comm.rank :: comm.size]

        def write() -> None:
            table.settle()
            with _core.Holding((table,), alone=True):
                np.copyto(table.array, values, casting="same_kind")

        at_rest([table], write)

    def _bags(
        self, ids: NDArray[Any], mask: NDArray[np.bool_] | None
    ) -> tuple[NDArray[Any], NDArray[np.int64] | None]:
        """Return bags as NumPy's layer takes them: of one length, or without what is masked."""
        if mask is None:
            return ids.reshape(math.prod(ids.shape[:-1]), ids.shape[-1]), None
        lengths = mask.reshape(math.prod(ids.shape[:-1]), ids.shape[-1]).sum(axis=1)
        ends = np.cumsum(lengths, dtype=np.int64)
        return ids[mask], ends - lengths
