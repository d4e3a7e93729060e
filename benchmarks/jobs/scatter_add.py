"""``ops.scatter_add`` into a dense table, both of its algorithms, beside its peers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

import data
import grid
import peers
import pyembed as pe
import streams
from data import Array, Ids
from grid import Cell
from harness import Contestant, Match, over
from jobs import Table
from options import Options


def tables(options: Options) -> list[Table]:
    cases = grid.cases(options, build)
    return [Table("ops.scatter_add(method='sorted')", cases, ["torch", "numba"])]


def build(cell: Cell) -> Match:
    batches = streams.pool(cell.distribution, cell.rows, cell.ids)
    table = np.zeros((cell.rows, cell.dim), cell.dtype)
    rows = data.whole_numbers((cell.ids, cell.dim), cell.dtype)
    return cell.match(contestants(table, batches, rows), batches, 2 * cell.ids * cell.row_bytes)


def contestants(table: Array, batches: list[Ids], rows: Array) -> Iterator[Contestant]:
    """All add into one and the same table: zeros when compared, anything when timed."""
    empty = partial(table.fill, 0)
    for method in ("sorted", "atomic"):
        add = partial(pe.ops.scatter_add, table, rows=rows, method=method)
        yield Contestant(f"pyembed {method}", over(batches, add), prepare=empty)
    yield Contestant(
        "np.add.at",
        over(batches, lambda ids: np.add.at(table, ids, rows)),
        result=lambda _: table,
        prepare=empty,
    )
    if (torch := peers.torch()) is not None:
        target, source = torch.from_numpy(table), torch.from_numpy(rows)
        index_add = partial(target.index_add_, 0, source=source)
        yield Contestant("torch index_add_", over(peers.tensors(batches), index_add), prepare=empty)
    if (loops := peers.loops()) is not None:
        add = partial(loops.add, table, rows=rows)
        yield Contestant("numba prange", over(batches, add), prepare=empty)
