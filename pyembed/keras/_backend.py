"""The bridge to the backend that Keras runs on.

Each has the same functions:

- ``look_up(variable, ids, mask, clipping)``: rows as the backend's tensor, with their place in its
  graph of gradients. ``variable`` is a `TableVariable`, whose table is asked for when the lookup
  runs: it may not be there yet when it is traced.
- ``step(variable, signal)``: applies the gradients that a sum of signals stands for.
- ``is_lost(value)``, where train steps are functions: whether a tensor's memory is gone.
- ``wait()``: returns when all that was started has run.
- ``widest_ids()``: the widest dtype that ids have.
- ``outside_graphs()``: a context in which tables can be made.
- ``supports_jit``: whether a compiled train step may hold the layer.
- ``in_order``: whether calls run in the order of the program, several steps of one call too.
- ``why_unfit(layer)``: why the layer cannot work here, or None.
"""

from __future__ import annotations

import importlib
from typing import Any

import keras

_name = keras.backend.backend()
bridge: Any = importlib.import_module(f"pyembed.keras._{_name}")
IS_FUNCTIONAL = _name == "jax"  # train steps get variables' values, and return new ones

__all__ = ["IS_FUNCTIONAL", "bridge"]
