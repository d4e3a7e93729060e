"""Keras's initializers, regularizers and constraints for our tables, and ours for Keras."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pyembed import constraints, initializers, regularizers, schedules
from pyembed.initializers.random import Random


def register() -> None:
    """Let Keras's files name our initializers, regularizers, constraints and schedules."""
    for module in (initializers, regularizers, constraints, schedules):
        for name in module.__all__:
            found = getattr(module, name)
            if inspect.isclass(found) and hasattr(found, "get_config"):
                keras.saving.register_keras_serializable(package="pyembed")(found)


def regularizer_of(given: Any) -> Any:
    """Return our regularizer of the same name and arguments, or the caller's own."""
    return _ours(given, regularizers, keras.regularizers, "embeddings_regularizer")


def constraint_of(given: Any) -> Any:
    """Return our constraint of the same name and arguments, or the caller's own."""
    return _ours(given, constraints, keras.constraints, "embeddings_constraint")


def _ours(given: Any, ours: Any, theirs: Any, name: str) -> Any:
    cls = type(given)
    if getattr(theirs, cls.__name__, None) is cls:
        return ours.get({"class_name": cls.__name__, "config": given.get_config()}, name)
    if isinstance(given, (keras.regularizers.Regularizer, keras.constraints.Constraint)):
        raise ValueError(
            f"{name}={given!r} is a class of its own, which a table with optimizer= cannot use: "
            f"give one of Keras's or of {ours.__name__}, or none"
        )
    return ours.get(given, name)


def initializer_by_row(given: Any) -> Any:
    """Return our initializer of the same name and arguments, or the caller's own.

    Where no seed was given, it has the one that Keras drew, and tells that it was drawn.
    """
    cls = type(given)
    if getattr(keras.initializers, cls.__name__, None) is not cls:
        return given
    ours = initializers.get({"class_name": cls.__name__, "config": given.get_config()})
    if isinstance(ours, Random) and ours.seed_is_drawn:
        ours.seed = given.seed
    return ours


def initial_values(
    initializer: Any, shape: tuple[int, int], dtype: str
) -> tuple[Any, NDArray[Any] | None]:
    """Return an initializer of ours, or the values that one of Keras's makes."""
    if initializers.is_builtin(initializer):
        return initializer, None
    return "zeros", np.asarray(keras.ops.convert_to_numpy(initializer(shape, dtype=dtype)))
