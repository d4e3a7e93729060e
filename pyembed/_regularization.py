"""How a step honours a layer's regularizer and constraint."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from pyembed import constraints, regularizers
from pyembed._core import BackwardCall, SortedGradient, Table

if TYPE_CHECKING:
    from pyembed.layer import TableLayer


class Regularization:
    """A regularizer's gradient and a constraint, fused into the step's one pass where they can be.

    L1 and L2, and constraints of each row by itself, need nothing beside the row that is updated.
    What else there is acts on the touched rows together (regularizers, before the pass) or on the
    whole table (constraints, after it).

    Parameters
    ----------
    regularizer, constraint : callable or None
    """

    @classmethod
    def of(cls, layer: TableLayer) -> Regularization:
        """Return that of a layer's table, as its objects are now."""
        return cls(layer.embeddings_regularizer, layer.embeddings_constraint)

    def __init__(
        self, regularizer: Callable[..., Any] | None, constraint: Callable[..., Any] | None
    ) -> None:
        self._fused: dict[str, Any] = {}
        self._regularizer = self._constraint = None
        if type(regularizer) in (regularizers.L1, regularizers.L2, regularizers.L1L2):
            self._fused |= regularizer.get_config()  # type: ignore[union-attr]
        else:
            self._regularizer = regularizer
        bounds = _row_constraint(constraint)
        if bounds is not None:
            self._fused |= bounds
        else:
            self._constraint = constraint

    def with_gradient(self, table: Table, calls: list[BackwardCall]) -> list[BackwardCall]:
        """Return the calls with the gradient of a regularizer that a step cannot fuse.

        Raises
        ------
        TypeError
            If the regularizer has no gradient.
        """
        if self._regularizer is None:
            return calls
        ids, values = SortedGradient(table, tuple(calls), for_step=True).coalesce()
        # As they are: max_norm is for lookups, and a step that is refused writes nothing.
        rows = table.gather(ids, renormalise=False)
        values += gradient_of(self._regularizer, "embeddings_regularizer", rows)
        return [BackwardCall(ids, values, values.shape[1], values.dtype.name)]

    def sorted_gradient(self, table: Table, calls: list[BackwardCall]) -> SortedGradient:
        """Return the gradient of what `with_gradient` returned, ready for a step."""
        return SortedGradient(table, tuple(calls), for_step=True, **self._fused)

    def constrain(self, table: Table) -> None:
        """Apply to a whole table the constraint that needs all of it, if there is one."""
        if self._constraint is None:
            return
        values = table.array.view()
        values.flags.writeable = False
        constrained = np.asarray(self._constraint(values))
        if constrained.shape != values.shape:
            raise ValueError(
                f"embeddings_constraint={self._constraint!r} returned shape {constrained.shape} "
                f"for a table of shape {values.shape}"
            )
        table.assign(constrained.astype(values.dtype, copy=False))


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


def _row_constraint(constraint: Callable[..., Any] | None) -> dict[str, Any] | None:
    """Return what a step needs of a constraint on each row by itself, None for another one."""
    if not constraints.is_builtin(constraint) or not constraint.is_by_row:
        return None
    if type(constraint) is constraints.NonNeg:
        return {"non_negative": True}
    if type(constraint) is constraints.MaxNorm:
        return {"norm": (0.0, constraint.max_value, 1.0)}
    if type(constraint) is constraints.UnitNorm:
        return {"norm": (1.0, 1.0, 1.0)}
    if type(constraint) is constraints.MinMaxNorm:
        return {"norm": (constraint.min_value, constraint.max_value, constraint.rate)}
    return None
