"""The bridge to TensorFlow: lookups and steps are nodes of its graphs that call Python."""

from __future__ import annotations

import contextlib
from typing import Any

import tensorflow as tf

from pyembed.keras._clipping import Clipping

supports_jit = False  # XLA compiles no call of Python


def look_up(variable: Any, ids: Any, mask: Any, clipping: Clipping) -> Any:
    """Return rows with their place in the tape."""
    given = [ids] if mask is None else [ids, mask]
    shape = variable.output_shape(ids.shape)
    dtype = variable.dtype

    def rows_of(ids: Any, *mask: Any) -> Any:
        return variable.table.look_up(ids, *mask)

    def taken(upstream: Any, ids: Any, *mask: Any) -> Any:
        return variable.table.take(ids, upstream, *mask, clipping=clipping)

    @tf.custom_gradient  # type: ignore[untyped-decorator, unused-ignore]
    def looked_up(anchor: Any) -> Any:
        rows = tf.ensure_shape(tf.numpy_function(rows_of, given, dtype), shape)

        @tf.custom_gradient  # type: ignore[untyped-decorator, unused-ignore]
        def gradient(upstream: Any) -> Any:
            signal = tf.numpy_function(taken, [upstream, *given], dtype)
            return tf.ensure_shape(signal, anchor.shape), _no_second

        return rows, gradient

    return looked_up(tf.convert_to_tensor(variable.value))


def _no_second(*upstream: Any) -> Any:
    raise NotImplementedError("the gradient of a table with optimizer= has no gradient again")


def step(variable: Any, signal: Any) -> None:
    """Apply gradients, now or where the graph that is being traced has come to this point."""

    def apply(signal: Any) -> None:
        variable.table.step(signal)

    if tf.executing_eagerly():
        apply(signal.numpy())
    else:
        tf.numpy_function(apply, [signal], [])


def wait() -> None:
    """Return: a graph's call returns when all of it has run."""


def widest_ids() -> str:
    """Return the widest dtype that ids have here."""
    return "int64"


def outside_graphs() -> contextlib.AbstractContextManager[Any]:
    """Return a context in which tables can be made."""
    context: contextlib.AbstractContextManager[Any] = tf.init_scope()
    return context


def why_unfit(layer: Any) -> str | None:
    """Return why the layer cannot work here, or None."""
    strategy = tf.distribute.get_strategy()
    if tf.distribute.has_strategy() and strategy.num_replicas_in_sync > 1:
        return f"{type(strategy).__name__} has {strategy.num_replicas_in_sync} replicas"
    return None
