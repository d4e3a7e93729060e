"""Arrays of strings, as the core reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PIECE = 1 << 14  # strings
_WIDEST = 64  # characters: a piece of longer strings would take much memory at a fixed width


def plain(array: NDArray[Any], name: str) -> Iterator[NDArray[Any]]:
    """Yield an array of strings in pieces that are native, fixed-width or of objects, in C order.

    Raises
    ------
    TypeError
        If a string is missing in an array of NumPy's StringDType.
    """
    if array.dtype.kind != "T":
        yield np.ascontiguousarray(array, array.dtype.newbyteorder("="))
        return
    flat = array.reshape(-1)
    for start in range(0, len(flat), _PIECE):
        yield _fixed(flat[start : start + _PIECE], name)


def _fixed(piece: NDArray[Any], name: str) -> NDArray[Any]:
    if hasattr(piece.dtype, "na_object") and np.any(_is_missing(piece)):
        raise TypeError(f"{name} must be strings, but one is missing")
    width = int(np.strings.str_len(piece).max(initial=1))
    return piece.astype(f"U{max(width, 1)}" if width <= _WIDEST else object)


def _is_missing(piece: NDArray[Any]) -> NDArray[np.bool_]:
    na_object = piece.dtype.na_object  # type: ignore[attr-defined]
    if isinstance(na_object, float) and np.isnan(na_object):
        return np.asarray(np.isnan(piece), bool)
    return np.array([text is na_object for text in piece.astype(object)], bool)
