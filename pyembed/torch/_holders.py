"""Whether anybody else holds a gradient's memory."""

from __future__ import annotations

import functools
import sys
from typing import Any

import torch


def own_rows(grad: torch.Tensor, counted: tuple[int, ...] | None) -> torch.Tensor:
    """Return a gradient whose memory nobody else holds; `counted` are its `holders`.

    Autograd hands one gradient to all terms of a sum. Where holders cannot be counted, or the
    elements share memory with each other, this is a copy.
    """
    if grad.is_neg() or not grad.is_contiguous() or counted is None or counted not in _alone():
        return grad.resolve_neg().clone(memory_format=torch.contiguous_format)
    return grad


def holders(grad: torch.Tensor) -> tuple[int, ...] | None:
    """Count who holds a tensor and its memory, or return None where torch does not tell.

    To be called by a function's ``backward`` with its own argument: that is what `_alone` counts.
    """
    if not _CAN_COUNT:
        return None
    of_tensor: tuple[int, ...] = (sys.getrefcount(grad), grad._use_count(), _uses_of_memory(grad))
    base = grad._base
    return of_tensor if base is None else (*of_tensor, sys.getrefcount(base), base._use_count())


def _uses_of_memory(tensor: torch.Tensor) -> int:
    count: Any = torch._C._storage_Use_Count  # type: ignore[attr-defined]
    uses: int = count(tensor.untyped_storage()._cdata)
    return uses


_CAN_COUNT = hasattr(torch.Tensor, "_use_count") and hasattr(torch._C, "_storage_Use_Count")


class _Probe(torch.autograd.Function):
    """Notes the holders of the gradient that it gets."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, found: list[Any]) -> torch.Tensor:
        ctx.found = found
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[Any, ...]:
        ctx.found.append(holders(grad))
        return None, None


@functools.cache
def _alone() -> frozenset[tuple[int, ...]]:
    """Return the holders of gradients, views and not, that only the function's call holds.

    Counted by a first backward pass, as the numbers are those of Python's version. Not at import:
    whoever has made such a pass can make none after a fork.
    """
    found: list[Any] = []
    apply: Any = _Probe.apply
    with torch.enable_grad():
        x = torch.ones(2, requires_grad=True)
        (apply(x, found) * x.detach()).sum().backward()
        (apply(x, found).view(1, 2) * x.detach()).sum().backward()
    return frozenset(found)
