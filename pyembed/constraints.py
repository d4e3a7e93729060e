"""What a table's values are brought back to after an update, under Keras's names.

A constraint is called with an array and returns a new one. Keras's default ``axis=0`` bounds the
norm of each column of the whole table; ``axis=1`` that of each row.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyembed import _arrays, _checks
from pyembed._registry import Configured, Registry

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "get",
    "serialize",
]

_EPSILON = 1e-7  # Keras's


class Constraint(Configured):
    """Base of all: a subclass has `__call__` and, for its arguments, `get_config`."""

    @property
    def is_by_row(self) -> bool:
        """Whether each row of a table (rows, dim) is constrained by itself.

        Then the rows that a step updated are enough; else it needs the whole table.
        """
        return False

    def __call__(self, w: ArrayLike) -> NDArray[Any]:
        """Return the constrained values.

        Parameters
        ----------
        w : array_like of float

        Returns
        -------
        ndarray
            A new one, of the shape and dtype of `w`.

        Raises
        ------
        TypeError
            If `w` is not of real numbers.
        ValueError
            If it has no such axis.
        """
        raise NotImplementedError


class NonNeg(Constraint):
    """Negative values become 0."""

    @property
    def is_by_row(self) -> bool:
        """True."""
        return True

    def __call__(self, w: ArrayLike) -> NDArray[Any]:
        """Return ``max(w, 0)``, of the shape and dtype of `w`."""
        w = _arrays.real_array(w, "w")
        return np.asarray(np.maximum(w, w.dtype.type(0)))


class NormConstraint(Constraint):
    """Moves the norms along `axis` towards a range, in float64 until the last cast."""

    _arguments: ClassVar[tuple[str, ...]] = ("axis",)
    min_value: float = 0.0
    max_value: float = 1.0
    rate: float = 1.0

    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        self.axis = _axis(axis)

    @property
    def is_by_row(self) -> bool:
        """Whether `axis` is the second one of a table, alone."""
        return self.axis in (1, -1, (1,), (-1,))

    def __call__(self, w: ArrayLike) -> NDArray[Any]:
        w = _arrays.real_array(w, "w")
        norms = _arrays.norms(w, self._axes(w.ndim))
        constrained: NDArray[Any] = w * self._factor(norms).astype(w.dtype)
        return constrained

    def _factor(self, norms: NDArray[np.float64]) -> NDArray[np.float64]:
        wanted = np.clip(norms, self.min_value, self.max_value)
        if self.rate != 1.0:
            wanted = self.rate * wanted + (1.0 - self.rate) * norms
        return wanted / (_EPSILON + norms)

    def _axes(self, ndim: int) -> tuple[int, ...]:
        axes = (self.axis,) if isinstance(self.axis, int) else self.axis
        if not all(-ndim <= axis < ndim for axis in axes):
            raise ValueError(f"axis={self.axis!r} is outside an array of {ndim} axes")
        counted = tuple(axis % ndim for axis in axes)
        if len(set(counted)) < len(counted):
            raise ValueError(f"axis={self.axis!r} names an axis of an array of {ndim} axes twice")
        return counted


class MaxNorm(NormConstraint):
    """Norms n become at most `max_value`: ``w * clip(n, 0, max_value) / (1e-7 + n)``.

    Parameters
    ----------
    max_value : float
        At least 0.
    axis : int or sequence of int
        The axes that a norm is taken along: 0 for each column's, 1 for each row's.
    """

    _arguments = ("max_value", "axis")

    def __init__(self, max_value: float = 2, axis: int | Sequence[int] = 0) -> None:
        super().__init__(axis)
        self.max_value = _checks.real(max_value, "max_value", 0.0)


class UnitNorm(NormConstraint):
    """Norms n become 1: ``w / (1e-7 + n)``; a row or column of zeros stays one.

    Parameters
    ----------
    axis : int or sequence of int
        The axes that a norm is taken along: 0 for each column's, 1 for each row's.
    """

    min_value = 1.0


class MinMaxNorm(NormConstraint):
    """Norms n move towards a range, to ``rate * clip(n, min_value, max_value) + (1 - rate) * n``.

    Values are multiplied by that and divided by ``1e-7 + n``.

    Parameters
    ----------
    min_value, max_value : float
        At least 0.
    rate : float
        From 0 to 1: how much of the way norms move.
    axis : int or sequence of int
        The axes that a norm is taken along: 0 for each column's, 1 for each row's.
    """

    _arguments = ("min_value", "max_value", "rate", "axis")

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: int | Sequence[int] = 0,
    ) -> None:
        super().__init__(axis)
        self.min_value = _checks.real(min_value, "min_value", 0.0)
        self.max_value = _checks.real(max_value, "max_value", 0.0)
        if self.min_value > self.max_value:
            raise ValueError(f"min_value={min_value!r} must not be above max_value={max_value!r}")
        self.rate = _checks.real(rate, "rate", 0.0)
        if self.rate > 1.0:
            raise ValueError(f"rate={rate!r} must not be above 1")


def _axis(value: Any) -> int | tuple[int, ...]:
    """Return a checked `axis`."""
    if isinstance(value, (tuple, list)):
        if not value:
            raise ValueError(f"axis={value!r} must name an axis")
        return tuple(_checks.integer(axis, "axis", -64, 63) for axis in value)
    return _checks.integer(value, "axis", -64, 63)  # no array has more axes


# Keras's second names.
max_norm = MaxNorm
min_max_norm = MinMaxNorm
non_neg = NonNeg
unit_norm = UnitNorm

ConstraintLike: TypeAlias = (
    str | dict[str, Any] | type[Constraint] | Constraint | Callable[..., Any]
)

_REGISTRY = Registry[Constraint]([MaxNorm, MinMaxNorm, NonNeg, UnitNorm], "embeddings_constraint")
get = _REGISTRY.get
is_builtin = _REGISTRY.is_builtin
serialize = _REGISTRY.serialize
