"""``ops.gather`` into a given array, beside the fastest ways of NumPy, PyTorch and Numba.

``np.take`` gets ``mode="clip"``, without which it would buffer its output; ours checks every id.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

import data
import peers
import pyembed as pe
import streams
import timed
from data import Array
from grid import Axes, Cell, cells
from harness import Case, Contestant, Match, Measurement, over
from options import TABLE_SIZES, Options
from report import Report, times
from streams import Ids

FULL = Axes(dims=(16, 64, 100, 256, 1000), ids=(256, 1 << 14, 1 << 18), rows=TABLE_SIZES)
PEERS = {
    "np.take": "np.take(out=, mode='clip')",
    "torch": "torch.index_select(out=)",
    "numba prange": "a loop in Numba",
}


def cases(options: Options) -> list[Case]:
    return [Case(cell.labels, partial(build, cell)) for cell in cells(options, FULL)]


def build(cell: Cell) -> Match:
    batches = streams.pool(cell.distribution, cell.rows, cell.ids)
    table = data.table(cell.rows, cell.dim, cell.dtype)
    return Match(
        list(contestants(table, batches)),
        batches=len(batches),
        rows=cell.ids,
        bytes=moved_bytes(cell),
        row_bytes=cell.row_bytes,
        memory=cell.table_bytes,
    )


def moved_bytes(cell: Cell) -> int:
    """The ids, and each row twice."""
    return cell.ids * (2 * cell.row_bytes + np.dtype(np.int64).itemsize)


def contestants(table: Array, batches: list[Ids]) -> Iterator[Contestant]:
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


def run(options: Options) -> Report:
    return timed.run("gather", cases(options), options, summary, ["torch", "numba"])


def summary(found: list[Measurement]) -> list[str]:
    return [
        f"ops.gather(out=), worst of {len(found)} cells: {worst}"
        for worst in (_worst(found, name) for name in PEERS)
        if worst
    ]


def _worst(found: list[Measurement], name: str) -> str | None:
    ratios = [(ratio, one) for one in found if (ratio := one.ratio(name)) is not None]
    if not ratios:
        return None
    ratio, one = min(ratios, key=lambda pair: pair[0])
    where = ", ".join(f"{label} {value}" for label, value in one.labels.items())
    return f"{times(ratio)} the speed of {PEERS[name]} ({where})"
