"""The gradient of a table, by reference to what `backward` was given."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyembed import _checks, _core
from pyembed._core import BackwardCall
from pyembed.table import Table


class SparseGrad:
    """The gradient of one table: ids and upstream gradients, nothing summed yet.

    Made by `Embedding.backward` and `EmbeddingBag.backward`. It borrows their arrays: leave these
    alone until `step`, `coalesce`, `to_dense`, `ids` or `values` has read them. Ids are checked
    against the table then, with the same `IndexError` as in a lookup.

    ``g1 + g2`` is the gradient of both, in that order; ``g * scalar`` scales it. Neither touches an
    array.
    """

    __slots__ = ("_calls", "_expanded", "_table")
    __array_ufunc__ = None  # so that numpy_scalar * g comes here

    def __init__(self, table: Table, calls: tuple[BackwardCall, ...]) -> None:
        self._table = table
        self._calls = calls
        self._expanded: tuple[NDArray[np.int64], NDArray[Any]] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the table, (V, D)."""
        rows, dim = self._table.array.shape
        return rows, dim

    @property
    def dtype(self) -> np.dtype[Any]:
        """The table's dtype."""
        return self._table.array.dtype

    @property
    def ids(self) -> NDArray[np.int64]:
        """The row of each summand, (n,), in order of position; padding is left out."""
        return self._expand()[0]

    @property
    def values(self) -> NDArray[Any]:
        """The summands beside `ids`, (n, D), read-only: made on demand, one row an id."""
        return self._expand()[1]

    def coalesce(self) -> SparseGrad:
        """Return the same gradient with each row once.

        Returns
        -------
        SparseGrad
            Its `ids` ascend and are unique; its `values` are summed in order of position. It has
            memory of its own.

        Raises
        ------
        IndexError
            If an id is outside the table.
        """
        ids, values = _core.coalesce(self._table, self._calls)
        _, dim = self.shape
        return SparseGrad(self._table, (BackwardCall(ids, values, dim, self.dtype.name),))

    def to_dense(self, out: NDArray[Any] | None = None, method: str = "auto") -> NDArray[Any]:
        """Return the gradient as an array of the table's shape.

        Parameters
        ----------
        out : ndarray, shape (V, D), optional
            Where the result goes; what it held is overwritten.
        method : {'auto', 'sorted', 'atomic'}
            As in `pyembed.ops.scatter_add`.

        Returns
        -------
        ndarray, shape (V, D)

        Raises
        ------
        IndexError
            If an id is outside the table; `out` is untouched then.
        TypeError, ValueError
            If `out` does not fit.
        """
        if out is None:
            out = _core.zeros(self.shape, self.dtype.name)
        _core.to_dense(self._table, self._calls, out, method)
        return out

    def norm(self) -> float:
        """Return the Euclidean norm of the coalesced values."""
        return math.sqrt(self._square_sum())

    def clip_norm(self, max_norm: float) -> SparseGrad:
        """Return this gradient times ``min(1, max_norm / norm)``.

        Raises
        ------
        ValueError
            If `max_norm` is not a finite number >= 0.
        """
        return clip_global_norm([self], max_norm)[0]

    def __add__(self, other: SparseGrad) -> SparseGrad:
        if not isinstance(other, SparseGrad):
            return NotImplemented
        if other._table is not self._table:
            raise ValueError("gradients of two different tables cannot be added")
        return SparseGrad(self._table, self._calls + other._calls)

    def __mul__(self, factor: float) -> SparseGrad:
        if not isinstance(factor, (numbers.Real, np.floating, np.integer)):
            return NotImplemented
        calls = tuple(call.scaled(float(factor)) for call in self._calls)
        return SparseGrad(self._table, calls)

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return f"SparseGrad(shape={self.shape}, dtype={self.dtype}, calls={len(self._calls)})"

    def _expand(self) -> tuple[NDArray[np.int64], NDArray[Any]]:
        if self._expanded is None:
            ids, values = _core.expand(self._table, self._calls)
            ids.flags.writeable = values.flags.writeable = False
            self._expanded = ids, values
        return self._expanded

    def _square_sum(self) -> float:
        _, values = _core.coalesce(self._table, self._calls)
        # Pairwise in NumPy's fixed order; a BLAS dot would depend on its number of threads.
        return float(np.square(values, dtype=np.float64).sum())


def clip_global_norm(grads: Iterable[SparseGrad], max_norm: float) -> list[SparseGrad]:
    """Scale gradients together so that their joint norm is at most `max_norm`.

    Parameters
    ----------
    grads : iterable of SparseGrad
    max_norm : float

    Returns
    -------
    list of SparseGrad
        Each times ``min(1, max_norm / norm)``, with the norm of all coalesced values together.

    Raises
    ------
    ValueError
        If `max_norm` is not a finite number >= 0.
    """
    limit = _checks.real(max_norm, "max_norm", 0.0)
    grads = list(grads)
    for number, grad in enumerate(grads):
        if not isinstance(grad, SparseGrad):
            raise TypeError(f"gradient {number} must be a SparseGrad, not {type(grad).__name__}")
    norm = math.sqrt(sum(grad._square_sum() for grad in grads))
    # Not min(): a norm of nan must reach the gradients rather than pass as 1.
    scale = 1.0 if norm <= limit else limit / norm
    return [grad * scale for grad in grads]
