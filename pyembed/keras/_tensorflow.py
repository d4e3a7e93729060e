"""The bridge to TensorFlow: lookups and steps are nodes of its graphs that call Python."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from pyembed.keras._clipping import Clipping

supports_jit = False  # XLA compiles no call of Python
in_order = False  # the rounds of a loop in a graph may overlap

_CALLS = "pyembed_calls"  # of a graph, those of tables that ranks share, in order


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
        rows = tf.ensure_shape(_called(variable, rows_of, given, dtype), shape)

        @tf.custom_gradient  # type: ignore[untyped-decorator, unused-ignore]
        def gradient(upstream: Any) -> Any:
            signal = _called(variable, taken, [upstream, *given], dtype)
            return tf.ensure_shape(signal, anchor.shape), _no_second

        return rows, gradient

    return looked_up(tf.convert_to_tensor(variable.value))


def _called(variable: Any, function: Callable[..., Any], given: list[Any], dtype: Any) -> Any:
    """Return what a node that calls Python does; after the last one, where ranks share tables."""
    if not variable.is_shared or tf.executing_eagerly():
        return tf.numpy_function(function, given, dtype)
    graph = tf.compat.v1.get_default_graph()
    # Which may have its outer graph's too.
    before = [node for node in graph.get_collection(_CALLS) if node.graph is graph]
    with tf.control_dependencies(before[-1:]):
        result = tf.numpy_function(function, given, dtype)
    graph.add_to_collection(_CALLS, getattr(result, "op", result))
    return result


def _no_second(*upstream: Any) -> Any:
    raise NotImplementedError("the gradient of a table with optimizer= has no gradient again")


def step(variable: Any, signal: Any) -> None:
    """Apply gradients, now or where the graph that is being traced has come to this point."""

    def apply(signal: Any) -> None:
        variable.table.step(signal)

    if tf.executing_eagerly():
        apply(signal.numpy())
    else:
        _called(variable, apply, [signal], [])


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
