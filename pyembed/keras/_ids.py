"""What ids may be when a layer sees them, which may be after Keras has cast them to floats."""

from __future__ import annotations

import keras

from pyembed.keras._backend import bridge

_EXACT = {"float64": 1 << 53, "float32": 1 << 24, "float16": 1 << 11, "bfloat16": 1 << 8}


def why_inexact(dtype: str, input_dim: int) -> str | None:
    """Return why ids of this dtype may name other rows than they did, or None."""
    limit = _EXACT.get(dtype)
    if limit is None or input_dim <= limit:
        return None
    return (
        f"ids are {dtype}, which has no integer of its own above {limit}, but the table has "
        f"{input_dim} rows: Keras casts ids to floats unless the model has an input "
        'keras.Input(shape, dtype="int64")'
    )


def why_refused(dtype: str, input_dim: int) -> str | None:
    """Return why a table of ours does not take ids of this dtype, or None."""
    if dtype in ("float16", "bfloat16"):
        return (
            f"ids are {dtype}, which rounds integers: give the model an input "
            'keras.Input(shape, dtype="int64")'
        )
    return why_inexact(dtype, input_dim)


def as_integers(ids: object) -> object:
    """Return ids as integers, those of Keras's own layer where it has a choice."""
    dtype = keras.backend.standardize_dtype(ids.dtype)  # type: ignore[attr-defined]
    if dtype in ("int32", "int64"):
        return ids
    narrow = dtype in ("int8", "int16", "uint8", "uint16", "bool")
    return keras.ops.cast(ids, "int32" if narrow else bridge.widest_ids())
