"""Passes over arrays of any size in float64, by blocks: temporary arrays are small."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_BLOCK = 1 << 16  # elements


def real_array(value: ArrayLike, name: str) -> NDArray[Any]:
    """Return `value` as an array of floats (integers as float64), or raise TypeError."""
    array = np.asarray(value)
    if array.dtype.kind in "iu" or (array.size == 0 and not isinstance(value, np.ndarray)):
        array = array.astype(np.float64)
    if array.dtype.kind != "f":
        raise TypeError(f"{name} must be real numbers, not {array.dtype}")
    return array


def sum_of(function: Callable[[NDArray[np.float64]], NDArray[Any]], array: NDArray[Any]) -> float:
    """Return the sum of an elementwise function, in C order: the same bits in any layout."""
    flat = array.reshape(-1) if array.flags.c_contiguous else array.flat
    total = 0.0
    for start in range(0, array.size, _BLOCK):
        block = np.asarray(flat[start : start + _BLOCK], np.float64)
        total += float(np.sum(function(block)))
    return total


def norms(array: NDArray[Any], axes: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the Euclidean norms along `axes` (at least 0), which are kept with length 1."""
    shape = [1 if axis in axes else length for axis, length in enumerate(array.shape)]
    squares = np.zeros(shape)
    for rows in _row_blocks(array):
        block = np.square(array[rows], dtype=np.float64, order="C")
        if 0 in axes:
            squares += np.sum(block, axis=axes, keepdims=True)
        else:
            np.sum(block, axis=axes, keepdims=True, out=squares[rows])
    return np.sqrt(squares, out=squares)


def _row_blocks(array: NDArray[Any]) -> Iterator[slice]:
    row_size = max(1, array.size // max(1, len(array)))
    step = max(1, _BLOCK // row_size)
    for start in range(0, len(array), step):
        yield slice(start, start + step)
