"""The tables that parameters are."""

from __future__ import annotations

import threading
import weakref
from typing import Any

import torch

from pyembed import _core
from pyembed.lookup import Lookup
from pyembed.sharding import AnyLookup
from pyembed.table import Table
from pyembed.torch._memory import rows_of, why_unfit


class WeightTable(Table):
    """The table that modules look up in, while a weight's memory is what it was."""

    memory: tuple[Any, ...]
    options: tuple[Any, ...] | None  # of the modules; None where theirs differ
    steps: WeightTable | None = None  # the one that steps have, where modules' options differ
    modules: weakref.WeakSet[Any]

    @property
    def may_lag(self) -> bool:
        """Whether rows may be behind in memory, which its lookups make up for."""
        return self._owner is not None

    def lag(self) -> None:
        """Have no graph that is compiled read the weight: its rows may be behind from now on."""
        for module in list(self.modules):
            module._rows_may_lag = True


# Those that steps have, by the weight's id. Lookups keep them alive, and modules keep lookups: a
# weak reference to a weight would forbid `torch.utils.swap_tensors`. An id that is dealt again
# finds nothing here, as its tensor's memory is another: a table keeps its own from being reused.
_known: weakref.WeakValueDictionary[int, WeightTable] = weakref.WeakValueDictionary()
_making = threading.Lock()


class Held:
    """A module's lookup in its weight, until the weight's memory or the module's options change.

    Its `parameter` is the weight that was looked up last, unless that was made for the lookup; it
    `keeps_apart` that one's sparse gradients once a hook does so.
    """

    __slots__ = ("how", "keeps_apart", "lookup", "memory", "options", "parameter", "table")

    def __init__(
        self,
        memory: tuple[Any, ...],
        options: tuple[Any, ...],
        how: tuple[Any, ...],
        table: WeightTable,
    ) -> None:
        self.memory = memory
        self.options = options
        self.how = how
        self.table = table
        self.lookup: AnyLookup = Lookup(table, *how)
        self.parameter: torch.Tensor | None = None
        self.keeps_apart = False


def hold(
    held: Held | None, weight: torch.Tensor, options: tuple[Any, ...], how: tuple[Any, ...]
) -> Held | None:
    """Return what a module is to hold on to: `held`, as long as it is right.

    Modules that share a weight, but differ in their options, have tables of their own. Its steps
    then have another, without options: gradients have no padding any more.

    Parameters
    ----------
    held : Held, optional
        What this returned last time.
    weight : torch.Tensor
    options : tuple
        The table's padding_idx, max_norm, norm_type and share.
    how : tuple
        What a `Lookup` has besides its table.

    Returns
    -------
    Held or None
        None where the weight cannot be looked up where it lies: `why_not_held` tells why.

    Raises
    ------
    RuntimeError
        If another module's options are others, and rows are behind.
    """
    memory = _memory(weight)
    if held is not None and held.memory == memory and held.options == options and held.how == how:
        return held
    if why_not_held(weight, options) is not None:
        return None
    with _making:
        return Held(memory, options, how, _table(weight, memory, options))


def why_not_held(weight: torch.Tensor, options: tuple[Any, ...]) -> str | None:
    """Return why modules cannot look up in a weight where it lies, with such options, or None."""
    why = why_unfit(weight)
    if why is None and weight.dim() != 2:
        return f"it has {weight.dim()} axes, not 2"
    if why is None and weight.numel() > 0 and weight.untyped_storage().nbytes() == 0:
        return "its storage was freed"
    _, max_norm, norm_type, _ = options
    if why is None and max_norm is not None and not norm_type > 0.0:  # torch takes any exponent
        return f"max_norm needs a norm, and norm_type={norm_type} is none"
    return why


def _table(weight: torch.Tensor, memory: tuple[Any, ...], options: tuple[Any, ...]) -> WeightTable:
    known = _known.get(id(weight))
    if known is None or known.memory != memory:
        known = _known[id(weight)] = _made(weight, memory, options)
    if known.options == options:
        return known
    if known.stamps().size:
        raise modules_differ("SparseAdam(update='exact') trains")
    if known.options is not None:
        without = _made(weight, memory, None)
        known.steps = _known[id(weight)] = without
        known = without
    table = _made(weight, memory, options)
    table.steps = known
    return table


def _made(
    weight: torch.Tensor, memory: tuple[Any, ...], options: tuple[Any, ...] | None
) -> WeightTable:
    padding_idx, max_norm, norm_type, share = options or (None, None, 2.0, None)
    table = WeightTable(
        rows_of(weight),
        padding_idx=padding_idx,
        max_norm=max_norm,
        norm_type=norm_type,
        share=share,
    )
    table.memory, table.options, table.modules = memory, options, weakref.WeakSet()
    return table


def modules_differ(trained: str) -> RuntimeError:
    """Return the error where a weight that is `trained` by its table has modules that differ."""
    return RuntimeError(
        f"a weight that {trained} can be shared only by modules with the same padding_idx and "
        "max_norm"
    )


def do_modules_differ(p: torch.Tensor) -> bool:
    """Return whether modules of different options look up in `p`."""
    known = _known.get(id(p))
    return known is not None and known.options is None


def known_table(p: torch.Tensor) -> Table | None:
    """Return the table that modules look up in, where `p` is their weight: see `hold`."""
    known = _known.get(id(p))
    return None if known is None or known.memory != _memory(p) else known


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
