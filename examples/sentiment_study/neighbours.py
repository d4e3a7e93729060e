"""Question 3: which words are alike, before and after training?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .classifier import FloatArray

QUERIES = ("bad", "boring", "brilliant", "funny", "french")

# What a thesaurus and a critic would say of two words: alike or not in meaning, and in verdict.
PAIRS = {
    "opposite verdicts": (
        ("good", "bad"),
        ("best", "worst"),
        ("funny", "unfunny"),
        ("beautiful", "ugly"),
        ("brilliant", "dull"),
    ),
    "the same verdict": (
        ("boring", "tedious"),
        ("brilliant", "touching"),
        ("bad", "lazy"),
    ),
    "neither": (
        ("comedy", "drama"),
        ("actor", "actress"),
    ),
}


class Similarity:
    """Cosine similarity between the words of one table.

    Parameters
    ----------
    words
        Their vectors are rows 1, 2, ... of ``vectors``.
    candidates
        For each row, whether it may be named as a neighbour.
    """

    def __init__(
        self, words: Sequence[str], vectors: FloatArray, candidates: npt.NDArray[np.bool_]
    ) -> None:
        length = np.sqrt(np.einsum("vd,vd->v", vectors, vectors))
        self._words = words
        self._row = {word: row for row, word in enumerate(words, start=1)}
        self._directions = vectors / np.maximum(length, 1e-12)[:, None]
        self._candidates = candidates

    def between(self, first: str, second: str) -> float:
        """Return the cosine of the angle between the vectors of two words."""
        return float(self._cosines(first)[self._row[second]])

    def nearest(self, word: str, count: int) -> list[tuple[str, float]]:
        """Return the most similar other words, the most similar first."""
        cosines = self._cosines(word)
        allowed = self._candidates.copy()
        allowed[self._row[word]] = False
        rows = np.flatnonzero(allowed)
        nearest = rows[np.argsort(-cosines[rows], kind="stable")[:count]]
        return [(self._words[row - 1], float(cosines[row])) for row in nearest]

    def _cosines(self, word: str) -> FloatArray:
        return np.einsum("vd,d->v", self._directions, self._directions[self._row[word]])
