"""Penalties on a table's values, under Keras's names.

A regularizer is called with an array and returns the penalty, a float; its `gradient` returns the
penalty's derivative by each element.
"""

from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyembed import _arrays, _checks, _core
from pyembed._registry import Configured, Registry

__all__ = ["L1", "L1L2", "L2", "OrthogonalRegularizer", "Regularizer", "get", "serialize"]


class Regularizer(Configured):
    """Base of all: a subclass has `__call__`, `gradient` and, for its arguments, `get_config`."""

    def __call__(self, w: ArrayLike) -> float:
        """Return the penalty of `w`, summed in float64.

        Parameters
        ----------
        w : array_like of float, any shape

        Returns
        -------
        float

        Raises
        ------
        TypeError
            If `w` is not of real numbers.
        """
        raise NotImplementedError

    def gradient(self, w: ArrayLike) -> NDArray[Any]:
        """Return the derivative of the penalty by each element of `w`.

        Parameters
        ----------
        w : array_like of float, any shape

        Returns
        -------
        ndarray
            A new one, of the shape and dtype of `w`.

        Raises
        ------
        TypeError
            If `w` is not of real numbers.
        """
        raise NotImplementedError


class ElementwiseRegularizer(Regularizer):
    """``l1 * sum(|w|) + l2 * sum(w**2)``; the derivative of ``|w|`` at 0 is 0."""

    l1: float = 0.0
    l2: float = 0.0

    def __call__(self, w: ArrayLike) -> float:
        return self.of_sums(self.sums(w))

    def sums(self, w: ArrayLike) -> NDArray[np.int64]:
        """Return what the penalty is made of: of several arrays, these add up."""
        w = _arrays.real_array(w, "w")
        return np.stack([_arrays.row_sums(w, "magnitude"), _arrays.row_sums(w, "square")])

    def of_sums(self, sums: NDArray[np.int64]) -> float:
        """Return the penalty that has these `sums`."""
        penalty = 0.0
        if self.l1:
            penalty += self.l1 * _core.exact_sum(sums[0])
        if self.l2:
            penalty += self.l2 * _core.exact_sum(sums[1])
        return penalty

    def gradient(self, w: ArrayLike) -> NDArray[Any]:
        w = _arrays.real_array(w, "w")
        gradient = np.zeros(w.shape, w.dtype)
        if self.l1:
            gradient += w.dtype.type(self.l1) * np.sign(w)
        if self.l2:
            gradient += w.dtype.type(2.0 * self.l2) * w
        return gradient


class L1(ElementwiseRegularizer):
    """``l1 * sum(|w|)``.

    Parameters
    ----------
    l1 : float
        At least 0.
    """

    _arguments = ("l1",)

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = _checks.real(l1, "l1", 0.0)


class L2(ElementwiseRegularizer):
    """``l2 * sum(w**2)``, without a half.

    Parameters
    ----------
    l2 : float
        At least 0.
    """

    _arguments = ("l2",)

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = _checks.real(l2, "l2", 0.0)


class L1L2(ElementwiseRegularizer):
    """``l1 * sum(|w|) + l2 * sum(w**2)``.

    Parameters
    ----------
    l1, l2 : float
        At least 0.
    """

    _arguments = ("l1", "l2")

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = _checks.real(l1, "l1", 0.0)
        self.l2 = _checks.real(l2, "l2", 0.0)


class OrthogonalRegularizer(Regularizer):
    """`factor` times half the mean ``|cos|`` of the angles between all pairs of rows.

    That is ``factor * 0.5 * sum(|u_i . u_j|, i != j) / (V * (V - 1) / 2)``, u_i being row i divided
    by its norm; a row of zeros stays one, and has no gradient. Every row is multiplied by every
    other: the work grows with the square of their number. The memory is some float64 tables and
    some rows of the matrix of products.

    Parameters
    ----------
    factor : float
        At least 0.
    mode : {'rows', 'columns'}
        Whether rows or columns are to be orthogonal.
    """

    _arguments = ("factor", "mode")
    _block: ClassVar[int] = 1 << 20  # elements of the matrix of products made at a time

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = _checks.real(factor, "factor", 0.0)
        self.mode = _checks.one_of(mode, "mode", ("rows", "columns"))

    def __call__(self, w: ArrayLike) -> float:
        """Return the penalty of `w`, of two axes; 0 where there are no two rows."""
        units, _ = self._units(w)
        total = sum(float(np.sum(np.abs(products))) for _, products in self._products(units))
        return 0.5 * self._scale(len(units)) * total

    def gradient(self, w: ArrayLike) -> NDArray[Any]:
        """Return the derivative of the penalty by each element of `w`, of two axes."""
        w = _arrays.real_array(w, "w")
        units, lengths = self._units(w)
        gradient = np.zeros(units.shape)
        for rows, products in self._products(units):
            # Each pair stands twice in the sum: the half is gone.
            by_unit = self._scale(len(units)) * (np.sign(products) @ units)
            along = np.sum(by_unit * units[rows], axis=1, keepdims=True)
            np.divide(
                by_unit - along * units[rows],
                lengths[rows],
                out=gradient[rows],
                where=lengths[rows] > 0.0,
            )
        return np.ascontiguousarray(self._turned(gradient), w.dtype)

    def _turned(self, matrix: NDArray[Any]) -> NDArray[Any]:
        return matrix if self.mode == "rows" else matrix.T

    def _units(self, w: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the rows (or columns) with norm 1, and their norms (V, 1)."""
        w = _arrays.real_array(w, "w")
        if w.ndim != 2:
            raise ValueError(f"w has shape {w.shape}, but must have two axes for {self!r}")
        vectors = self._turned(w)
        lengths = _arrays.norms(vectors, (1,))
        return vectors / np.where(lengths > 0.0, lengths, 1.0), lengths

    def _products(self, units: NDArray[np.float64]) -> Any:
        """Yield the products of some rows with all, without those of a row with itself."""
        step = max(1, self._block // max(1, len(units)))
        for start in range(0, len(units), step):
            rows = slice(start, min(start + step, len(units)))
            products = units[rows] @ units.T
            np.fill_diagonal(products[:, rows], 0.0)
            yield rows, products

    def _scale(self, count: int) -> float:
        return self.factor / (count * (count - 1.0) / 2.0) if count > 1 else 0.0


# Keras's second names.
l1 = L1
l2 = L2
l1_l2 = L1L2
orthogonal_regularizer = OrthogonalRegularizer

RegularizerLike: TypeAlias = (
    str | dict[str, Any] | type[Regularizer] | Regularizer | Callable[..., Any]
)

_REGISTRY = Registry[Regularizer](
    [L1, L2, L1L2, OrthogonalRegularizer], "embeddings_regularizer", {"l1_l2": L1L2}
)
get = _REGISTRY.get
is_builtin = _REGISTRY.is_builtin
serialize = _REGISTRY.serialize


def gradient_of(regularizer: Callable[..., Any] | None, name: str, values: Any) -> Any:
    """Return a regularizer's gradient at `values`, checked.

    Raises
    ------
    TypeError
        If it has none.
    ValueError
        If what it returns is of another shape.
    """
    gradient = getattr(regularizer, "gradient", None)
    if gradient is None:
        raise TypeError(
            f"{name}={regularizer!r} has no gradient: training needs an object with a method "
            "gradient(w) beside the loss"
        )
    made = np.asarray(gradient(values))
    if made.shape != values.shape:
        raise ValueError(
            f"{name}={regularizer!r} returned a gradient of shape {made.shape} for values of shape "
            f"{values.shape}"
        )
    return made.astype(values.dtype, copy=False)
