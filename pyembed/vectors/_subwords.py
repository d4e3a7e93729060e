"""Vectors of words from their n-grams, as fastText has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyembed import _core, ops
from pyembed.vectors._words import Words


@dataclass(frozen=True)
class Subwords:
    """A table of vectors for buckets of n-grams.

    Parameters
    ----------
    matrix : ndarray, shape (buckets, dim)
    shortest, longest : int
        Characters of an n-gram, with the brackets before and behind a word.
    """

    matrix: NDArray[Any]
    shortest: int
    longest: int

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
