"""Gradients of lookups made of torch's own functions, which have gradients again."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from pyembed.lookup import Lookup


class Given(NamedTuple):
    """What a lookup was given, and the gradient of its rows."""

    lookup: Lookup
    grad: torch.Tensor
    weight: torch.Tensor | None  # the table (V, D), where the gradient depends on it
    weights: torch.Tensor | None  # per sample
    ids: torch.Tensor
    offsets: torch.Tensor | None


def table_gradient(given: Given, sparse: bool) -> torch.Tensor:
    """Return the gradient of the table: each position's share of its bag's, at its id."""
    table: Any = given.lookup.table
    ids = given.ids.reshape(-1).long()
    values = _grad_of_positions(given) * _shares(given)
    if table.padding_idx is not None:
        counted = _counted(given).nonzero().squeeze(1)
        ids, values = ids.index_select(0, counted), values.index_select(0, counted)
    if sparse:
        return torch.sparse_coo_tensor(ids[None], values, table.array.shape, check_invariants=False)
    return values.new_zeros(table.array.shape).index_add(0, ids, values)


def weights_gradient(given: Given) -> torch.Tensor:
    """Return the gradient of the weights per sample: the slope that csrc/lookup/pooling.h has."""
    assert given.weight is not None
    table: Any = given.lookup.table
    table.settle()
    rows = given.weight.index_select(0, given.ids.reshape(-1).long())
    slopes = (_grad_of_positions(given) * rows).sum(1) * _counted(given)
    mode = given.lookup.mode
    if mode in ("mean", "sqrtn"):
        bags = _bags(given)
        inverse = _inverse_divisors(given)
        dots = _sum_bags(given, _weights(given) * slopes) * inverse
        by_weight = _weights(given) if mode == "sqrtn" else 1.0
        slopes = slopes - by_weight * (dots * inverse if mode == "sqrtn" else dots)[bags]
        slopes = slopes * inverse[bags] * _counted(given)
    return slopes.view(given.ids.shape)


def _shares(given: Given) -> torch.Tensor:
    """Return what each position (n, 1) or (n, D) is given of its bag's gradient."""
    lookup = given.lookup
    if lookup.mode == "max":
        return _winners(given)
    shares = _weights(given)
    if lookup.mode in ("mean", "sqrtn"):
        shares = shares * _inverse_divisors(given)[_bags(given)]
    if lookup.by_frequency:
        ids = given.ids.reshape(-1).long()
        shares = shares / torch.bincount(ids)[ids]
    return shares[:, None]


def _grad_of_positions(given: Given) -> torch.Tensor:
    """Return the gradient (n, D) of each position's bag, or of its own row."""
    grad = given.grad
    if given.lookup.mode is not None:
        return grad.index_select(0, _bags(given))
    return grad.reshape(given.ids.numel(), grad.shape[-1])


def _counted(given: Given) -> torch.Tensor:
    """Return whether each position (n,) counts: it is no padding."""
    table: Any = given.lookup.table
    ids = given.ids.reshape(-1)
    return ids != table.padding_idx if table.padding_idx is not None else torch.ones_like(ids) > 0


def _weights(given: Given) -> torch.Tensor:
    """Return the weight of each position (n,), 0 where it does not count."""
    counted = _counted(given).to(given.grad.dtype)
    return counted if given.weights is None else given.weights.reshape(-1) * counted


def _bags(given: Given) -> torch.Tensor:
    """Return the bag of each position (n,)."""
    count = given.ids.numel()
    if given.offsets is None:
        length = given.ids.shape[1]
        return torch.arange(count) // max(length, 1)
    starts = given.offsets[: given.grad.shape[0]].long()
    return torch.searchsorted(starts, torch.arange(count), right=True) - 1


def _sum_bags(given: Given, values: torch.Tensor) -> torch.Tensor:
    """Return the sum of the values (n,) of each bag."""
    return values.new_zeros(given.grad.shape[0]).index_add(0, _bags(given), values)


def _inverse_divisors(given: Given) -> torch.Tensor:
    """Return one over the divisor of each bag, and 0 where it is zero."""
    weights = _weights(given)
    is_root = given.lookup.mode == "sqrtn"
    divisors = _sum_bags(given, weights * weights if is_root else weights)
    is_zero = divisors == 0
    divisors = divisors.masked_fill(is_zero, 1.0)  # whose slope is finite
    inverse = 1.0 / (divisors.sqrt() if is_root else divisors)
    return inverse.masked_fill(is_zero, 0.0)


def _winners(given: Given) -> torch.Tensor:
    """Return 1 (n, D) where a position is the first in its bag that has the maximum, else 0."""
    assert given.weight is not None
    table: Any = given.lookup.table
    table.settle()
    ids, bags, counted = given.ids.reshape(-1).long(), _bags(given), _counted(given)
    rows = given.weight.detach().index_select(0, ids)
    dim = rows.shape[1]
    at = bags[:, None].expand(-1, dim)
    lowest = torch.full((given.grad.shape[0], dim), -torch.inf, dtype=rows.dtype)
    maxima = lowest.scatter_reduce(0, at, rows.masked_fill(~counted[:, None], -torch.inf), "amax")
    is_maximum = (rows == maxima[bags]) | (rows.isnan() & maxima[bags].isnan())
    last = len(ids)
    position = torch.arange(last)[:, None].expand(-1, dim)
    position = position.masked_fill(~(is_maximum & counted[:, None]), last)
    first = torch.full(lowest.shape, last).scatter_reduce(0, at, position, "amin")
    wins = (torch.arange(last)[:, None] == first[bags]) & counted[:, None]
    return wins.to(given.grad.dtype)
