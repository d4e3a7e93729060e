"""What trains the model. The rates were chosen by hand, on splits with other seeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import pyembed as pe


class Optimizer(Protocol):
    """Takes steps on the tables that it was made for."""

    def step(self, *grads: pe.SparseGrad) -> None: ...


class DenseAdam:
    """Adam on whole tables, with gradients of their size: what ``update="exact"`` must equal."""

    def __init__(self, tables: list[pe.Embedding], rate: pe.schedules.CosineDecay) -> None:
        self._adam = pe.baseline.Adam([table.embeddings for table in tables])
        self._rate = rate

    def step(self, *grads: pe.SparseGrad) -> None:
        self._adam.learning_rate = self._rate(self._adam.t + 1)
        self._adam.step(*(grad.to_dense() for grad in grads))


LAZY, EXACT, DENSE = "Adam, lazy", "Adam, exact", "Adam, dense"
ADAM_RATE = 3e-3  # the same for all three, to compare them
Maker = Callable[[list[pe.Embedding], pe.schedules.CosineDecay], Optimizer]

# The first rate, which decays along a cosine, and what it is given to.
OPTIMIZERS: dict[str, tuple[float, Maker]] = {
    "SGD": (32.0, pe.SparseSGD),
    "Adagrad": (
        0.1,
        lambda tables, rate: pe.SparseAdagrad(tables, rate, initial_accumulator_value=1e-6),
    ),
    "row-wise Adagrad": (
        0.1,
        lambda tables, rate: pe.SparseRowWiseAdagrad(tables, rate, initial_accumulator_value=1e-6),
    ),
    "RMSprop": (0.01, pe.SparseRMSprop),
    LAZY: (ADAM_RATE, pe.SparseAdam),
    EXACT: (ADAM_RATE, lambda tables, rate: pe.SparseAdam(tables, rate, update="exact")),
    DENSE: (ADAM_RATE, DenseAdam),
}
