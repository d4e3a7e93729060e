"""What a compiled model asks of its optimizer that concerns a table as well."""

from __future__ import annotations

from typing import Any

import keras

from pyembed.keras._backend import IS_FUNCTIONAL, bridge
from pyembed.keras._clipping import NONE, Clipping

_REFUSED = {
    "global_clipnorm": "its norm is over the gradients of all variables, and Keras does not see "
    "the table's: use clipnorm or clipvalue",
    "gradient_accumulation_steps": "the table steps with every batch: use larger batches",
    "use_ema": "the table has no moving average",
}


def check_order(model: Any, layer: str) -> None:
    """Raise ValueError where a model's calls have no order that is the same on all ranks."""
    if not bridge.in_order and model.steps_per_execution > 1:
        raise ValueError(
            f"{layer} with comm= cannot be in a model with steps_per_execution="
            f"{model.steps_per_execution} on this backend, which may begin a step before the last "
            "one has ended: use 1"
        )


def check_sum(clipping: Clipping, layer: str) -> None:
    """Raise ValueError where a rank would need the sum of all ranks' gradients."""
    if clipping.clipvalue is not None:
        raise ValueError(
            f"{layer} with comm= cannot be trained with clipvalue={clipping.clipvalue!r}: each "
            "rank has its own gradient, and not the sum of all: use clipnorm"
        )


def clipping_of(model: Any, layer: str) -> Clipping:
    """Return what the model's optimizer does to gradients.

    Raises
    ------
    ValueError
        If it is something that cannot be done to a table's.
    """
    optimizer = model.optimizer
    if optimizer is None:
        return NONE
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        raise ValueError(
            f"{layer} with optimizer= cannot be trained with a LossScaleOptimizer, whose scale is "
            "not told to the table: compile with auto_scale_loss=False, or use the dtype policy "
            "'mixed_bfloat16'"
        )
    parts = getattr(optimizer, "optimizers", ())
    if parts and IS_FUNCTIONAL:
        raise ValueError(
            f"{layer} with optimizer= cannot be trained with several optimizers on this backend, "
            "where they do not know its variable: compile with one"
        )
    for one in (optimizer, *parts):
        for name, why in _REFUSED.items():
            if getattr(one, name, None):
                raise ValueError(
                    f"{layer} with optimizer= cannot be trained with {name}="
                    f"{getattr(one, name)!r} in the optimizer that compile was given: {why}"
                )
    for one in parts:
        clipping = _clipping(one)
        if clipping != NONE:
            raise ValueError(
                f"{layer} with optimizer= cannot be trained with {clipping} in one of several "
                "optimizers: give it to none of them"
            )
    return _clipping(optimizer)


def _clipping(optimizer: Any) -> Clipping:
    return Clipping(
        getattr(optimizer, "clipnorm", None),
        getattr(optimizer, "clipvalue", None),
        getattr(optimizer, "loss_scale_factor", None),
    )
