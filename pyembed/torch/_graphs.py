"""Where torch must see a lookup as operations of its own, and what it must leave alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch.autograd import forward_ad
from torch.overrides import is_tensor_like

Function = TypeVar("Function", bound=Callable[..., Any])

# Bound here: they are asked in every lookup.
tracing_state: Callable[[], Any] = torch._C._get_tracing_state
_are_transforms_active: Callable[[], bool] = torch._C._are_functorch_transforms_active
_count_modes: Callable[[], int] = torch._C._len_torch_dispatch_stack
_PLAIN = torch.Tensor, torch.nn.Parameter


def outside_graphs(function: Function) -> Function:
    """Return a function that is called as it is from code that is compiled, never traced."""
    disable: Callable[[Function], Function] | None = getattr(torch, "_disable_dynamo", None)
    return function if disable is None else disable(function)


def must_be_torchs(
    weight: torch.Tensor,
    ids: torch.Tensor,
    offsets: torch.Tensor | None,
    per_sample_weights: torch.Tensor | None,
) -> bool:
    """Return whether these have no numbers in memory to be read, or a result of them would be lost.

    So it is in `torch.jit.trace`, in `vmap` and the other transforms, in forward-mode
    differentiation, and with tensors that are fake, subclasses or not on the CPU.
    """
    return (
        type(weight) not in _PLAIN
        or type(ids) not in _PLAIN
        or not ids.is_cpu
        or ids.is_nested
        or (offsets is not None and not _is_plain(offsets))
        or (per_sample_weights is not None and not _is_plain(per_sample_weights))
        or tracing_state() is not None
        or _are_transforms_active()
        or forward_ad._current_level >= 0
    )


def are_watched() -> bool:
    """Return whether a mode, a counter of operations say, wants to see what is done."""
    return _count_modes() > 0


def has_memory(tensor: torch.Tensor) -> bool:
    """Return whether a tensor's numbers lie where it says, on the CPU."""
    return _is_plain(tensor) and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)


def check_is_tensor(value: Any, name: str) -> None:
    """Raise TypeError where an argument is neither a tensor nor stands for one."""
    if not is_tensor_like(value):
        raise TypeError(f"argument '{name}' must be Tensor, not {type(value).__name__}")


def _is_plain(tensor: torch.Tensor) -> bool:
    return type(tensor) in _PLAIN and tensor.is_cpu
