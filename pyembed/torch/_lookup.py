"""Lookups that autograd knows."""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable

from pyembed.lookup import Lookup
from pyembed.torch._memory import array_of
from pyembed.torch._optimizer import SparseOptimizer
from pyembed.torch._threads import follow_torch


class LookedUp(torch.autograd.Function):
    """Rows of a table, pooled where there are bags."""

    @staticmethod
    def forward(
        ctx: Any,
        weight: torch.Tensor,
        per_sample_weights: torch.Tensor | None,
        ids: torch.Tensor,
        offsets: torch.Tensor | None,
        lookup: Lookup,
        sparse: bool,
        optimizer: SparseOptimizer | None,
    ) -> torch.Tensor:
        """Look the rows up."""
        rows = _rows(weight, per_sample_weights, ids, offsets, lookup)
        # What the gradient depends on must be as it is now: saved, a change of it is noticed.
        needs_table = lookup.needs_table or ctx.needs_input_grad[1]
        ctx.save_for_backward(per_sample_weights, ids, offsets, weight if needs_table else None)
        ctx.how = lookup, sparse, optimizer
        ctx.weight = weight if optimizer is not None else None
        return rows

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[Any, ...]:
        """Return the gradients; that of the weight is None where its optimizer takes it."""
        follow_torch()
        lookup, sparse, optimizer = ctx.how
        weights, ids, offsets, _ = ctx.saved_tensors
        given = _array(ids), _array(grad), _array(offsets), _array(weights)
        of_table = of_weights = None
        if ctx.needs_input_grad[1]:
            of_weights = torch.from_numpy(lookup.weight_gradient(*given))
        if sparse and optimizer is None and _passes_gradients_on(lookup):
            values = grad.resolve_neg().reshape(ids.numel(), grad.shape[-1])
            of_table = _sparse(ids.reshape(1, -1), values, lookup)
        elif ctx.needs_input_grad[0]:
            calls = (lookup.call(*given),)
            if optimizer is not None:
                optimizer._take(ctx.weight, *calls, lookup.table)
            elif sparse:
                rows, values = map(torch.from_numpy, lookup.sparse_gradient(calls))
                of_table = _sparse(rows[None], values, lookup)
            else:
                of_table = torch.from_numpy(lookup.dense_gradient(calls))
        return of_table, of_weights, None, None, None, None, None


def look_up(
    weight: torch.Tensor,
    per_sample_weights: torch.Tensor | None,
    ids: torch.Tensor,
    offsets: torch.Tensor | None,
    lookup: Lookup,
    sparse: bool,
    optimizer: SparseOptimizer | None,
) -> torch.Tensor:
    """Return rows, or pooled rows, with their place in autograd's graph where they have one.

    Their gradient is `sparse` or not, or `optimizer` takes it in the backward pass.
    """
    if not torch.is_grad_enabled():
        return _rows(weight, per_sample_weights, ids, offsets, lookup)
    apply: Any = LookedUp.apply
    rows: torch.Tensor = apply(weight, per_sample_weights, ids, offsets, lookup, sparse, optimizer)
    return rows


def _rows(
    weight: torch.Tensor,
    per_sample_weights: torch.Tensor | None,
    ids: torch.Tensor,
    offsets: torch.Tensor | None,
    lookup: Lookup,
) -> torch.Tensor:
    follow_torch()
    rows = lookup.gather(_array(ids), _array(offsets), _array(per_sample_weights))
    table: Any = lookup.table
    if table.max_norm is not None:  # rows may have been scaled
        torch.autograd.graph.increment_version(weight)
    return torch.from_numpy(rows)


def _passes_gradients_on(lookup: Lookup) -> bool:
    """Return whether the upstream gradient's rows are a sparse gradient's values as they are."""
    table: Any = lookup.table
    return lookup.mode is None and not lookup.by_frequency and table.padding_idx is None


def _sparse(ids: torch.Tensor, values: torch.Tensor, lookup: Lookup) -> torch.Tensor:
    return torch.sparse_coo_tensor(
        ids.long(), values, lookup.table.array.shape, check_invariants=False
    )


def _array(tensor: torch.Tensor | None) -> Any:
    return None if tensor is None else array_of(tensor)
