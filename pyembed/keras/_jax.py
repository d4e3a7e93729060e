"""The bridge to JAX: lookups and steps are ordered callbacks.

Ordered, and none of them pure: JAX leaves out pure callbacks whose results nobody needs, and calls
them again, or in another order, where it likes to.
"""

from __future__ import annotations

import contextlib
from typing import Any

import jax
import numpy as np
from jax.experimental import io_callback

from pyembed.keras._clipping import Clipping
from pyembed.keras._queue import SIGNAL_SIZE

supports_jit = True
in_order = True
_MOST_ROWS = 1 << 31  # that its int32 ids can name


def look_up(variable: Any, ids: Any, mask: Any, clipping: Clipping) -> Any:
    """Return rows with their place among what JAX differentiates."""
    shape = variable.output_shape(ids.shape)
    dtype = jax.dtypes.canonicalize_dtype(variable.dtype)
    if variable.table is None and not isinstance(ids, jax.core.Tracer):
        return jax.numpy.zeros(shape, dtype)  # shapes are being inferred
    given = (ids,) if mask is None else (ids, mask)

    def rows_of(*given: Any) -> Any:
        return variable.table.look_up(*map(np.asarray, given)).astype(dtype, copy=False)

    def taken(upstream: Any, *given: Any) -> Any:
        # Copies: what a callback is given lives as long as its call.
        upstream, ids, *mask = (np.array(value) for value in (upstream, *given))
        signal = variable.table.take(ids, upstream, *mask, clipping=clipping)
        return signal.astype(dtype, copy=False)

    @jax.custom_vjp
    def looked_up(anchor: Any, *given: Any) -> Any:
        return io_callback(rows_of, jax.ShapeDtypeStruct(shape, dtype), *given, ordered=True)

    def forward(anchor: Any, *given: Any) -> Any:
        return looked_up(anchor, *given), given

    def backward(given: Any, upstream: Any) -> Any:
        result = jax.ShapeDtypeStruct((SIGNAL_SIZE,), dtype)
        signal = io_callback(taken, result, upstream, *given, ordered=True)
        return (signal, *(np.zeros(value.shape, jax.dtypes.float0) for value in given))

    looked_up.defvjp(forward, backward)
    return looked_up(variable.anchor.value, *given)


def step(variable: Any, signal: Any) -> None:
    """Apply gradients when the callbacks before have run."""
    schedule = variable.table.optimizer.keras_rate
    if schedule is None:
        io_callback(lambda signal: _step(variable, signal), None, signal, ordered=True)
        return
    # A callback must not call JAX: the schedule becomes part of what is traced.
    count = jax.ShapeDtypeStruct((), np.int32)
    done = io_callback(lambda: np.int32(variable.table.optimizer.iterations), count, ordered=True)
    rate = schedule.schedule(done)
    io_callback(lambda *given: _step(variable, *given), None, signal, rate, ordered=True)


def _step(variable: Any, signal: Any, rate: Any = None) -> None:
    table = variable.table
    if rate is None and table.optimizer.keras_rate is not None:
        raise RuntimeError(
            "the table's learning rate has become a LearningRateSchedule after the train step was "
            "compiled: call model.compile again"
        )
    table.step(np.asarray(signal), None if rate is None else float(rate))


def is_lost(value: Any) -> bool:
    """Return whether an array's memory was given away."""
    return bool(getattr(value, "is_deleted", bool)())


def wait() -> None:
    """Return when all callbacks have run."""
    jax.effects_barrier()


def widest_ids() -> str:
    """Return the widest dtype that ids have here."""
    return "int64" if jax.config.jax_enable_x64 else "int32"


def outside_graphs() -> contextlib.AbstractContextManager[Any]:
    """Return a context in which tables can be made."""
    return contextlib.nullcontext()


def why_unfit(layer: Any) -> str | None:
    """Return why the layer cannot work here, or None."""
    if layer.input_dim > _MOST_ROWS and widest_ids() == "int32":
        return f"JAX's ids are int32, too small for input_dim={layer.input_dim}"
    return None
