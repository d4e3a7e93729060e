"""How far Adam on touched rows ends up from dense Adam in double precision.

Each contestant gets the same gradients, of random rows, at a learning rate that changes with the
step. Exact Adam is asked in between too, by lookups, which must see rows as they would be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

import pyembed as pe
from data import Array

ROWS, DIM = 200, 8
LOOKUP_EVERY = 97
DTYPES = ("float64", "float32")


@dataclass(frozen=True)
class Setting:
    """One way to train: ``touched`` is the share of the rows that a step has gradients of."""

    betas: tuple[float, float]
    scale: float  # of the gradients
    touched: float
    decay: float


@dataclass(frozen=True)
class Drift:
    """Largest differences of a weight from dense Adam's in float64, by dtype."""

    exact: dict[str, float]
    lazy: dict[str, float]
    dense: dict[str, float]


def rate(t: int) -> float:
    """The learning rate of step t: half up and half down about 0.01."""
    return 0.01 * (1 + 0.5 * math.sin(t / 50))


def drift(setting: Setting, steps: int) -> Drift:
    """Train all contestants side by side."""
    rng = np.random.default_rng(0)
    start = (0.05 * rng.standard_normal((ROWS, DIM))).astype(np.float32)
    dense = {dtype: _Dense(setting, start, dtype) for dtype in DTYPES}
    exact = {dtype: _Sparse(setting, start, dtype, "exact") for dtype in DTYPES}
    lazy = {dtype: _Sparse(setting, start, dtype, "lazy") for dtype in DTYPES}
    truth = dense["float64"].weights
    seen = dict.fromkeys(DTYPES, 0.0)
    count = max(1, round(setting.touched * ROWS))
    for t in range(1, steps + 1):
        ids = rng.integers(0, ROWS, count)
        dy = (setting.scale * rng.standard_normal((count, DIM))).astype(np.float32)
        for side in (*dense.values(), *exact.values(), *lazy.values()):
            side.step(ids, dy)
        if t % LOOKUP_EVERY == 0 or t == steps:
            for dtype, side in exact.items():
                seen[dtype] = max(seen[dtype], _farthest(side.table(np.arange(ROWS)), truth))
    return Drift(
        exact={dtype: max(seen[dtype], _farthest(exact[dtype].weights, truth)) for dtype in DTYPES},
        lazy={dtype: _farthest(lazy[dtype].weights, truth) for dtype in DTYPES},
        dense={dtype: _farthest(dense[dtype].weights, truth) for dtype in DTYPES},
    )


class _Sparse:
    def __init__(self, setting: Setting, start: Array, dtype: str, update: str) -> None:
        self.table = pe.Embedding(ROWS, DIM, weights=start, dtype=dtype)
        self._adam = pe.SparseAdam(
            self.table, rate, *setting.betas, weight_decay=setting.decay, update=update
        )

    @property
    def weights(self) -> Array:
        return self.table.embeddings

    def step(self, ids: Array, dy: Array) -> None:
        self._adam.step(self.table.backward(ids, dy.astype(self.table.dtype)))


class _Dense:
    def __init__(self, setting: Setting, start: Array, dtype: str) -> None:
        self.weights = start.astype(dtype)
        beta_1, beta_2 = setting.betas
        self._adam = pe.baseline.Adam(self.weights, 0.0, beta_1, beta_2, weight_decay=setting.decay)

    def step(self, ids: Array, dy: Array) -> None:
        gradient = np.zeros_like(self.weights)
        np.add.at(gradient, ids, dy.astype(gradient.dtype))
        self._adam.learning_rate = rate(self._adam.t + 1)
        self._adam.step(gradient)


def _farthest(weights: Array, truth: Array) -> float:
    return float(np.abs(weights - truth).max())
