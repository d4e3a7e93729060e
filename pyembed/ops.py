"""The kernels on plain ndarrays, without a layer.

Ids are integers of any dtype and shape; an id outside the table raises `IndexError` that names it,
and then nothing is written. Negative ids are outside.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyembed import _checks, _core

__all__ = ["coalesce", "gather", "gather_bag", "scatter_add"]


def gather(table: NDArray[Any], ids: ArrayLike, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
    """Return ``table[ids]``.

    Parameters
    ----------
    table : ndarray, shape (V, D)
        float32 or float64, with contiguous rows; read in place.
    ids : array_like of int, any shape
    out : ndarray, shape ids.shape + (D,), optional
        Where the result goes: table's dtype, contiguous rows, apart from `table` and `ids`.

    Returns
    -------
    ndarray, shape ids.shape + (D,)

    Raises
    ------
    IndexError, TypeError, ValueError
        If an id, a dtype, or a shape or layout is not as described.
    """
    return _core.gather(table, ids, out)


def gather_bag(
    table: NDArray[Any],
    ids: ArrayLike,
    offsets: ArrayLike | None,
    *,
    mode: str = "sum",
    weights: ArrayLike | None = None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Return one pooled row of `table` for each bag of ids.

    Parameters
    ----------
    table : ndarray, shape (V, D)
        float32 or float64, with contiguous rows; read in place.
    ids : array_like of int, shape (n,) or (bags, length)
    offsets : array_like of int32 or int64, shape (bags,), or None
        Where each bag starts in ids of one axis; None for ids of two.
    mode : {'sum', 'mean', 'max', 'sqrtn'}
        As in `pyembed.EmbeddingBag`.
    weights : array_like, shape of ids, optional
        Of table's dtype; not with ``mode='max'``.
    out : ndarray, shape (bags, D), optional
        Where the result goes.

    Returns
    -------
    ndarray, shape (bags, D)

    Raises
    ------
    IndexError, TypeError, ValueError
        If an id, a dtype, or a shape, layout or offset is not as described.
    """
    return _core.gather_bag(table, ids, offsets, weights, _checks.pooling_mode(mode), out)


def scatter_add(
    dst: NDArray[Any], ids: ArrayLike, rows: ArrayLike, *, method: str = "auto"
) -> NDArray[Any]:
    """Add each of `rows` to the row of `dst` that its id names, in place.

    Parameters
    ----------
    dst : ndarray, shape (V, D)
        float32 or float64, with contiguous rows, writeable.
    ids : array_like of int, any shape
    rows : array_like, shape ids.shape + (D,)
        Of dst's dtype.
    method : {'auto', 'sorted', 'atomic'}
        'sorted' sums the rows of each id in order of position and adds the sum to `dst` once: the
        same bits at any number of threads. 'atomic' adds each row at once, in whatever order the
        threads come, so roundings vary from run to run. 'auto' is never atomic.

    Returns
    -------
    ndarray
        `dst`.

    Raises
    ------
    IndexError, TypeError, ValueError
        If an id, a dtype, or a shape or layout is not as described; `dst` is untouched then.
    """
    _core.scatter_add(dst, ids, rows, _checks.summing_method(method))
    return dst


def coalesce(ids: ArrayLike, rows: ArrayLike) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Sum rows that have the same id.

    Parameters
    ----------
    ids : array_like of int, any shape
        Any values that fit into int64, negative ones too.
    rows : array_like, shape ids.shape + (D,)
        float32 or float64.

    Returns
    -------
    unique_ids : ndarray of int64, shape (u,)
        Ascending.
    sums : ndarray, shape (u, D)
        The rows of each id summed in order of position.

    Raises
    ------
    TypeError, ValueError
        If a dtype or a shape is not as described.
    """
    if not isinstance(ids, np.ndarray):
        ids = np.asarray(ids)
        if ids.size == 0:  # [] is float64 to NumPy
            ids = ids.astype(np.int64)
    rows = np.asarray(rows)
    if rows.dtype not in (np.float32, np.float64):
        raise TypeError(f"rows must have dtype float32 or float64, not {rows.dtype}")
    if rows.ndim == 0:
        raise ValueError("rows must have at least one axis (dim)")

    def sums(ids: NDArray[Any], largest: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
        call = _core.BackwardCall(ids, rows, rows.shape[-1], rows.dtype.name, "rows")
        return _core.coalesce_rows(call, largest + 1)

    if ids.size == 0 or ids.dtype.kind not in "iu":
        return sums(ids, 0)
    low, high = int(ids.min()), int(ids.max())
    if low >= 0 and high < 2**32:
        return sums(ids, high)
    if high >= 2**63:
        raise ValueError(f"ids has {high}, which does not fit into int64")
    # Wide or negative ids are sorted by what they are first, then summed by rank.
    unique, ranks = np.unique(ids, return_inverse=True)
    ranks_in_order, summed = sums(ranks.reshape(ids.shape), len(unique) - 1)
    return unique[ranks_in_order].astype(np.int64), summed
