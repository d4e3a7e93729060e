"""What training did to word vectors: how far each has moved, and to which side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Moves:
    """Words before and after training, from where the classifier sees them.

    Attributes
    ----------
    words
        The most frequent first.
    before, after
        Their places, (words, 2). Across: what a word adds to the score of a snippet that has no
        other, above 0 if it speaks for the film. Along: the direction in which the vectors differ
        most before training, of those that the score does not depend on.
    distance
        How far each vector has moved, in all directions, (words,).
    """

    words: list[str]
    before: FloatArray
    after: FloatArray
    distance: FloatArray

    @classmethod
    def of(
        cls,
        words: list[str],
        before: npt.NDArray[np.float32],
        after: npt.NDArray[np.float32],
        weights: npt.NDArray[np.float32],
    ) -> Moves:
        """Look at vectors from the side of the classifier's weights."""
        score = weights.astype(np.float64)
        unit = score / np.sqrt(np.einsum("d,d->", score, score))
        rest = before - np.outer(np.einsum("wd,d->w", before, unit), unit)
        _, _, axes = np.linalg.svd(rest - rest.mean(axis=0), full_matrices=False)
        across = axes[0] * np.sign(axes[0][np.argmax(np.abs(axes[0]))])
        plane = np.stack([score, across], axis=1)
        distance = np.linalg.norm(after.astype(np.float64) - before, axis=1)
        # Not before @ plane: BLAS may add in another order with another number of threads.
        places = (np.einsum("wd,dp->wp", vectors, plane) for vectors in (before, after))
        return cls(words, *places, distance)

    def farthest(self, count: int) -> list[int]:
        """Return the places of the words that moved most, the farthest first."""
        return np.argsort(-self.distance, kind="stable")[:count].tolist()

    def by_side(self, count: int) -> tuple[list[int], list[int]]:
        """Return the words that moved most to the left, and to the right."""
        turn = self.after[:, 0] - self.before[:, 0]
        order = np.argsort(turn, kind="stable")
        return order[:count].tolist(), order[::-1][:count].tolist()
