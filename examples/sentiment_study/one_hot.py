"""Question 1: is a lookup really the same as a one-hot matmul, and what does each cost?

Both sides take the same batches and the same plain gradient descent, under which a word that is
not in the batch does not move on either side. (Adam would differ by design: dense Adam goes on
pushing every row by its momentum, lazy Adam only moves the rows in the batch.)
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np
import numpy.typing as npt

import pyembed as pe

from .classifier import FloatArray, logistic_loss
from .snippets import UNKNOWN, Snippets

LEARNING_RATE = 0.1
BATCH_SIZE = 64
TOLERANCE = 1e-6  # float32 rounds to 6e-8; a loss adds up some thousand roundings


class Table(Protocol):
    """Word vectors that are averaged over each snippet, and trained by gradient descent."""

    def means(self, batch: Snippets) -> FloatArray: ...
    def descend(self, batch: Snippets, grad_means: FloatArray) -> None: ...


class LookupTable:
    """Reads and writes only the rows of the words in the batch."""

    def __init__(self, vectors: FloatArray) -> None:
        self._bag = pe.EmbeddingBag.from_pretrained(
            vectors, trainable=True, copy=True, mode="mean", padding_idx=UNKNOWN
        )
        self._optimizer = pe.SparseSGD(self._bag, learning_rate=LEARNING_RATE)

    def means(self, batch: Snippets) -> FloatArray:
        return self._bag(batch.ids, batch.offsets)

    def descend(self, batch: Snippets, grad_means: FloatArray) -> None:
        self._optimizer.step(self._bag.backward(batch.ids, grad_means, batch.offsets))


class OneHotTable:
    """Multiplies the whole table by the mean of each snippet's one-hot rows.

    Averaging the one-hot rows first is the thriftiest way to write it: (snippets, V) numbers
    instead of (words, V), about twenty times fewer here.
    """

    def __init__(self, vectors: FloatArray) -> None:
        self._vectors = vectors.copy()
        self._mean_one_hot = np.empty((0, len(vectors)), np.float32)

    def means(self, batch: Snippets) -> FloatArray:
        snippet = np.repeat(np.arange(len(batch)), batch.lengths)
        known = batch.ids != UNKNOWN
        counts = np.zeros((len(batch), len(self._vectors)), np.float32)
        np.add.at(counts, (snippet[known], batch.ids[known]), 1)
        counts /= np.maximum(np.bincount(snippet[known], minlength=len(batch)), 1)[:, None]
        self._mean_one_hot = counts
        return self._mean_one_hot @ self._vectors

    def descend(self, batch: Snippets, grad_means: FloatArray) -> None:
        gradient = self._mean_one_hot.T @ grad_means
        gradient *= LEARNING_RATE
        self._vectors -= gradient


@dataclass(frozen=True)
class Cost:
    """What training on some batches took.

    ``peak_bytes`` counts the NumPy arrays that were alive at once, besides the table. What the
    engines allocate inside is not seen: pyembed some 20 bytes a word (0.03 MB for a batch here,
    by the growth of the process), BLAS its fixed buffers.
    """

    losses: npt.NDArray[np.float64]  # (batches,)
    seconds: npt.NDArray[np.float64]  # (batches - 1,)
    peak_bytes: int


@dataclass(frozen=True)
class Comparison:
    """The two sides with a table of so many rows."""

    rows: int
    lookup: Cost
    one_hot: Cost

    @property
    def largest_difference(self) -> float:
        """The largest relative difference between the losses of the two sides."""
        return float(np.max(np.abs(self.lookup.losses / self.one_hot.losses - 1)))


def compare(
    snippets: Snippets, vectors: FloatArray, sizes: Sequence[int], *, steps: int, seed: int
) -> Iterator[Comparison]:
    """Train both sides with the vectors of the commonest words, for each number of words.

    Parameters
    ----------
    snippets
        Their word ids are rows of ``vectors``.
    vectors
        One row a word, commonest first; row 0 is for unknown words.

    Raises
    ------
    ArithmeticError
        If the losses differ by more than rounding: then the times would mean nothing.
    """

    def batches(rows: int) -> list[Snippets]:
        known = snippets.restrict(np.arange(len(vectors)) < rows)
        return list(islice(known.batches(BATCH_SIZE, np.random.default_rng(seed)), steps))

    # All lookups come before the first matmul: for a while after each call, BLAS keeps its threads
    # spinning on the cores, and the timings of what comes next would be off.
    lookups = [_measure(LookupTable(vectors[:rows]), batches(rows)) for rows in sizes]
    for rows, lookup in zip(sizes, lookups, strict=True):
        one_hot = _measure(OneHotTable(vectors[:rows]), batches(rows))
        result = Comparison(rows, lookup, one_hot)
        if not result.largest_difference < TOLERANCE:
            raise ArithmeticError(f"losses differ by {result.largest_difference} at {rows} rows")
        yield result


def _measure(table: Table, batches: list[Snippets]) -> Cost:
    """Train on the batches; the first is for warming up and for memory, and is not timed."""
    weights = np.full(table.means(batches[0]).shape[1], 0.1, np.float32)
    tracemalloc.start()
    losses = [_train_step(table, weights, batches[0])]
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    seconds = []
    for batch in batches[1:]:
        start = time.perf_counter()
        losses.append(_train_step(table, weights, batch))
        seconds.append(time.perf_counter() - start)
    return Cost(np.array(losses), np.array(seconds), peak_bytes)


def _train_step(table: Table, weights: FloatArray, batch: Snippets) -> float:
    means = table.means(batch)
    loss, error = logistic_loss(np.einsum("bd,d->b", means, weights), batch.labels)
    table.descend(batch, np.outer(error, weights))
    weights -= np.float32(LEARNING_RATE) * np.einsum("b,bd->d", error, means)
    return loss
