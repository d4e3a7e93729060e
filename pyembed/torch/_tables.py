"""The tables that parameters are."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch.utils.weak import WeakTensorKeyDictionary

from pyembed import _core
from pyembed.lookup import Lookup
from pyembed.table import Table
from pyembed.torch._memory import rows_of, why_unfit


class _Known(NamedTuple):
    memory: tuple[Any, ...]
    options: tuple[Any, ...] | None  # of the modules; None where theirs differ
    table: Table
    lookups: dict[tuple[Any, ...], Lookup]


_known: Any = WeakTensorKeyDictionary()  # those that modules look up in


def module_lookup(
    weight: torch.Tensor,
    padding_idx: int | None,
    max_norm: float | None,
    norm_type: float,
    *how: Any,
) -> Lookup:
    """Return a module's lookup in its weight, whose table is the same as long as its memory is.

    Modules that share a weight, but differ in their options, have tables of their own. Its steps
    then have another, without options: gradients have no padding any more.
    `how` is what a `Lookup` has besides its table.
    """
    memory = _memory(weight)
    options = (padding_idx, max_norm, norm_type if max_norm is not None else None)
    known = _known.get(weight)
    if known is None or known.memory != memory:
        table = _table(weight, padding_idx, max_norm, norm_type)
        known = _known[weight] = _Known(memory, options, table, {})
    elif known.options != options:
        if known.table.stamps().size:
            raise modules_differ("SparseAdam(update='exact') trains")
        if known.options is not None:
            _known[weight] = _Known(memory, None, Table(rows_of(weight)), {})
        return Lookup(_table(weight, padding_idx, max_norm, norm_type), *how)
    lookup: Lookup | None = known.lookups.get(how)
    if lookup is None:
        lookup = known.lookups[how] = Lookup(known.table, *how)
    return lookup


def _table(
    weight: torch.Tensor, padding_idx: int | None, max_norm: float | None, norm_type: float
) -> Table:
    why = why_unfit(weight)
    if why is not None:
        _known.pop(weight, None)
        raise TypeError(f"the weight cannot be looked up where it lies: {why}")
    return Table(rows_of(weight), padding_idx=padding_idx, max_norm=max_norm, norm_type=norm_type)


def modules_differ(trained: str) -> RuntimeError:
    """Return the error where a weight that is `trained` by its table has modules that differ."""
    return RuntimeError(
        f"a weight that {trained} can be shared only by modules with the same padding_idx and "
        "max_norm"
    )


def do_modules_differ(p: torch.Tensor) -> bool:
    """Return whether modules of different options look up in `p`."""
    known = _known.get(p)
    return known is not None and known.options is None


def known_table(p: torch.Tensor) -> Table | None:
    """Return the table that modules look up in, where `p` is their weight: see `module_lookup`."""
    known = _known.get(p)
    if known is None or known.memory != _memory(p):
        return None
    table: Table = known.table
    return table


def table_of(p: torch.Tensor, leading: int) -> _core.Table:
    """Return the table that a fit parameter is, whose first `leading` axes count the rows."""
    table = known_table(p) if leading == 1 and p.dim() == 2 else None
    return _core.Table(rows_of(p, leading)) if table is None else table


def settle(p: torch.Tensor) -> None:
    """Bring all rows of a parameter up to date."""
    table = known_table(p)
    if table is not None:
        table.settle()


def _memory(tensor: torch.Tensor) -> tuple[Any, ...]:
    return tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype
