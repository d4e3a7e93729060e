"""Options that torch's optimizers have beside those of their rule."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

_WHY_NOT = {
    "capturable": "steps are made on the CPU, outside of any graph",
    "centered": "no mean of gradients is kept",
    "differentiable": "steps are made outside of autograd",
    "fused": "torch means a kernel of its own by it, and here every step is one pass",
    "momentum": "no momentum is kept",
}


def check_torchs(group: dict[str, Any], names: Collection[str]) -> None:
    """Raise ValueError where an option that is accepted for torch's sake asks for something.

    ``foreach`` never does: it chooses among torch's own ways to the same result.
    """
    for name in names:
        value = group.get(name)
        if value and name in _WHY_NOT:
            raise ValueError(f"{name}={value!r} cannot be: {_WHY_NOT[name]}")
