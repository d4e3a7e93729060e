"""A whole training step of each library: forward, backward, sparse Adam."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

import peers
import pyembed as pe
from data import Array
from streams import Ids

LEARNING_RATE = 1e-3
BETAS = (0.9, 0.999)
EPSILON = 1e-7
STATE_ARRAYS = 2  # first and second moment, each the size of the table


class Trainer(Protocol):
    """A (rows, dim) table in training."""

    def __init__(self, rows: int, dim: int, dtype: str) -> None: ...

    def step(self, ids: Ids, dy: Array) -> None:
        """Look ids (N,) up, take dy (N, dim) as the loss's gradient there, update the table."""

    def weights(self) -> Array:
        """The live table."""


class Pyembed:
    """``Embedding`` and ``SparseAdam`` of this library."""

    update = "lazy"

    def __init__(self, rows: int, dim: int, dtype: str) -> None:
        self.table = pe.Embedding(rows, dim, dtype=dtype, seed=0)
        self.optimizer = pe.SparseAdam(
            self.table,
            learning_rate=LEARNING_RATE,
            beta_1=BETAS[0],
            beta_2=BETAS[1],
            epsilon=EPSILON,
            update=self.update,
        )

    def step(self, ids: Ids, dy: Array) -> None:
        self.table(ids)
        self.optimizer.step(self.table.backward(ids, dy))

    def weights(self) -> Array:
        return self.table.embeddings


class Exact(Pyembed):
    """``SparseAdam(update="exact")``."""

    update = "exact"


class Torch:
    """``nn.Embedding(sparse=True)`` and ``optim.SparseAdam``."""

    sparse = True

    def __init__(self, rows: int, dim: int, dtype: str) -> None:
        self.torch = peers.torch()
        self.table = self.torch.nn.Embedding(
            rows, dim, sparse=self.sparse, dtype=getattr(self.torch, dtype)
        )
        self.optimizer = self._adam(
            self.table.parameters(), lr=LEARNING_RATE, betas=BETAS, eps=EPSILON
        )

    def _adam(self, *args: Any, **kwargs: Any) -> Any:
        return self.torch.optim.SparseAdam(*args, **kwargs)

    def step(self, ids: Ids, dy: Array) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        output = self.table(self.torch.from_numpy(ids))
        output.backward(self.torch.from_numpy(dy))
        self.optimizer.step()

    def weights(self) -> Array:
        weights: Array = self.table.weight.detach().numpy()
        return weights


class TorchDense(Torch):
    """``nn.Embedding`` with a dense gradient, and ``optim.Adam``, fused: one pass over all rows."""

    sparse = False

    def _adam(self, *args: Any, **kwargs: Any) -> Any:
        return self.torch.optim.Adam(*args, **kwargs, fused=True)


TRAINERS: dict[str, type[Trainer]] = {"pyembed": Pyembed, "torch SparseAdam": Torch}


def available() -> list[str]:
    """The names of the trainers whose libraries are installed, ours first."""
    return [name for name in TRAINERS if name == "pyembed" or peers.torch() is not None]


def touch_every_row(trainer: Trainer, rows: int, dy: Array) -> None:
    """Steps over all rows, a batch at a time: writes every page of the table and its moments."""
    for start in range(0, rows, len(dy)):
        ids = np.arange(start, min(start + len(dy), rows), dtype=np.int64)
        trainer.step(ids, dy[: len(ids)])
