"""The rows of a matrix that are nearest to questions, whatever its layout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyembed import _core

_QUESTIONS = 128  # in one call of the core: between two calls, Ctrl-C is heard
_FOUND = 1 << 20  # answers in one call
_ROWS = 1 << 15  # that are copied at once where they cannot be read in place

Nearest = tuple[NDArray[np.int64], NDArray[np.float64]]


def nearest(matrix: NDArray[Any], questions: NDArray[np.float64], k: int) -> Nearest:
    """Return the rows with the highest cosines, and these, for each question.

    Parameters
    ----------
    matrix : ndarray of float32 or float64, shape (rows, dim)
        In any layout. Rows of zeros, or with a nan or an infinity, are no answers.
    questions : ndarray of float64, shape (questions, dim)
        None of them without a direction.
    k : int

    Returns
    -------
    rows, cosines : ndarrays of int64 and float64, shape (questions, min(k, rows))
        Highest first, of equal ones the first row; -1 and nan where there are no more.
    """
    k = min(k, len(matrix))
    at_once = max(1, min(_QUESTIONS, _FOUND // max(k, 1)))
    parts = [
        _through_pieces(matrix, questions[start : start + at_once], k)
        for start in range(0, len(questions), at_once)
    ]
    if len(parts) == 1:
        return parts[0]
    empty = np.empty((0, k))
    rows = np.concatenate([empty.astype(np.int64), *(rows for rows, _ in parts)])
    return rows, np.concatenate([empty, *(cosines for _, cosines in parts)])


def cosines(
    matrix: NDArray[Any], rows: NDArray[np.int64], questions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the cosine of each row with the question beside it; 0 where one of them is zeros."""
    if not _is_read_in_place(matrix):
        matrix, rows = np.ascontiguousarray(matrix[rows]), np.arange(len(rows))
    found = _core.cosines(matrix, rows, questions)
    for place in np.flatnonzero(np.isnan(found)):
        if not matrix[rows[place]].any() or not questions[place].any():
            found[place] = 0.0
    return found


def _is_read_in_place(matrix: NDArray[Any]) -> bool:
    return matrix.flags.aligned and matrix.strides[1] == matrix.itemsize


def _pieces(matrix: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield parts of a matrix that the core reads, and where they begin."""
    if _is_read_in_place(matrix):
        yield 0, matrix
        return
    for start in range(0, len(matrix), _ROWS):
        yield start, np.array(matrix[start : start + _ROWS], order="C")


def _through_pieces(matrix: NDArray[Any], questions: NDArray[np.float64], k: int) -> Nearest:
    rows = np.empty((len(questions), 0), np.int64)
    found = np.empty((len(questions), 0))
    for start, piece in _pieces(matrix):
        more, their = _core.nearest(piece, questions, k)
        if start == 0:
            rows, found = more, their
            continue
        rows = np.hstack([rows, np.where(more < 0, -1, more + start)])
        found = np.hstack([found, their])
        best = np.argsort(-found, axis=1, kind="stable")[:, :k]  # a nan is last
        rows, found = np.take_along_axis(rows, best, 1), np.take_along_axis(found, best, 1)
    return rows, found
