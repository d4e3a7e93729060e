"""Lookups that autograd knows."""

from __future__ import annotations

from typing import Any

import torch

from pyembed.lookup import Lookup
from pyembed.sharding import AnyLookup
from pyembed.sharding.lookup import ShardedLookup
from pyembed.table import Table
from pyembed.torch import _derivatives
from pyembed.torch._memory import array_of, rows_of
from pyembed.torch._optimizer import SparseOptimizer
from pyembed.torch._sharded import received
from pyembed.torch._threads import follow_torch
from pyembed.torch._watch import is_reached


class LookedUp(torch.autograd.Function):
    """Rows of a table, pooled where there are bags."""

    @staticmethod
    def forward(
        ctx: Any,
        weight: torch.Tensor,
        per_sample_weights: torch.Tensor | None,
        ids: torch.Tensor,
        offsets: torch.Tensor | None,
        lookup: AnyLookup,
        sparse: bool,
        optimizer: SparseOptimizer | None,
    ) -> torch.Tensor:
        """Look the rows up."""
        rows = _rows(weight, per_sample_weights, ids, offsets, lookup)
        # What the gradient depends on must be as it is now: saved, a change of it is noticed.
        needs_table = lookup.needs_table or ctx.needs_input_grad[1]
        ctx.save_for_backward(per_sample_weights, ids, offsets, weight if needs_table else None)
        ctx.how = lookup, sparse, optimizer
        if optimizer is not None:
            ctx.weight = weight
            ctx.within = optimizer._running_pass()
        return rows

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[Any, ...]:
        """Return the gradients; that of the weight is None where its optimizer takes it."""
        follow_torch()
        lookup, sparse, optimizer = ctx.how
        weights, ids, offsets, weight = ctx.saved_tensors
        needs_table, needs_weights = ctx.needs_input_grad[:2]
        if optimizer is not None and needs_table:
            asked = is_reached(ctx.next_functions[0][0])
            if asked is not True:  # for the gradient itself, or for none
                optimizer, needs_table = None, asked is None
        of_table = of_weights = None
        if _is_for_torch(grad, weights) and isinstance(lookup, ShardedLookup):
            raise RuntimeError("gradients of rows that are with several ranks have no gradients")
        if _is_for_torch(grad, weights):
            known = _derivatives.Given(lookup, grad, weight, weights, ids, offsets)
            if needs_weights:
                of_weights = _derivatives.weights_gradient(known)
            if needs_table and optimizer is None:
                return _derivatives.table_gradient(known, sparse), of_weights, *_NO_MORE
            needs_weights = False
            grad, weights = grad.detach(), None if weights is None else weights.detach()
        if isinstance(lookup, ShardedLookup):
            return LookedUp._backward_of_all(ctx, grad, optimizer, needs_table, needs_weights)
        if needs_table and sparse and optimizer is None and _passes_gradients_on(lookup):
            rows = grad.resolve_neg().contiguous().view(ids.numel(), grad.shape[-1])
            return _sparse(ids.reshape(1, -1).clone(), rows, lookup.table), None, *_NO_MORE
        if weight is not None:
            lookup = _lookup_in(weight, lookup)
        if optimizer is not None:  # which keeps them to the end of the pass
            grad, ids = grad.detach(), ids.detach()
        given = _array(ids), _array(grad), _array(offsets), _array(weights)
        if needs_weights:
            of_weights = torch.from_numpy(lookup.weight_gradient(*given))
        if needs_table:
            calls = (lookup.call(*given),)
            if optimizer is not None:
                optimizer._take(ctx.weight, *calls, ctx.how[0].table, ctx.within)
            elif sparse:
                rows, values = lookup.sparse_gradient(calls)
                of_table = _sparse(
                    torch.from_numpy(rows[None]), torch.from_numpy(values), lookup.table
                )
            else:
                of_table = torch.from_numpy(lookup.dense_gradient(calls))
        return of_table, of_weights, *_NO_MORE

    @staticmethod
    def _backward_of_all(
        ctx: Any,
        grad: torch.Tensor,
        optimizer: SparseOptimizer | None,
        needs_table: bool,
        needs_weights: bool,
    ) -> tuple[Any, ...]:
        """Return the gradients, that of the weight from all ranks: they do this together."""
        lookup, sparse, _ = ctx.how
        weights, ids, offsets, _ = ctx.saved_tensors
        given = _array(ids), _array(grad), _array(offsets), _array(weights)
        of_table = of_weights = None
        if needs_weights:
            of_weights = torch.from_numpy(lookup.weight_gradient(*given))
        if needs_table:
            part = lookup.table.part
            calls = received(lookup, given)
            if optimizer is not None:
                for call in calls:
                    optimizer._take(ctx.weight, call, part, ctx.within)
            elif sparse:
                # As `sparse_gradient` has it of one process.
                summed = lookup.needs_table
                rows, values = part.coalesced(calls) if summed else part.expanded(calls)
                of_table = _sparse(torch.from_numpy(rows[None]), torch.from_numpy(values), part)
            else:
                of_table = torch.from_numpy(part.to_dense(calls, None, "auto"))
        return of_table, of_weights, *_NO_MORE


# Without what `torch.autograd.Function` does first, for tensors that are left over from
# transforms: only weights per sample may be such.
_apply: Any = super(torch.autograd.Function, LookedUp).apply
_NO_MORE = (None,) * 5  # what a lookup is given besides the weights


def look_up(
    weight: torch.Tensor,
    per_sample_weights: torch.Tensor | None,
    ids: torch.Tensor,
    offsets: torch.Tensor | None,
    lookup: AnyLookup,
    sparse: bool,
    optimizer: SparseOptimizer | None,
) -> torch.Tensor:
    """Return rows, or pooled rows, with their place in autograd's graph where they have one.

    Their gradient is `sparse` or not, or `optimizer` takes it in the backward pass.
    """
    if not torch.is_grad_enabled():
        if optimizer is not None:
            optimizer._running_pass()  # it may be looked up again there, by a pass within it
        return _rows(weight, per_sample_weights, ids, offsets, lookup)
    apply: Any = _apply if per_sample_weights is None else LookedUp.apply
    rows: torch.Tensor = apply(weight, per_sample_weights, ids, offsets, lookup, sparse, optimizer)
    return rows


def _rows(
    weight: torch.Tensor,
    per_sample_weights: torch.Tensor | None,
    ids: torch.Tensor,
    offsets: torch.Tensor | None,
    lookup: AnyLookup,
) -> torch.Tensor:
    follow_torch()
    rows = lookup.gather(_array(ids), _array(offsets), _array(per_sample_weights))
    table: Any = lookup.table
    if table.max_norm is not None:  # rows may have been scaled
        torch.autograd.graph.increment_version(weight)
    return torch.from_numpy(rows)


def _is_for_torch(grad: torch.Tensor, weights: torch.Tensor | None) -> bool:
    """Return whether gradients must have gradients again, or stand for many at a time (vmap)."""
    has_memory: Any = torch._C._has_storage  # type: ignore[attr-defined]
    if not torch.is_grad_enabled():
        return not has_memory(grad)
    return grad.requires_grad or (weights is not None and weights.requires_grad)


def _lookup_in(weight: torch.Tensor, lookup: Lookup) -> Lookup:
    """Return the lookup in a weight, whose memory may have been moved meanwhile, as FSDP does."""
    old: Any = lookup.table
    if old.array.__array_interface__["data"][0] == weight.data_ptr():
        return lookup
    table = Table(rows_of(weight), padding_idx=old.padding_idx)
    return Lookup(table, lookup.mode, lookup.include_last_offset, lookup.by_frequency)


def _passes_gradients_on(lookup: AnyLookup) -> bool:
    """Return whether the upstream gradient's rows are a sparse gradient's values as they are."""
    table: Any = lookup.table
    return lookup.mode is None and not lookup.by_frequency and table.padding_idx is None


def _sparse(ids: torch.Tensor, values: torch.Tensor, table: Table) -> torch.Tensor:
    return torch.sparse_coo_tensor(ids.long(), values, table.array.shape, check_invariants=False)


def _array(tensor: torch.Tensor | None) -> Any:
    return None if tensor is None else array_of(tensor)
