"""The bridge to NumPy, which has no gradients: to predict."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from pyembed.keras._clipping import Clipping

supports_jit = True
in_order = True


def look_up(variable: Any, ids: Any, mask: Any, clipping: Clipping) -> Any:
    """Return rows."""
    table = variable.table
    if table is None:  # shapes are being inferred
        return np.zeros(variable.output_shape(ids.shape), variable.dtype)
    return table.look_up(ids, mask)


def step(variable: Any, signal: Any) -> None:
    """Apply gradients."""
    variable.table.step(np.asarray(signal))


def wait() -> None:
    """Return: nothing is ever under way."""


def widest_ids() -> str:
    """Return the widest dtype that ids have here."""
    return "int64"


def outside_graphs() -> contextlib.AbstractContextManager[Any]:
    """Return a context in which tables can be made."""
    return contextlib.nullcontext()


def why_unfit(layer: Any) -> str | None:
    """Return None: every layer works here."""
    return None
