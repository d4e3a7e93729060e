"""pyembed's own layers and optimizers in training."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

import pyembed as pe
from data import Array, Ids
from peers.trainer import Live


class Pyembed(Live):
    """``Embedding``, or ``EmbeddingBag`` with sums of ``bag``; ``optimizer`` makes one for it."""

    def __init__(
        self, rows: int, dim: int, dtype: str, optimizer: Callable[..., Any], bag: int | None = None
    ) -> None:
        if bag is None:
            self.table = pe.Embedding(rows, dim, dtype=dtype, seed=0)
        else:
            self.table = pe.EmbeddingBag(rows, dim, mode="sum", dtype=dtype, seed=0)
            self.bag = bag
        self.optimizer = optimizer(self.table)
        self._pools = bag is not None

    def step(self, ids: Ids, dy: Array) -> None:
        offsets = (_offsets(len(ids), self.bag),) if self._pools else ()
        self.table(ids, *offsets)
        self.optimizer.step(self.table.backward(ids, dy, *offsets))

    def weights(self) -> Array:
        return self.table.embeddings


class PyembedTables:
    """Tables of one size: ids are (tables, N), dy is (N, tables, dim), read where it lies.

    One optimizer has all of them, whose step is one call; or each table has its own.
    """

    bag = 1
    times_itself = False

    def __init__(
        self,
        rows: int,
        dim: int,
        dtype: str,
        optimizer: Callable[..., Any],
        tables: int,
        together: bool,
    ) -> None:
        self.layers = [pe.Embedding(rows, dim, dtype=dtype, seed=seed) for seed in range(tables)]
        parts = [slice(None)] if together else [slice(one, one + 1) for one in range(tables)]
        self.optimizers = [(optimizer(self.layers[part]), part) for part in parts]

    def start(self, weights: Array) -> None:
        for layer, its in zip(self.layers, weights, strict=True):
            np.copyto(layer.embeddings, its)

    def step(self, ids: Ids, dy: Array) -> None:
        for layer, its in zip(self.layers, ids, strict=True):
            layer(its)
        grads = [
            layer.backward(its, dy[:, table])
            for table, (layer, its) in enumerate(zip(self.layers, ids, strict=True))
        ]
        for optimizer, part in self.optimizers:
            optimizer.step(*grads[part])

    def weights(self) -> Array:
        """A copy."""
        return np.stack([layer.embeddings for layer in self.layers])


@lru_cache(maxsize=4)
def _offsets(ids: int, bag: int) -> Ids:
    return np.arange(0, ids, bag)
