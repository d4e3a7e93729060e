"""``ops.gather`` into a given array, beside the fastest ways of NumPy, PyTorch and Numba.

``np.take`` gets ``mode="clip"``, without which it would buffer its output; ours checks every id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

import data
import grid
import peers
import pyembed as pe
import streams
from data import Array, Ids
from grid import Axes, Cell
from harness import Contestant, Match, over
from jobs import Table
from options import TABLE_SIZES, Options

FULL = Axes(dims=(16, 64, 100, 256, 1000), ids=(256, 1 << 14, 1 << 18), rows=TABLE_SIZES)
Lookups = Callable[[Array, list[Ids]], Iterator[Contestant]]


def tables(options: Options) -> list[Table]:
    return [Table("ops.gather(out=)", grid.cases(options, build, FULL), ["torch", "numba"])]


def build(cell: Cell, lookups: Lookups | None = None) -> Match:
    """Contestants that read one and the same table; of this job, if no others are given."""
    batches = streams.pool(cell.distribution, cell.rows, cell.ids)
    contestants = (lookups or into_one)(data.table(cell.rows, cell.dim, cell.dtype), batches)
    return cell.match(contestants, batches, cell.ids * cell.row_bytes, row_bytes=cell.row_bytes)


def into_one(table: Array, batches: list[Ids]) -> Iterator[Contestant]:
    """All write to one and the same array, so that none is luckier with its pages."""
    out = np.empty((len(batches[0]), table.shape[1]), table.dtype)
    spoil = partial(out.fill, np.nan)
    gather = partial(pe.ops.gather, table, out=out)
    yield Contestant("pyembed", over(batches, gather), prepare=spoil)
    take = partial(np.take, table, axis=0, out=out, mode="clip")
    yield Contestant("np.take", over(batches, take), prepare=spoil)
    if (torch := peers.torch()) is not None:
        source, target = torch.from_numpy(table), torch.from_numpy(out)
        select = partial(torch.index_select, source, 0, out=target)
        yield Contestant("torch", over(peers.tensors(batches), select), prepare=spoil)
    if (loops := peers.loops()) is not None:
        gather_into = partial(loops.gather_into, table, out=out)
        yield Contestant("numba prange", over(batches, gather_into), prepare=spoil)
