"""Gradients on their way to the ranks that have their rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pyembed import _core
from pyembed._core import BackwardCall
from pyembed.sharding import agreement
from pyembed.sharding.communicator import Communicator
from pyembed.sharding.table import AnyTable, ShardedTable

_NONE = -1  # in the place of a count: no gradient, where 0 is an empty one

Calls: TypeAlias = dict[AnyTable, list[BackwardCall]]
Sent: TypeAlias = tuple[NDArray[np.int64], NDArray[Any], NDArray[np.int64], BackwardCall]


def received(comm: Communicator, calls: Callable[[], Calls], tables: Sequence[AnyTable]) -> Calls:
    """Return the gradients for what is here of each table that any rank has one of.

    Parameters
    ----------
    comm : Communicator
    calls : callable
        Returns this rank's own, by table.
    tables : sequence of Table or ShardedTable
        Those that may be among them, the same on all ranks. Of a table that is no sharded one,
        each rank keeps its own.

    Returns
    -------
    dict
        Of a sharded table, a call for each rank that has a gradient, in the order of the ranks,
        whose ids are rows of its part.
    """
    own: Calls = {}
    sharded = [table for table in tables if isinstance(table, ShardedTable)]

    def gradients() -> list[Sequence[BackwardCall] | None]:
        own.update(calls())
        return [own.get(table) for table in sharded]

    came = _exchanged(comm, sharded, gradients)
    found: dict[AnyTable, list[BackwardCall] | None] = {**own}
    found.update(zip(sharded, came, strict=True))
    in_order = ((table, found.get(table)) for table in tables)
    return {table: calls for table, calls in in_order if calls is not None}


def coalesced(
    comm: Communicator, gradients: Sequence[tuple[AnyTable, Sequence[BackwardCall]]]
) -> list[NDArray[Any]]:
    """Return the values that all ranks' gradients add up to, of the rows here of each table."""
    tables = [table for table, _ in gradients if isinstance(table, ShardedTable)]
    came = _exchanged(comm, tables, lambda: [calls for _, calls in gradients])
    return [table.part.coalesced(calls or [])[1] for table, calls in zip(tables, came, strict=True)]


def _exchanged(
    comm: Communicator,
    tables: Sequence[ShardedTable],
    gradients: Callable[[], Sequence[Sequence[BackwardCall] | None]],
) -> list[list[BackwardCall] | None]:
    """Return the calls for what is here of each table, None where no rank has a gradient of it.

    `gradients` returns this rank's own in the order of the tables.
    """

    def prepare() -> tuple[list[Sent | None], NDArray[np.int64]]:
        sent = [
            None if calls is None else table.by_owner(calls)
            for table, calls in zip(tables, gradients(), strict=True)
        ]
        numbers = np.zeros((comm.size, width), np.int64)  # from 0 on, where that stands for _NONE
        for at, parts in enumerate(sent):
            numbers[:, at] = 0 if parts is None else parts[2] - _NONE
        return sent, numbers

    width = max(len(tables), 1)
    doing = agreement.Doing("a step or a norm", tables[0].number if tables else 0)
    sent, numbers = agreement.exchanged(comm, prepare, doing, width)
    return [
        _received_of(table, parts, numbers[:, at] + _NONE)
        for at, (table, parts) in enumerate(zip(tables, sent, strict=True))
    ]


def _received_of(
    table: ShardedTable, sent: Sent | None, counts: NDArray[np.int64]
) -> list[BackwardCall] | None:
    """Return the gradients that came for a table; `counts` of rows from each rank, or none."""
    if (counts == _NONE).all():
        return None
    comm = table.comm
    rows, values, own_counts, own = sent or table.by_owner([])
    going = agreement.of_others(comm, own_counts)
    coming = agreement.of_others(comm, np.maximum(counts, 0))
    total = int(coming.sum())
    came_rows = _core.empty((total,), "int64")
    came_values = _core.empty((total, table.dim), table.dtype)
    comm.alltoallv(rows, going, came_rows, coming)
    comm.alltoallv(values, going, came_values, coming)
    calls = []
    for rank, (end, n) in enumerate(zip(np.cumsum(coming), coming, strict=True)):
        if counts[rank] == _NONE:
            continue
        part = came_rows[end - n : end], came_values[end - n : end]
        is_own = rank == comm.rank
        calls.append(own if is_own else BackwardCall(*part, table.dim, table.dtype))
    return calls
