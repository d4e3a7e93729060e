"""The gradient of a table, by reference to what `backward` was given."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyembed import _checks, _core, sharding
from pyembed._core import BackwardCall
from pyembed.sharding import AnyTable

_SMALLEST_SQUARES = 1e-290  # a sum below has lost digits to underflow


class SparseGrad:
    """The gradient of one table: ids and upstream gradients, nothing summed yet.

    Made by `Embedding.backward` and `EmbeddingBag.backward`. It borrows their arrays: leave these
    alone until `step`, `coalesce`, `to_dense`, `ids` or `values` has read them. Ids are checked
    against the table then, with the same `IndexError` as in a lookup.

    ``g1 + g2`` is the gradient of both, in that order, ``sum(grads)`` that of all; ``g * scalar``,
    ``g / scalar``, ``-g`` and ``g1 - g2`` scale it. None of these touches an array.

    Of a table with a `comm`, it is what one rank has: `ids`, `values` and `coalesce` are that
    rank's alone (with rows that another rank keeps frozen, which it cannot know). `norm`,
    `clip_norm` and `clip_global_norm` are collective, and of all ranks' gradients together.
    """

    __slots__ = ("_calls", "_expanded", "_table")
    __array_ufunc__ = None  # so that numpy_scalar * g comes here

    def __init__(self, table: AnyTable, calls: tuple[BackwardCall, ...]) -> None:
        self._table = table
        self._calls = calls
        self._expanded: tuple[NDArray[np.int64], NDArray[Any]] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the table, (V, D)."""
        return self._table.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The table's dtype."""
        return np.dtype(self._table.dtype)

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
        ids, values = self._table.coalesced(self._calls)
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
        RuntimeError
            If the table has a `comm`: its rows are with several ranks.
        """
        return self._table.to_dense(self._calls, out, _checks.summing_method(method))

    def norm(self) -> float:
        """Return the Euclidean norm of the coalesced values; collective with a `comm`.

        It is finite wherever a float64 can hold it, whatever their squares are. The squares of a
        row are summed in float64, and the rows' sums exactly.
        """
        return _joint_norm(sharding.ranks_of_tables([self._table]), [self])

    def clip_norm(self, max_norm: float) -> SparseGrad:
        """Return this gradient times ``min(1, max_norm / norm)``; collective with a `comm`.

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

    def __radd__(self, other: Any) -> SparseGrad:
        # sum() begins with 0, which is no gradient.
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __neg__(self) -> SparseGrad:
        return self * -1.0

    def __sub__(self, other: SparseGrad) -> SparseGrad:
        return self + -other if isinstance(other, SparseGrad) else NotImplemented

    def __mul__(self, factor: Any) -> SparseGrad:
        scalar = _scalar(factor)
        if scalar is None:
            return NotImplemented
        return SparseGrad(self._table, tuple(call.scaled(scalar) for call in self._calls))

    __rmul__ = __mul__

    def __truediv__(self, divisor: Any) -> SparseGrad:
        scalar = _scalar(divisor)
        if scalar is None:
            return NotImplemented
        if scalar == 0.0:
            raise ZeroDivisionError("a SparseGrad cannot be divided by zero")
        return SparseGrad(self._table, tuple(call.scaled(1.0 / scalar) for call in self._calls))

    def __repr__(self) -> str:
        return f"SparseGrad(shape={self.shape}, dtype={self.dtype}, calls={len(self._calls)})"

    def _expand(self) -> tuple[NDArray[np.int64], NDArray[Any]]:
        if self._expanded is None:
            ids, values = self._table.expanded(self._calls)
            ids.flags.writeable = values.flags.writeable = False
            self._expanded = ids, values
        return self._expanded


class ClippedGrads(list[SparseGrad]):
    """What `clip_global_norm` returns: the gradients, and their joint `norm` before."""

    def __init__(self, grads: Iterable[SparseGrad], norm: float) -> None:
        super().__init__(grads)
        self.norm = norm


def _scalar(value: Any) -> float | None:
    """Return a real number, also of an array or a tensor without axes, as a float, or None.

    Raises
    ------
    ValueError
        If it is too large for a float64.
    """
    is_number = isinstance(value, (numbers.Real, np.floating, np.integer))
    if not is_number and getattr(value, "shape", None) == ():
        is_number = np.asarray(value).dtype.kind in "fiu"
    if not is_number:
        return None
    try:
        return float(value)
    except OverflowError:
        raise ValueError(
            f"a SparseGrad cannot be scaled by a number of {len(str(value))} digits: it must fit "
            "into a float64"
        ) from None


def _joint_norm(ranks: sharding.Ranks, grads: Sequence[SparseGrad], **told: float) -> float:
    """Return the Euclidean norm of all coalesced values together; inf past float64's range.

    `told` is what is done with it, the same on all ranks.
    """
    values = ranks.coalesced([(grad._table, grad._calls) for grad in grads], told)
    total = _sum_of_squares(ranks, values)
    if not (total == math.inf or total < _SMALLEST_SQUARES):
        return math.sqrt(total)
    # Squares out of range: of numbers that a power of two has brought near 1.
    largest = ranks.most(max((float(np.abs(v).max()) for v in values if v.size), default=0.0))
    if largest == 0.0 or not math.isfinite(largest):
        return largest
    exponent = math.frexp(largest)[1]
    with np.errstate(over="ignore", under="ignore"):
        root = math.sqrt(_sum_of_squares(ranks, values, exponent))
        return float(np.ldexp(root, exponent))


def _sum_of_squares(
    ranks: sharding.Ranks, arrays: Iterable[NDArray[Any]], exponent: int = 0
) -> float:
    """Return that of numbers times ``2**-exponent``; in whatever order, and wherever, they are."""
    parts = np.zeros(_core.sum_parts, np.int64)
    for array in arrays:
        parts += _core.row_sums(array, "square", exponent)
    return _core.exact_sum(ranks.added(parts))


def clip_global_norm(grads: Iterable[SparseGrad], max_norm: float) -> ClippedGrads:
    """Scale gradients together so that their joint norm is at most `max_norm`.

    Parameters
    ----------
    grads : iterable of SparseGrad
        Where tables have a `comm`, this is collective: of the same tables in the same order on all
        ranks, an empty gradient where a rank has none.
    max_norm : float

    Returns
    -------
    list of SparseGrad
        Each times ``min(1, max_norm / norm)``, with the norm of all coalesced values together,
        which is the list's attribute `norm`.

    Raises
    ------
    ValueError
        If `max_norm` is not a finite number >= 0, or not the same on all ranks.
    """
    grads = list(grads)
    ranks = sharding.ranks_of_tables(g._table for g in grads if isinstance(g, SparseGrad))

    def checked() -> float:
        for number, grad in enumerate(grads):
            if not isinstance(grad, SparseGrad):
                kind = type(grad).__name__
                raise TypeError(f"gradient {number} must be a SparseGrad, not {kind}")
        return _checks.real(max_norm, "max_norm", 0.0)

    limit = ranks.agreed(checked)
    norm = _joint_norm(ranks, grads, max_norm=limit)
    # Not min(): a norm of nan must reach the gradients rather than pass as 1.
    scale = 1.0 if norm <= limit else limit / norm
    return ClippedGrads((grad * scale for grad in grads), norm)
