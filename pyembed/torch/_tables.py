"""The tables that parameters are, and who keeps their rows up to date."""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import torch
from torch.utils.weak import WeakTensorKeyDictionary

from pyembed._core import Table
from pyembed.torch._memory import rows_of, why_unfit


class _Known(NamedTuple):
    memory: tuple[Any, ...]
    options: tuple[Any, ...] | None  # of the modules; None where theirs differ
    table: Table


class _Keeper(NamedTuple):
    optimizer: weakref.ref[Any]
    by: tuple[Any, ...]


_known: Any = WeakTensorKeyDictionary()  # those that modules look up in
_keepers: weakref.WeakKeyDictionary[Table, _Keeper] = weakref.WeakKeyDictionary()


def module_table(
    weight: torch.Tensor, padding_idx: int | None, max_norm: float | None, norm_type: float
) -> Table:
    """Return the table that a module's weight is: the same one as long as its memory is the same.

    Modules that share a weight, but differ in their options, have tables of their own. Its steps
    then have another, without options: gradients have no padding any more.

    Raises
    ------
    TypeError
        If the weight cannot be looked up where it lies.
    RuntimeError
        If the modules differ, and exact Adam keeps the table of the others up to date.
    """
    memory = _memory(weight)
    options = (padding_idx, max_norm, norm_type if max_norm is not None else None)
    known = _known.get(weight)
    if known is not None and known.memory == memory:
        if known.options == options:
            table: Table = known.table
            return table
        if known.table in _keepers:
            raise modules_differ("SparseAdam(update='exact') trains")
    why = why_unfit(weight)
    if why is not None:
        _known.pop(weight, None)
        raise TypeError(f"the weight cannot be looked up where it lies: {why}")
    table = Table(rows_of(weight), padding_idx=padding_idx, max_norm=max_norm, norm_type=norm_type)
    if known is None or known.memory != memory:
        _known[weight] = _Known(memory, options, table)
    elif known.options is not None:
        _known[weight] = _Known(memory, None, Table(rows_of(weight)))
    return table


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
    """Return the table that modules look up in, where `p` is their weight; see `module_table`."""
    known = _known.get(p)
    if known is None or known.memory != _memory(p):
        return None
    table: Table = known.table
    return table


def table_of(p: torch.Tensor, leading: int) -> Table:
    """Return the table that a fit parameter is, whose first `leading` axes count the rows."""
    table = known_table(p) if leading == 1 and p.dim() == 2 else None
    return Table(rows_of(p, leading)) if table is None else table


def is_kept(table: Table, optimizer: Any, by: tuple[Any, ...]) -> bool:
    """Return whether this optimizer keeps the table's rows up to date, and by these numbers."""
    keeper = _keepers.get(table)
    return keeper is not None and keeper.optimizer() is optimizer and keeper.by == by


def keep(table: Table, optimizer: Any, by: tuple[Any, ...]) -> None:
    """Note who keeps the table's rows up to date, and by which numbers."""
    _keepers[table] = _Keeper(weakref.ref(optimizer), by)


def settle(p: torch.Tensor) -> None:
    """Bring all rows of a parameter up to date."""
    table = known_table(p)
    if table is not None:
        table.settle()


def let_go(table: Table) -> None:
    """Bring all rows up to date for good: another optimizer takes over."""
    table.detach_moments()
    _keepers.pop(table, None)


def _memory(tensor: torch.Tensor) -> tuple[Any, ...]:
    return tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype
