"""Initializers without chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyembed import _arrays, _checks
from pyembed.initializers.base import Initializer

_Made = TypeVar("_Made", bound="Constant")


class Zeros(Initializer):
    """All zeros; memory is taken only where rows are written later.

    On Linux that is by huge pages (2 MiB) where the system grants them: they make lookups in a
    large table faster.
    """

    _touches_all: ClassVar[bool] = False

    def _fill(self, rows: NDArray[Any], numbers: range, total_rows: int) -> None:
        pass


class Ones(Initializer):
    """All ones."""

    def _fill(self, rows: NDArray[Any], numbers: range, total_rows: int) -> None:
        rows.fill(1.0)


class Constant(Initializer):
    """All one value, or the values of a matrix.

    Parameters
    ----------
    value : float or array_like
        A matrix makes tables of its own shape alone, which cannot grow. It is kept, not copied, and
        stands in the configuration as it is, within what Keras has around it: JSON has no arrays.

    Raises
    ------
    ValueError
        If `value` is neither a finite number nor a matrix.
    TypeError
        If it is a matrix, but not of real numbers.
    """

    _arguments = ("value",)

    def __init__(self, value: float | ArrayLike = 0.0) -> None:
        self.value: float | NDArray[Any]
        is_listed = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
        if is_listed or (_arrays.is_array(value) and np.ndim(value) > 0):
            self.value = matrix_of(value, "value")
        else:
            self.value = _checks.real(value, "value")

    @classmethod
    def from_config(cls: type[_Made], config: Mapping[str, Any]) -> _Made:
        """Return an object made from what `get_config` returned, ours or Keras's."""
        value = config.get("value")
        if not isinstance(value, dict):
            return cls(**config)
        if value.get("class_name") not in ("__numpy__", "__tensor__"):
            raise ValueError(f"value has the class {value.get('class_name')!r}, not '__numpy__'")
        given = value["config"]
        return cls(np.asarray(given["value"], given["dtype"]))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this object again."""
        if isinstance(self.value, float):
            return super().get_config()
        given = {"value": self.value, "dtype": self.value.dtype.name}
        return {"value": {"class_name": "__numpy__", "config": given}}

    def __repr__(self) -> str:
        if isinstance(self.value, float):
            return super().__repr__()
        return f"{type(self).__name__}(value=<matrix of shape {self.value.shape}>)"

    def _fill(self, rows: NDArray[Any], numbers: range, total_rows: int) -> None:
        if isinstance(self.value, float):
            rows.fill(self.value)
            return
        wanted = (total_rows, rows.shape[1])
        if self.value.shape != wanted:
            raise ValueError(
                f"a matrix of shape {self.value.shape} makes no table of shape {wanted}, and one "
                "that it made cannot grow"
            )
        rows[...] = self.value[numbers.start : numbers.stop : numbers.step]


def matrix_of(value: ArrayLike, name: str) -> NDArray[Any]:
    """Return what a table can start from as an array, where it lies if NumPy can read it there."""
    array = _arrays.as_array(value, name)
    if array.ndim != 2:
        raise ValueError(f"{name} must be a matrix (rows, dim), not of shape {array.shape}")
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be real numbers, not {array.dtype}")
    return array


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

    def _fill(self, rows: NDArray[Any], numbers: range, total_rows: int) -> None:
        on_diagonal = numbers[: len(range(numbers.start, rows.shape[1], numbers.step))]
        rows[np.arange(len(on_diagonal)), np.asarray(on_diagonal, np.intp)] = self.gain
