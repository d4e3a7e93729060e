"""What counts as an array, and passes over arrays in float64, by blocks of small size."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyembed import _core

_BLOCK = 1 << 16  # elements


def as_array(value: Any, name: str) -> NDArray[Any]:
    """Return `value` as an array, where it lies if NumPy can read it there.

    Whatever `numpy.asarray` takes: sequences, objects with ``__array__`` (tensors of PyTorch on the
    CPU, arrays of JAX and PyArrow) or the buffer protocol; and what has DLPack alone.

    Raises
    ------
    TypeError
        If an array of another library cannot be read: on another device, or with a gradient; or if
        it is a masked array, whose mask would be lost.
    """
    _refuse_masked(value, name)
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            return np.from_dlpack(value)
        return np.asarray(value)
    except (BufferError, RuntimeError, TypeError) as error:
        if not hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            raise
        raise TypeError(f"{name} cannot be read as an array: {error}") from error


def is_array(value: Any) -> bool:
    """Return whether this is an array, of NumPy or of another library; a number of NumPy is none.

    Not a class or a callable that happens to have an array's methods.
    """
    if isinstance(value, (np.generic, type)) or callable(value):
        return False
    return hasattr(value, "__array__") or hasattr(value, "__dlpack__")


def shared_array(value: Any, name: str) -> NDArray[Any]:
    """Return an array that shares the memory of `value`, an array of any library, or raise."""
    _refuse_masked(value, name)
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "__dlpack__"):
        try:
            array = np.from_dlpack(value)
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            raise TypeError(f"{name} cannot share its memory: {error}") from error
        return array if array.flags.writeable else _perhaps_writeable(value, array)
    try:
        buffer = memoryview(value)
    except TypeError:
        raise TypeError(
            f"{name} must be a numpy.ndarray or have DLPack or the buffer protocol to share its "
            f"memory, not {type(value).__name__}; copy=True takes what numpy.asarray does"
        ) from None
    return np.asarray(buffer)


def _refuse_masked(value: Any, name: str) -> None:
    """Refuse an array whose mask would be lost."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array: give its data, or its compressed() elements")


def _perhaps_writeable(value: Any, array: NDArray[Any]) -> NDArray[Any]:
    """Return what NumPy has of `value` otherwise, if it is the same memory.

    Older versions make everything that comes by DLPack read-only.
    """
    if not hasattr(value, "__array__"):
        return array
    other = np.asarray(value)
    same = other.__array_interface__["data"][0] == array.__array_interface__["data"][0]
    return other if same else array


def real_array(value: ArrayLike, name: str) -> NDArray[Any]:
    """Return `value` as an array of floats (integers as float64), or raise TypeError."""
    array = np.asarray(value)
    if array.dtype.kind in "iu" or (array.size == 0 and not isinstance(value, np.ndarray)):
        array = array.astype(np.float64)
    if array.dtype.kind != "f":
        raise TypeError(f"{name} must be real numbers, not {array.dtype}")
    return array


def row_sums(array: NDArray[Any], summed: str, exponent: int = 0) -> NDArray[np.int64]:
    """Return the sum of an array's magnitudes or squares, in the parts of an exact one.

    Those of several arrays add up; `_core.exact_sum` makes a number of them. Rows, along the last
    axis, are summed in float64 and then added exactly: the same bits in any layout and order.
    """
    parts = np.zeros(_core.sum_parts, np.int64)
    if array.ndim > 2:
        for below in array:
            parts += row_sums(below, summed, exponent)
        return parts
    matrix = np.atleast_2d(array)
    is_read_in_place = matrix.dtype.name in _core.elements and matrix.flags.c_contiguous
    if is_read_in_place and matrix.flags.aligned and matrix.dtype.isnative:
        return _core.row_sums(matrix, summed, exponent)
    dtype = matrix.dtype if matrix.dtype.name in _core.elements else np.float64
    for rows in _row_blocks(matrix):
        block = np.array(matrix[rows], np.dtype(dtype).newbyteorder("="), order="C")
        parts += _core.row_sums(block, summed, exponent)
    return parts


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


def writeable(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array, or a copy of one that became read-only, as pickled out of band."""
    return array if array.flags.writeable else array.copy()


def share_memory(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Return whether two arrays have an element in common; True where that is hard to tell."""
    try:
        return np.shares_memory(a, b, max_work=100_000)  # type: ignore[arg-type]
    except RuntimeError:  # TooHardError, whose place differs between versions of NumPy
        return True


def bounds(array: NDArray[Any]) -> tuple[int, int]:
    """Return the first address of an array's memory, and the one after its last."""
    begin = end = int(array.__array_interface__["data"][0])
    if array.size == 0:
        return begin, end
    for length, stride in zip(array.shape, array.strides, strict=True):
        reach = (length - 1) * stride
        begin, end = begin + min(reach, 0), end + max(reach, 0)
    return begin, end + array.itemsize
