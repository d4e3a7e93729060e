"""Lookups that autograd knows."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch.autograd.function import once_differentiable

from pyembed import _core
from pyembed._core import BackwardCall, SortedGradient, Table
from pyembed.torch._memory import array_of
from pyembed.torch._optimizer import SparseOptimizer
from pyembed.torch._threads import follow_torch


class How(NamedTuple):
    """What the lookups of a module have in common; `bag` is mode and include_last_offset."""

    table: Table
    writes: bool  # a lookup may scale rows: there is a max_norm
    has_padding: bool
    by_frequency: bool
    sparse: bool
    optimizer: SparseOptimizer | None  # that updates rows in the backward pass
    bag: tuple[str, bool] | None = None

    def gather(self, ids: Any, offsets: Any, weights: Any) -> NDArray[Any]:
        """Return the rows of ids, pooled where there are bags."""
        if self.bag is None:
            return self.table.gather(ids)
        return self.table.gather_bag(ids, offsets, weights, *self.bag)

    def call(self, ids: Any, grad: Any, offsets: Any, weights: Any) -> BackwardCall:
        """Return the backward call of a lookup."""
        bag = () if self.bag is None else (offsets, weights, *self.bag)
        _, dim = self.table.array.shape
        return BackwardCall(
            ids, grad, dim, grad.dtype.name, *bag, table=self.table, by_frequency=self.by_frequency
        )

    @property
    def needs_table(self) -> bool:
        """Whether the gradient of the table depends on its values."""
        return self.bag is not None and self.bag[0] == "max"

    @property
    def passes_gradients_on(self) -> bool:
        """Whether the upstream gradient's rows are the sparse gradient's values as they are."""
        is_plain = self.bag is None and not self.has_padding and not self.by_frequency
        return is_plain and self.sparse and self.optimizer is None


class Lookup(torch.autograd.Function):
    """Rows of a table: (weight, per_sample_weights, ids, offsets, how) -> rows, or pooled rows."""

    @staticmethod
    def forward(
        ctx: Any,
        weight: torch.Tensor,
        per_sample_weights: torch.Tensor | None,
        ids: torch.Tensor,
        offsets: torch.Tensor | None,
        how: How,
    ) -> torch.Tensor:
        """Look the rows up."""
        rows = _rows(weight, per_sample_weights, ids, offsets, how)
        # What the gradient depends on must be as it is now: saved, a change of it is noticed.
        needs_table = how.needs_table or ctx.needs_input_grad[1]
        ctx.save_for_backward(per_sample_weights, ids, offsets, weight if needs_table else None)
        ctx.how = how
        ctx.weight = weight if how.optimizer is not None else None
        return rows

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[Any, ...]:
        """Return the gradients; that of the weight is None where its optimizer takes it."""
        follow_torch()
        how: How = ctx.how
        weights, ids, offsets, _ = ctx.saved_tensors
        lookup = _array(ids), _array(grad), _array(offsets), _array(weights)
        of_weights = None
        if how.bag is not None and ctx.needs_input_grad[1]:
            of_weights = torch.from_numpy(how.table.weight_gradient(*lookup, *how.bag))
        of_table = None
        if how.passes_gradients_on:
            values = grad.resolve_neg().reshape(ids.numel(), grad.shape[-1])
            of_table = _sparse(ids.reshape(1, -1), values, how)
        elif ctx.needs_input_grad[0]:
            call = how.call(*lookup)
            if how.optimizer is None:
                of_table = _gradient(call, how)
            else:
                how.optimizer._take(ctx.weight, call, how.table)
        return of_table, of_weights, None, None, None


def look_up(
    weight: torch.Tensor,
    per_sample_weights: torch.Tensor | None,
    ids: torch.Tensor,
    offsets: torch.Tensor | None,
    how: How,
) -> torch.Tensor:
    """Return rows, or pooled rows, with their place in autograd's graph where they have one."""
    given = (weight, per_sample_weights, ids, offsets, how)
    if not torch.is_grad_enabled():
        return _rows(*given)
    looked_up: Any = Lookup.apply
    rows: torch.Tensor = looked_up(*given)
    return rows


def _rows(
    weight: torch.Tensor,
    per_sample_weights: torch.Tensor | None,
    ids: torch.Tensor,
    offsets: torch.Tensor | None,
    how: How,
) -> torch.Tensor:
    follow_torch()
    rows = how.gather(_array(ids), _array(offsets), _array(per_sample_weights))
    if how.writes:
        torch.autograd.graph.increment_version(weight)
    return torch.from_numpy(rows)


def _gradient(call: BackwardCall, how: How) -> torch.Tensor:
    """Return the table's gradient as a tensor."""
    table = how.table
    if not how.sparse:
        dense = _core.zeros(table.array.shape, table.array.dtype.name)
        _core.to_dense(table, (call,), dense, "auto")
        return torch.from_numpy(dense)
    if how.bag is None:
        ids, values = _core.expand(table, (call,))
    else:  # one row an id could be many times as large
        ids, values = SortedGradient(table, (call,)).coalesce()
    return _sparse(torch.from_numpy(ids)[None], torch.from_numpy(values), how)


def _sparse(indices: torch.Tensor, values: torch.Tensor, how: How) -> torch.Tensor:
    return torch.sparse_coo_tensor(
        indices.long(), values, how.table.array.shape, check_invariants=False
    )


def _array(tensor: torch.Tensor | None) -> Any:
    return None if tensor is None else array_of(tensor)
