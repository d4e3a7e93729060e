"""What `torch.compile` leaves out of its graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch

Function = TypeVar("Function", bound=Callable[..., Any])


def outside_graphs(function: Function) -> Function:
    """Return a function that is called as it is from code that is compiled, never traced."""
    disable: Callable[[Function], Function] | None = getattr(torch, "_disable_dynamo", None)
    return function if disable is None else disable(function)
