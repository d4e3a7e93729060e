"""Training from start to end, judged after every epoch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

import pyembed as pe
from datasets import Ratings

from .factorization import Factorization
from .folds import Split
from .optimizers import OPTIMIZERS

BATCH_SIZE = 256


@dataclass(frozen=True)
class Run:
    """What one training led to."""

    rmse: npt.NDArray[np.float64]  # (epochs + 1,), of held-out ratings, the first before training
    step_seconds: float
    model: Factorization


def train(name: str, split: Split, *, epochs: int, seed: int) -> Run:
    """Train with the optimizer of that name: the same start and batches for all of a seed."""
    model = Factorization(split.training, seed=seed)
    steps = epochs * -(-len(split.training) // BATCH_SIZE)
    rate, make = OPTIMIZERS[name]
    optimizer = make(model.tables, pe.schedules.CosineDecay(rate, steps))
    rng = np.random.default_rng([seed, split.number])
    rmse = [model.rmse(split.test)]
    seconds = 0.0
    for _ in range(epochs):
        started = time.perf_counter()
        for batch in _batches(split.training, rng):
            optimizer.step(*model.gradients(batch))
        seconds += time.perf_counter() - started
        rmse.append(model.rmse(split.test))
    return Run(np.array(rmse), seconds / steps, model)


def _batches(ratings: Ratings, rng: np.random.Generator) -> Iterator[Ratings]:
    """Go through all ratings once, in random order."""
    order = rng.permutation(len(ratings))
    for start in range(0, len(order), BATCH_SIZE):
        yield ratings.take(order[start : start + BATCH_SIZE])
