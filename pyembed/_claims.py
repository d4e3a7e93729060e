"""Which live optimizer updates a table: two would each hold half of the truth about its state."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pyembed._core import Table

if TYPE_CHECKING:
    from pyembed.layer import TableLayer
    from pyembed.optimizers.base import SparseOptimizer

_owners: weakref.WeakKeyDictionary[Table, weakref.ref[SparseOptimizer]] = (
    weakref.WeakKeyDictionary()
)
# Reentrant: garbage may be collected meanwhile, and an object of the user's release its optimizer.
_lock = threading.RLock()


def _renew_lock() -> None:
    """Forget who held the lock in the parent of a forked child: that thread does not exist here."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def owner(table: Table) -> SparseOptimizer | None:
    """Return the live optimizer that updates the table."""
    found = _owners.get(table)
    return None if found is None else found()


def no_step(table: Table) -> contextlib.AbstractContextManager[Any]:
    """Return a context in which the table's optimizer begins no step in another thread."""
    optimizer = owner(table)
    return contextlib.nullcontext() if optimizer is None else optimizer._lock


def claim(layers: Iterable[TableLayer], optimizer: SparseOptimizer) -> None:
    """Take the tables of all layers, or of none.

    Raises
    ------
    ValueError
        If a table is updated by another live optimizer.
    """
    layers = list(layers)
    with _lock:
        for layer in layers:
            holder = owner(layer._table)
            if holder is not None and holder is not optimizer:
                raise ValueError(
                    f"{layer.name} is updated by another optimizer: call opt.release() on that one "
                    "first"
                )
        for layer in layers:
            _owners[layer._table] = weakref.ref(optimizer)
    for layer in layers:
        layer._table.detach_moments()  # of an optimizer that died


def release(tables: Iterable[Table], optimizer: SparseOptimizer) -> None:
    """Give up those of the tables that the optimizer holds."""
    with _lock:
        for table in tables:
            if owner(table) is optimizer:
                del _owners[table]
