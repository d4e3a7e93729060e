"""A table as Keras sees it: a variable."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pyembed.keras._backend import IS_FUNCTIONAL, bridge
from pyembed.keras._queue import SIGNAL_SIZE
from pyembed.keras._scopes import in_stateless_scope
from pyembed.keras._trained import TrainedTable

Initializer = Callable[..., Any]


class TableVariable(keras.Variable):
    """A trainable variable of the table's shape, whose values are ours.

    What Keras reads and writes as a whole (`numpy`, `assign`: weights, files) is the table. The
    value that its graphs have is an anchor of two numbers. Being trainable, it pulls the backward
    pass of each lookup, which returns the signal of a gradient as the anchor's (see `Queue`); and
    since the variable is one that Keras overwrites with its gradient, the optimizer keeps no state
    for it, and hands the sum of signals to `assign`: that is when the table makes its step.

    Parameters
    ----------
    make : callable
        Returns the table, from what the initializer makes.
    input_dim, output_dim : int
    initializer : callable
        Keras's or ours.
    pools : bool
        Whether a lookup pools the last axis of ids.
    is_shared : bool
        Whether several ranks have it.
    dtype, name : str
    """

    def __init__(
        self,
        make: Callable[[Initializer], TrainedTable],
        input_dim: int,
        output_dim: int,
        *,
        initializer: Initializer,
        pools: bool,
        is_shared: bool,
        dtype: str,
        name: str,
    ) -> None:
        self.is_shared = is_shared
        self.table: TrainedTable | None = None
        self._make = make
        self._pools = pools
        self._dims = (input_dim, output_dim)
        super().__init__(
            initializer,
            shape=self._dims,
            dtype=dtype,
            trainable=True,
            autocast=False,
            name=name,
        )
        self._overwrite_with_gradient = True
        self.anchor = _Anchor(self, dtype, f"{name}_anchor") if IS_FUNCTIONAL else self

    def output_shape(self, ids: Sequence[Any]) -> tuple[Any, ...]:
        """Return the shape of a lookup of ids of this shape."""
        kept = tuple(ids)[:-1] if self._pools else tuple(ids)
        return (*kept, self._dims[1])

    def _initialize_with_initializer(self, initializer: Initializer) -> None:
        with bridge.outside_graphs():
            self.table = self._make(initializer)
            # Infinite: who takes it for the table's values is to notice.
            anchor = np.full(SIGNAL_SIZE, math.inf, self._dtype)
            self._initialize(self._convert_to_tensor(anchor, dtype=self._dtype))
        self._shape = self._dims

    @property
    def trained(self) -> TrainedTable:
        """The table, when all that was started has run."""
        if self.table is None:
            raise RuntimeError(f"the table of {self.path} is not there yet: shapes are inferred")
        bridge.wait()
        return self.table

    def numpy(self) -> NDArray[Any]:
        """Return a copy of the table."""
        return self.trained.values()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        values = self.numpy()
        return values if dtype is None else values.astype(dtype)

    def assign(self, value: Any) -> Any:
        """Write the table; or take the step whose gradient Keras hands over.

        Parameters
        ----------
        value : array, shape (input_dim, output_dim), or the anchor's gradient

        Raises
        ------
        ValueError
            If it has another shape.
        """
        shape = tuple(value.shape) if hasattr(value, "shape") else np.shape(value)
        if shape == (SIGNAL_SIZE,) and not IS_FUNCTIONAL:
            bridge.step(self, value)
        elif shape == self._dims:
            self.trained.assign(_values(value))
        else:
            raise ValueError(
                f"the table of {self.path} has shape {self._dims}: it cannot be assigned shape "
                f"{shape}"
            )
        return value

    @property
    def trainable(self) -> bool:
        """Whether the table has a gradient."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        keras.Variable.trainable.fset(self, value)
        anchor = self.__dict__.get("anchor", self)
        if anchor is not self:
            anchor.trainable = value

    def __repr__(self) -> str:
        return f"<TableVariable path={self.path}, shape={self._dims}, dtype={self._dtype}>"


class _Anchor(keras.Variable):
    """The anchor as a variable of its own, where train steps are given variables' values."""

    def __init__(self, of: TableVariable, dtype: str, name: str) -> None:
        self._of = of
        super().__init__(
            _infinite,
            shape=(SIGNAL_SIZE,),
            dtype=dtype,
            trainable=True,
            autocast=False,
            name=name,
        )
        self._overwrite_with_gradient = True

    @property
    def value(self) -> Any:
        """The anchor's numbers; anew where a call of Keras's that failed has lost them."""
        if self._value is None and not in_stateless_scope():
            self._direct_assign(_infinite(self._shape, self._dtype))
        return super().value

    def assign(self, value: Any) -> Any:
        """Take the step whose gradient Keras hands over, or the value that a step returned."""
        if in_stateless_scope():
            bridge.step(self._of, value)
        elif bridge.is_lost(value):  # a step failed that was given its memory
            self._direct_assign(_infinite(self._shape, self._dtype))
        elif np.isfinite(np.asarray(value)).all():
            bridge.step(self._of, value)
        else:
            self._direct_assign(value)
        return value


def _infinite(shape: tuple[int, ...], dtype: Any = None) -> Any:
    return keras.ops.full(shape, math.inf, dtype=dtype)


def _values(value: Any) -> NDArray[Any]:
    if isinstance(value, np.ndarray):
        return value
    if keras.ops.is_tensor(value) or isinstance(value, keras.Variable):
        return np.asarray(keras.ops.convert_to_numpy(value))
    return np.asarray(value)
