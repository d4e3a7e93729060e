"""The bridge to PyTorch."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import torch
from numpy.typing import NDArray
from torch.autograd.function import once_differentiable

from pyembed.keras._clipping import Clipping
from pyembed.keras._scopes import in_symbolic_scope
from pyembed.torch._memory import array_of as _memory_of
from pyembed.torch._threads import follow_torch

supports_jit = False
in_order = True


class _LookedUp(torch.autograd.Function):
    """Rows of a table; the gradient of the variable is the signal of the table's."""

    @staticmethod
    def forward(
        ctx: Any,
        anchor: torch.Tensor,
        ids: torch.Tensor,
        mask: torch.Tensor | None,
        variable: Any,
        clipping: Clipping,
    ) -> torch.Tensor:
        """Look the rows up."""
        ctx.save_for_backward(ids, mask)
        ctx.how = variable, clipping
        return _rows(variable, ids, mask)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[Any, ...]:
        """Queue the gradient."""
        ids, mask = ctx.saved_tensors
        variable, clipping = ctx.how
        follow_torch()
        signal = variable.table.take(
            _array_of(ids),
            _array_of(upstream),
            None if mask is None else _array_of(mask),
            clipping=clipping,
            thread=threading.get_ident(),
        )
        return torch.from_numpy(signal).to(upstream.device), None, None, None, None


def look_up(variable: Any, ids: Any, mask: Any, clipping: Clipping) -> torch.Tensor:
    """Return rows with their place in autograd's graph."""
    if variable.table is None or in_symbolic_scope():  # shapes are being inferred
        shape = variable.output_shape(ids.shape)
        return torch.zeros(shape, dtype=getattr(torch, variable.dtype), device=ids.device)
    apply: Any = _LookedUp.apply
    rows: torch.Tensor = apply(variable.value, ids, mask, variable, clipping)
    return rows


def _rows(variable: Any, ids: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    follow_torch()
    rows = variable.table.look_up(_array_of(ids), None if mask is None else _array_of(mask))
    return torch.from_numpy(rows).to(ids.device)


def step(variable: Any, signal: Any) -> None:
    """Apply gradients."""
    follow_torch()
    variable.table.step(_array_of(signal))


def _array_of(value: Any) -> NDArray[Any]:
    """Return a tensor's memory."""
    tensor = value.detach().cpu()
    return tensor.numpy() if tensor.dtype is torch.bool else _memory_of(tensor)


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
