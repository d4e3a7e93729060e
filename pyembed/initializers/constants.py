"""Initializers without chance."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pyembed import _checks
from pyembed.initializers.base import Initializer


class Zeros(Initializer):
    """All zeros; memory is taken only where rows are written later.

    On Linux that is by huge pages (2 MiB) where the system grants them: they make lookups in a
    large table faster.
    """

    _touches_all: ClassVar[bool] = False

    def _fill(self, rows: NDArray[Any], first_row: int, total_rows: int) -> None:
        pass


class Ones(Initializer):
    """All ones."""

    def _fill(self, rows: NDArray[Any], first_row: int, total_rows: int) -> None:
        rows.fill(1.0)


class Constant(Initializer):
    """All one value.

    Parameters
    ----------
    value : float
    """

    _arguments = ("value",)

    def __init__(self, value: float = 0.0) -> None:
        self.value = _checks.real(value, "value")

    def _fill(self, rows: NDArray[Any], first_row: int, total_rows: int) -> None:
        rows.fill(self.value)


class Identity(Initializer):
    """The identity matrix times `gain`; where a table is not square, zeros fill it up.

    Parameters
    ----------
    gain : float
    """

    _arguments = ("gain",)
    _is_of_matrices: ClassVar[bool] = True

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = _checks.real(gain, "gain")

    def _fill(self, rows: NDArray[Any], first_row: int, total_rows: int) -> None:
        columns = np.arange(first_row, min(first_row + len(rows), rows.shape[1]))
        rows[columns - first_row, columns] = self.gain
