"""Keras's initializers, regularizers and constraints for our tables, and ours for Keras."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pyembed import constraints, initializers, regularizers, schedules


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
    base = theirs.Regularizer if theirs is keras.regularizers else theirs.Constraint
    if not isinstance(given, base):
        return ours.get(given, name)
    config = theirs.serialize(given)
    if config.get("registered_name") is None:  # one of Keras's, not of the caller's
        try:
            return ours.get(config, name)
        except ValueError:
            pass
    raise ValueError(
        f"{name}={given!r} is a class of its own, which a table with optimizer= cannot use: give "
        f"one of pyembed.{ours.__name__.rsplit('.', 1)[1]}, or none"
    )


def initial_values(
    initializer: Any, shape: tuple[int, int], dtype: str
) -> tuple[Any, NDArray[Any] | None]:
    """Return an initializer of ours, or the values that one of Keras's makes."""
    if initializers.is_builtin(initializer):
        return initializer, None
    return "zeros", np.asarray(keras.ops.convert_to_numpy(initializer(shape, dtype=dtype)))
