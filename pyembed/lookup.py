"""One way to look a table up, and the gradient of such a lookup."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyembed import _core
from pyembed._core import BackwardCall
from pyembed.table import Table

_Result = TypeVar("_Result")


def check_frequency(mode: str, by_frequency: bool) -> None:
    """Raise ValueError where gradients are to be divided by frequencies that a mode has not."""
    if by_frequency and mode in _core.selecting_modes:
        raise ValueError(f"scale_grad_by_freq=True cannot be used with mode={mode!r}")


class Lookup(_core.Lookup):
    """Rows of a table as they are (mode None), or pooled bag by bag.

    NumPy's layers and PyTorch's modules call `gather`, `call` and `weight_gradient`, which are the
    core's own: nothing lies between.
    """

    table: Table

    @property
    def needs_table(self) -> bool:
        """Whether the gradient of the table depends on its values."""
        return self.mode in _core.selecting_modes

    def checked(self, check: Callable[[], _Result]) -> _Result:
        """Return ``check()``, before a lookup."""
        return check()

    def prefetch(self, ids: ArrayLike) -> None:
        """Do nothing: all rows are here."""

    def sparse_gradient(
        self, calls: Sequence[BackwardCall]
    ) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Return ids (n,) and values (n, D): one row an id, or, of what selects, each row once.

        Raises
        ------
        IndexError
            If an id is outside the table.
        """
        # Where few columns of each id are selected, one row an id would be zeros for the most part.
        of = _core.coalesce if self.mode in _core.selecting_modes else _core.expand
        return of(self.table, calls)

    def dense_gradient(self, calls: Sequence[BackwardCall]) -> NDArray[Any]:
        """Return the gradient as an array of the table's shape.

        Raises
        ------
        IndexError
            If an id is outside the table.
        """
        return _core.to_dense(self.table, calls, None, "auto")

    def __reduce__(self) -> tuple[Any, ...]:
        how = (self.mode, self.include_last_offset, self.by_frequency)
        return type(self), (self.table, *how)
