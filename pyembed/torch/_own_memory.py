"""Sparse gradients in memory of their own."""

from __future__ import annotations

import functools
from typing import Any

import torch


def keep_apart(weight: torch.Tensor) -> bool:
    """Have the sparse gradients of a weight share no memory with what somebody else holds.

    Autograd hands one gradient to all terms of a sum, and a lookup's sparse gradient has that for
    its values: to scale one in place would scale the others. It is copied where others hold it, or
    where torch does not tell.
    """
    hooks: Any = weight._backward_hooks
    if hooks is None or _in_own_memory not in hooks.values():
        weight.register_hook(_in_own_memory)
    return True


def _in_own_memory(grad: torch.Tensor | None) -> torch.Tensor | None:
    if grad is None or not grad.is_sparse or _uses_of_values(grad) == _uses_alone():
        return None
    return grad.clone()


_in_own_memory.__torch_unserializable__ = True  # type: ignore[attr-defined]  # made anew by a lookup


_count_uses: Any = getattr(torch._C, "_storage_Use_Count", None)


def _uses_of_values(grad: torch.Tensor) -> int | None:
    if _count_uses is None:
        return None
    uses: int = _count_uses(grad._values().untyped_storage()._cdata)
    return uses


@functools.cache
def _uses_alone() -> int:
    """Return how many uses there are where only the gradient holds its values."""
    ids, values = torch.zeros(1, 1, dtype=torch.long), torch.ones(1, 1)
    alone = torch.sparse_coo_tensor(ids, values, (1, 1), check_invariants=False)
    del values
    return _uses_of_values(alone) or -1
