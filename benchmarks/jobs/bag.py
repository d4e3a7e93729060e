"""``ops.gather_bag``: pooled bags of rows, beside PyTorch, FBGEMM, Numba and plain NumPy."""

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
from peers import fbgemm

KINDS = (("sum", 32), ("sum", 1), ("mean", 32), ("max", 32))  # mode and ids of a bag
NEEDS = ["torch", "fbgemm_gpu", "numba"]
RTOL = {"sum": 0.0, "mean": 1e-6, "max": 0.0}  # some divide, some multiply by what 1 / count is


def tables(options: Options) -> list[Table]:
    """One for each mode and length of bags, since each has its own peers."""
    return [
        Table(
            f"ops.gather_bag, {mode} of {bag}",
            grid.cases(options, partial(build, mode=mode, bag=bag), mode=mode, bag=bag),
            NEEDS,
        )
        for mode, bag in KINDS
    ]


def build(cell: Cell, mode: str, bag: int) -> Match:
    batches = streams.pool(cell.distribution, cell.rows, cell.ids)
    table = data.table(cell.rows, cell.dim, cell.dtype)
    offsets = np.arange(0, cell.ids, bag, dtype=np.int64)
    return cell.match(
        contestants(table, batches, offsets, mode, bag),
        batches,
        written=len(offsets) * cell.row_bytes + offsets.nbytes,
        row_bytes=cell.row_bytes,
        rtol=RTOL[mode],
    )


def contestants(
    table: Array, batches: list[Ids], offsets: Ids, mode: str, bag: int
) -> Iterator[Contestant]:
    """The last bag may be shorter. All make a new output: the libraries' functions take none."""
    gather_bag = partial(pe.ops.gather_bag, table, offsets=offsets, mode=mode)
    yield Contestant("pyembed", over(batches, gather_bag))
    if mode == "sum":
        yield Contestant(
            "np.add.reduceat", over(batches, lambda ids: np.add.reduceat(table[ids], offsets))
        )
    if mode == "sum" and (loops := peers.loops()) is not None:
        yield Contestant(
            "numba prange", over(batches, lambda ids: loops.bag_sum(table, ids, offsets))
        )
    if (torch := peers.torch()) is not None:
        tensors = peers.tensors(batches)
        source, starts = torch.from_numpy(table), torch.from_numpy(offsets)
        embedding_bag = partial(
            torch.nn.functional.embedding_bag, weight=source, offsets=starts, mode=mode
        )
        yield Contestant("torch embedding_bag", over(tensors, embedding_bag))
    if mode != "max" and fbgemm.can(table.shape[1], str(table.dtype)):
        ids = len(batches[0])
        yield Contestant("FBGEMM TBE", over(tensors, fbgemm.forward(table, bag, ids, mode)))
        yield Contestant(
            "FBGEMM inference TBE", over(tensors, fbgemm.inference(table, bag, ids, mode))
        )
