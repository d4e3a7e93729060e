"""The tables that training works on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyembed import _core
from pyembed.vectors._subwords import Subwords
from pyembed.vectors.word_vectors import WordVectors
from pyembed.word2vec._rows import Rows
from pyembed.word2vec._trained import TrainedVectors


class Tables:
    """What words have as they predict, and as they are predicted.

    Attributes
    ----------
    inputs : ndarray of float32, shape (words + buckets, dim)
        Of words, and of n-grams behind them.
    outputs : ndarray of float32
        Of words, (words, dim); or of the inner nodes of a tree.
    composed : (ndarray of int64, ndarray of int64) or None
        With n-grams: the rows of words, one word's after the other's, and where each one's begin.
    """

    def __init__(
        self,
        rows: Rows,
        dim: int,
        lengths: tuple[int, int] | None,
        buckets: int,
        loss: str,
        initial: WordVectors | None,
        seed: int,
    ) -> None:
        words = len(rows.words)
        self._words = rows.words
        self._lengths = lengths
        self.inputs: NDArray[np.float32] = _core.zeros((words + buckets, dim), "float32", True)
        high = 1 / dim  # as gensim and fastText begin
        _core.fill_uniform(self.inputs, seed, 0, 1, -high, high)
        nodes = np.count_nonzero(rows.counts) - 1 if loss == "hs" else words
        self.outputs: NDArray[np.float32] = _core.zeros((nodes, dim), "float32", True)
        self.composed = None
        if lengths is not None:
            grams, bounds = self._subwords().ngrams(rows.words)
            own = np.arange(words)
            self.composed = (
                np.insert(grams + words, bounds[:-1], own),
                bounds + np.arange(words + 1),
            )
        if initial is not None:
            self._begin_with(initial, loss)

    def _begin_with(self, initial: WordVectors, loss: str) -> None:
        known = len(initial)
        if self._lengths is None:
            self.inputs[:known] = initial.matrix
        else:
            there = initial._subwords
            mine = (*self._lengths, len(self.inputs) - len(self._words))
            if there is None or (there.shortest, there.longest, len(there.matrix)) != mine:
                raise ValueError(
                    f"initial must have n-grams of {mine[0]} to {mine[1]} characters in {mine[2]} "
                    "buckets, as subword= and buckets= say"
                )
            own = there.rows
            self.inputs[:known] = (
                there.parted(initial._words, initial.matrix) if own is None else own
            )
            self.inputs[len(self._words) :] = there.matrix
        if isinstance(initial, TrainedVectors) and loss == "ns" and len(initial.output) == known:
            self.outputs[:known] = initial.output

    def _subwords(self) -> Subwords:
        assert self._lengths is not None
        own, grams = np.split(self.inputs, [len(self._words)])
        return Subwords(grams, *self._lengths, own)

    def vectors(self) -> tuple[NDArray[np.float32], Subwords | None]:
        """Return the vectors of words, and those of n-grams where there are some."""
        if self._lengths is None:
            return self.inputs, None
        subwords = self._subwords()
        assert subwords.rows is not None
        return subwords.composed(self._words, subwords.rows), subwords
