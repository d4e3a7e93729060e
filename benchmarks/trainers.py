"""A whole training step of each library: forward, backward, optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

import peers
import pyembed as pe
from data import Array
from streams import Ids


class Trainer(Protocol):
    """A (rows, dim) table in training, whose batches are bags of ``bag`` ids, the last shorter."""

    bag: int
    times_itself: bool  # in another process: ``step`` returns the seconds that it took

    def start(self, weights: Array) -> None:
        """Set the table."""

    def step(self, ids: Ids, dy: Array) -> float | None:
        """Look ids (N,) up, take dy (bags, dim) as the loss's gradient there, update the table."""

    def weights(self) -> Array:
        """The table as it is now."""


Kind = Callable[[int, int, str], Trainer]  # of rows, dim and dtype


class _Live:
    """A trainer in this process, whose ``weights`` are the live table."""

    bag = 1
    times_itself = False

    def start(self, weights: Array) -> None:
        np.copyto(self.weights(), weights)


class Pyembed(_Live):
    """``Embedding`` and an optimizer of this library, which ``optimizer`` makes for a table."""

    def __init__(
        self, rows: int, dim: int, dtype: str, optimizer: Callable[[pe.Embedding], Any]
    ) -> None:
        self.table = pe.Embedding(rows, dim, dtype=dtype, seed=0)
        self.optimizer = optimizer(self.table)

    def step(self, ids: Ids, dy: Array) -> None:
        self.table(ids)
        self.optimizer.step(self.table.backward(ids, dy))

    def weights(self) -> Array:
        return self.table.embeddings


class PyembedBag(_Live):
    """``EmbeddingBag``, sums."""

    def __init__(
        self, rows: int, dim: int, dtype: str, optimizer: Callable[[pe.EmbeddingBag], Any], bag: int
    ) -> None:
        self.table = pe.EmbeddingBag(rows, dim, mode="sum", dtype=dtype, seed=0)
        self.optimizer = optimizer(self.table)
        self.bag = bag
        self._offsets: dict[int, Ids] = {}

    def step(self, ids: Ids, dy: Array) -> None:
        if len(ids) not in self._offsets:
            self._offsets[len(ids)] = np.arange(0, len(ids), self.bag)
        offsets = self._offsets[len(ids)]
        self.table(ids, offsets)
        self.optimizer.step(self.table.backward(ids, dy, offsets))

    def weights(self) -> Array:
        return self.table.embeddings


class Torch(_Live):
    """``nn.Embedding`` and an optimizer of PyTorch's, by name."""

    def __init__(
        self, rows: int, dim: int, dtype: str, optimizer: str, sparse: bool = True, **settings: Any
    ) -> None:
        self.torch = peers.torch()
        self.torch.sparse.check_sparse_tensor_invariants.disable()  # as ever; unsaid, it warns
        self.table = self.torch.nn.utils.skip_init(  # ``start`` will write every page
            self.torch.nn.Embedding, rows, dim, sparse=sparse, dtype=getattr(self.torch, dtype)
        )
        self.optimizer = getattr(self.torch.optim, optimizer)(self.table.parameters(), **settings)

    def step(self, ids: Ids, dy: Array) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        output = self.table(self.torch.from_numpy(ids))
        output.backward(self.torch.from_numpy(dy))
        self.optimizer.step()

    def weights(self) -> Array:
        weights: Array = self.table.weight.detach().numpy()
        return weights


def bags(ids: int, bag: int) -> int:
    """How many bags so many ids make."""
    return -(-ids // bag)


def touch_every_row(trainer: Trainer, rows: int, dy: Array) -> None:
    """Steps over all rows, a batch at a time: writes every page of the table and its moments."""
    count = len(dy) * trainer.bag
    for start in range(0, rows, count):
        ids = np.arange(start, min(start + count, rows), dtype=np.int64)
        trainer.step(ids, dy[: bags(len(ids), trainer.bag)])
