"""What every initializer does around its values."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from numpy.typing import DTypeLike, NDArray

from pyembed import _checks, _core
from pyembed._registry import Configured


class Initializer(Configured):
    """Base of all: a subclass fills rows in place.

    Attributes
    ----------
    in_parts : bool
        Whether a range of a table's rows can be made alone.
    """

    in_parts: ClassVar[bool] = True
    _touches_all: ClassVar[bool] = True  # so that the system must have memory for all of it
    _is_of_matrices: ClassVar[bool] = False  # values depend on the table's two axes

    def __call__(
        self,
        shape: Sequence[int],
        dtype: DTypeLike = "float32",
        *,
        first_row: int = 0,
        row_step: int = 1,
        total_rows: int | None = None,
    ) -> NDArray[Any]:
        """Return a new array of the given shape.

        Parameters
        ----------
        shape : sequence of int
            (rows, dim); of more or fewer axes where values do not depend on the table's shape.
        dtype : {'float32', 'float64'}
        first_row : int
            The row of a larger table that this array's first row is, for a table made in parts.
        row_step : int
            How many rows of that table further on each next row of this array is.
        total_rows : int, optional
            The rows of that table; where None, this array's rows are its last.

        Returns
        -------
        ndarray

        Raises
        ------
        ValueError
            If the rows are none of such a table, or it cannot be made in parts.
        """
        first_row = _checks.integer(first_row, "first_row", 0)
        array = _core.zeros(tuple(shape), _checks.float_dtype(dtype), self._touches_all)
        if self._is_of_matrices and array.ndim != 2:
            raise ValueError(
                f"shape {array.shape} must have two axes (rows, dim) for {type(self).__name__}"
            )
        row_step = _checks.integer(row_step, "row_step", 1)
        rows = math.prod(array.shape[:-1])
        numbers = range(first_row, first_row + rows * row_step, row_step)
        end = numbers[-1] + 1 if rows > 0 else 0
        total_rows = end if total_rows is None else _checks.integer(total_rows, "total_rows", end)
        if not self.in_parts and rows != total_rows:
            raise ValueError(
                f"{type(self).__name__} cannot make rows {first_row} to {end} of {total_rows} "
                "alone: every row depends on all others"
            )
        self._fill(array.reshape(rows, array.shape[-1] if array.ndim else 1), numbers, total_rows)
        return array

    def _fill(self, rows: NDArray[Any], numbers: range, total_rows: int) -> None:
        raise NotImplementedError
