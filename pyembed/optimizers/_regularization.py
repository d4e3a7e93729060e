"""How a step honours a table's regularizer and constraint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pyembed import _core, constraints, regularizers
from pyembed._core import BackwardCall
from pyembed.lookup import Lookup
from pyembed.table import Table


class Regularization:
    """A regularizer's gradient and a constraint, fused into the step's one pass where they can be.

    L1 and L2, and constraints of each row by itself, need nothing beside the row that is updated.
    What else there is acts on the touched rows together (regularizers, before the pass) or on the
    whole table (constraints, after it).

    Parameters
    ----------
    table : Table
        Its objects count as they are now.

    Attributes
    ----------
    fused : dict
        Arguments of `_core.Update`.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self.fused: dict[str, Any] = {}
        self._regularizer = self._constraint = None
        regularizer, constraint = table.regularizer, table.constraint
        if type(regularizer) in (regularizers.L1, regularizers.L2, regularizers.L1L2):
            self.fused |= regularizer.get_config()  # type: ignore[union-attr]
        else:
            self._regularizer = regularizer
        bounds = _row_constraint(constraint)
        if bounds is not None:
            self.fused |= bounds
        else:
            self._constraint = constraint

    def with_gradient(self, calls: Sequence[BackwardCall]) -> Sequence[BackwardCall]:
        """Return the calls with the gradient of a regularizer that a step cannot fuse.

        Raises
        ------
        TypeError
            If the regularizer has no gradient.
        """
        if self._regularizer is None:
            return calls
        ids, values = _core.coalesce(self._table, calls)
        # As they are: max_norm is for lookups, and a step that is refused writes nothing.
        rows = Lookup(self._table).gather_as_is(ids)
        values += regularizers.gradient_of(self._regularizer, "embeddings_regularizer", rows)
        return [BackwardCall(ids, values, values.shape[1], values.dtype.name)]

    def constrain(self) -> None:
        """Apply to the whole table the constraint that needs all of it, if there is one."""
        if self._constraint is None:
            return
        values = self._table.array.view()
        values.flags.writeable = False
        constrained = np.asarray(self._constraint(values))
        if constrained.shape != values.shape:
            raise ValueError(
                f"embeddings_constraint={self._constraint!r} returned shape {constrained.shape} "
                f"for a table of shape {values.shape}"
            )
        self._table.assign(constrained.astype(values.dtype, copy=False))


def _row_constraint(constraint: Callable[..., Any] | None) -> dict[str, Any] | None:
    """Return what a step needs of a constraint on each row by itself, None for another one."""
    if not constraints.is_builtin(constraint) or not constraint.is_by_row:
        return None
    if not isinstance(constraint, constraints.NormConstraint):  # NonNeg
        return {"non_negative": True}
    return {"norm": (constraint.min_value, constraint.max_value, constraint.rate)}
