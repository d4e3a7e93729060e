"""A whole training step of each library: forward, backward, optimizer."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol

import numpy as np

import peers
import pyembed as pe
from data import Array
from streams import Ids


class Trainer(Protocol):
    """A (rows, dim) table in training, whose batches are bags of ``bag`` ids, the last shorter."""

    bag: int
    times_itself: bool  # ``step`` returns the seconds that it took, or the part that counts

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
    """``nn.Embedding`` and an optimizer, by name: PyTorch's own, or those of ``optimizers``."""

    def __init__(
        self,
        rows: int,
        dim: int,
        dtype: str,
        optimizer: str,
        sparse: bool = True,
        optimizers: str = "torch.optim",
        **settings: Any,
    ) -> None:
        self.torch = peers.torch()
        self.torch.sparse.check_sparse_tensor_invariants.disable()  # as ever; unsaid, it warns
        self.table = self.torch.nn.utils.skip_init(  # random numbers would take seconds
            self.torch.nn.Embedding, rows, dim, sparse=sparse, dtype=getattr(self.torch, dtype)
        )
        self.torch.nn.init.zeros_(self.table.weight)
        make = getattr(import_module(optimizers), optimizer)
        self.optimizer = make(self.table.parameters(), **settings)

    def step(self, ids: Ids, dy: Array) -> float | None:
        self.backward(ids, dy)
        self.optimizer.step()
        return None

    def backward(self, ids: Ids, dy: Array) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        output = self.table(self.torch.from_numpy(ids))
        output.backward(self.torch.from_numpy(dy))

    def weights(self) -> Array:
        weights: Array = self.table.weight.detach().numpy()
        return weights


class TorchStepAlone(Torch):
    """The same, of which only the optimizer's step is timed."""

    times_itself = True

    def step(self, ids: Ids, dy: Array) -> float:
        self.backward(ids, dy)
        started = time.perf_counter()
        self.optimizer.step()
        return time.perf_counter() - started


class TorchModule(Torch):
    """``pyembed.torch.Embedding`` in the place of ``nn.Embedding``, and an optimizer of there.

    Where it is ``fused``, rows are updated in the backward pass.
    """

    def __init__(
        self, rows: int, dim: int, dtype: str, optimizer: str, fused: bool, **settings: Any
    ) -> None:
        self.torch, ours = peers.torch(), import_module("pyembed.torch")
        make = getattr(ours, optimizer)
        self.table = ours.Embedding(rows, dim, sparse=True, dtype=getattr(self.torch, dtype))
        self.optimizer = make(self.table.parameters(), **settings)
        if fused:
            self.table.fuse(self.optimizer)
        self._fused = fused

    def step(self, ids: Ids, dy: Array) -> None:
        self.backward(ids, dy)
        if not self._fused:
            self.optimizer.step()


def bags(ids: int, bag: int) -> int:
    """How many bags so many ids make."""
    return -(-ids // bag)


def touch_every_row(trainer: Trainer, rows: int, dy: Array) -> None:
    """Steps over all rows, a batch at a time: writes every page of the table and its moments."""
    count = len(dy) * trainer.bag
    for start in range(0, rows, count):
        ids = np.arange(start, min(start + count, rows), dtype=np.int64)
        trainer.step(ids, dy[: bags(len(ids), trainer.bag)])
