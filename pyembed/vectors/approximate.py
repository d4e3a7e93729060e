"""Nearest words by usearch's graph: in less time than there are words, but not all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyembed import _checks
from pyembed.config import get_num_threads
from pyembed.vectors._nearest import Nearest, cosines
from pyembed.vectors.questions import Questions

if TYPE_CHECKING:
    from pyembed.vectors.word_vectors import WordVectors

_ROWS = 1 << 14  # that are added at once: in between, Ctrl-C is heard


class ApproximateIndex(Questions):
    """Word vectors whose nearest ones are looked for by usearch; see `WordVectors.index`.

    What it finds is ordered by exact cosines, which are those of the matrix as it is by then; the
    graph is of the vectors that were there when it was made.
    """

    def __init__(
        self,
        wv: WordVectors,
        connectivity: int = 16,
        expansion_add: int = 128,
        expansion_search: int = 64,
    ) -> None:
        try:
            from usearch.index import Index
        except ImportError as error:
            raise ImportError("an approximate index needs usearch: pip install usearch") from error
        self._wv = wv
        self._words = wv._words
        self._graph: Any = Index(
            ndim=wv.dim,
            metric="cos",
            dtype="f32",
            connectivity=_checks.integer(connectivity, "connectivity", 2),
            expansion_add=_checks.integer(expansion_add, "expansion_add", 1),
            expansion_search=_checks.integer(expansion_search, "expansion_search", 1),
        )
        for start in range(0, len(wv), _ROWS):
            rows, vectors = _with_direction(wv.matrix[start : start + _ROWS])
            if len(rows):
                self._graph.add(rows + start, vectors, threads=get_num_threads())

    @property
    def dim(self) -> int:
        """The length of a vector."""
        return self._wv.dim

    @property
    def has_subwords(self) -> bool:
        """Whether words that are not here have vectors too."""
        return self._wv.has_subwords

    def __len__(self) -> int:
        return len(self._graph)

    def rows(self, words: Any) -> NDArray[np.int64]:
        """Return the row of each word, -1 for one that is not here."""
        return self._wv.rows(words)

    def _vectors(self, strings: Any) -> NDArray[Any]:
        return self._wv._vectors(strings)

    def _nearest(self, questions: NDArray[np.float64], k: int, first: int | None) -> Nearest:
        if first is not None:
            raise ValueError("restrict_vocab: an index has all words; ask the word vectors instead")
        count = min(k, len(self))
        rows = np.full((len(questions), count), -1)
        found = np.full((len(questions), count), np.nan)
        if rows.size == 0:
            return rows, found
        _, asked = _with_direction(questions)
        matches = self._graph.search(asked, count, threads=get_num_threads())
        keys = np.asarray(matches.keys).reshape(len(questions), -1)
        counts = getattr(matches, "counts", [keys.shape[1]])  # which one question alone has not
        there = np.arange(count) < np.reshape(counts, (-1, 1))
        rows[there] = keys[there[:, : keys.shape[1]]].astype(np.int64)
        places, _ = np.nonzero(there)
        found[there] = cosines(self._wv.matrix, rows[there], questions[places])
        best = np.lexsort((rows, -found), axis=1)
        return np.take_along_axis(rows, best, 1), np.take_along_axis(found, best, 1)

    def __repr__(self) -> str:
        return f"<ApproximateIndex of {len(self):,} words, dim {self.dim}>"


def _with_direction(matrix: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return which rows have a direction, and these, divided by their largest number."""
    largest = np.max(np.abs(matrix), axis=1, initial=0)
    rows = np.flatnonzero(np.isfinite(largest) & (largest > 0))
    scaled = matrix[rows] / largest[rows, None]
    return rows, np.ascontiguousarray(scaled, np.float32)
