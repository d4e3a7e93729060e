"""Where Keras is while it calls a layer: what it has no public name for."""

from __future__ import annotations

from typing import Any

import keras
from keras.src.backend.common import global_state
from keras.src.backend.common.stateless_scope import in_stateless_scope
from keras.src.backend.common.symbolic_scope import in_symbolic_scope

__all__ = ["in_stateless_scope", "in_symbolic_scope", "is_rematerialized", "model_around"]


def model_around() -> Any:
    """Return the compiled model whose call Keras is in, or None."""
    context = global_state.get_global_attribute("current_call_ctx")
    model = None if context is None else context.entry_layer
    is_model = isinstance(model, keras.Model) and getattr(model, "compiled", False)
    return model if is_model else None


def is_rematerialized(layer: Any) -> bool:
    """Return whether a `keras.RematScope` may call the layer's `call` a second time."""
    scope = getattr(layer, "_remat_mode", None)
    if scope is None or scope.mode in (None, "activations"):
        return False
    return scope.mode != "list_of_layers" or layer.name in scope.layer_names
