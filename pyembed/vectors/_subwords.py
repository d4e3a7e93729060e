"""Vectors of words from their n-grams, as fastText has them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyembed import _core, ops
from pyembed.vectors._words import Words

_PIECE = 1 << 14  # words whose n-grams are looked up at once


@dataclass(frozen=True)
class Subwords:
    """A table of vectors for buckets of n-grams.

    Parameters
    ----------
    matrix : ndarray, shape (buckets, dim)
    shortest, longest : int
        Characters of an n-gram, with the brackets before and behind a word.
    rows : ndarray, shape (words, dim), optional
        What each word has of its own, where that is known: its vector is the mean of this row and
        those of its n-grams.
    """

    matrix: NDArray[Any]
    shortest: int
    longest: int
    rows: NDArray[Any] | None = None

    def ngrams(self, words: Words) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the buckets of words' n-grams, and where those of each word begin, and end."""
        return _core.ngrams(words.data, words.starts, self.shortest, self.longest, len(self.matrix))

    def lengths(self, words: Words) -> NDArray[np.int64]:
        """Return how many n-grams each word has."""
        _, bounds = self.ngrams(words)
        return np.diff(bounds)

    def vectors(self, words: Words) -> NDArray[Any]:
        """Return the mean of each word's n-grams; zeros for a word without any."""
        buckets, bounds = self.ngrams(words)
        return ops.gather_bag(self.matrix, buckets, bounds[:-1], mode="mean")

    def composed(self, words: Words, rows: NDArray[Any]) -> NDArray[Any]:
        """Return the vectors of words that have these rows of their own."""
        made = np.empty(rows.shape, self.matrix.dtype)
        for start in range(0, len(words), _PIECE):
            piece = slice(start, min(start + _PIECE, len(words)))
            sums, counts = self._sums(words.take(np.arange(piece.start, piece.stop)))
            with np.errstate(over="ignore"):  # such numbers are refused by whoever asked
                np.divide(sums + rows[piece], counts + 1, made[piece])
        return made

    def parted(self, words: Words, vectors: NDArray[Any]) -> NDArray[Any]:
        """Return the rows of their own by which words have these vectors, but for rounding."""
        sums, counts = self._sums(words)
        with np.errstate(over="ignore", invalid="ignore"):
            exact: NDArray[Any] = vectors * (counts + 1).astype(np.float64) - sums
            return exact.astype(self.matrix.dtype)

    def _sums(self, words: Words) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the sum of each word's n-grams, and their count, (words, 1)."""
        buckets, bounds = self.ngrams(words)
        sums = ops.gather_bag(self.matrix, buckets, bounds[:-1], mode="sum")
        return sums, np.diff(bounds)[:, None].astype(self.matrix.dtype)

    def taken(self, which: NDArray[np.int64]) -> Subwords:
        """Return those of some words."""
        return self if self.rows is None else replace(self, rows=self.rows[which])

    def astype(self, dtype: Any) -> Subwords:
        """Return them with numbers of a dtype."""
        rows = None if self.rows is None else self.rows.astype(dtype, copy=False)
        return replace(self, matrix=self.matrix.astype(dtype, copy=False), rows=rows)
