"""``ops.gather_bag``: sums of bags of rows, beside ``F.embedding_bag`` and plain NumPy."""

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
from grid import Cell, cells
from harness import Case, Contestant, Match, over
from options import Options
from report import Report
from streams import Ids
from summaries import by_distribution

BAG_IDS = 32


def cases(options: Options) -> list[Case]:
    return [Case({**cell.labels, "bag": BAG_IDS}, partial(build, cell)) for cell in cells(options)]


def build(cell: Cell) -> Match:
    batches = streams.pool(cell.distribution, cell.rows, cell.ids)
    table = data.table(cell.rows, cell.dim, cell.dtype)
    offsets = np.arange(0, cell.ids, BAG_IDS, dtype=np.int64)
    return Match(
        list(contestants(table, batches, offsets)),
        batches=len(batches),
        rows=cell.ids,
        bytes=(cell.ids + len(offsets)) * (cell.row_bytes + np.dtype(np.int64).itemsize),
    )


def contestants(table: Array, batches: list[Ids], offsets: Ids) -> Iterator[Contestant]:
    """The last bag may be shorter. PyTorch's function and ``reduceat`` take no output of ours."""
    out = np.empty((len(offsets), table.shape[1]), table.dtype)
    gather_bag = partial(pe.ops.gather_bag, table, offsets=offsets, mode="sum", out=out)
    spoil = partial(out.fill, np.nan)
    yield Contestant("pyembed", over(batches, gather_bag), prepare=spoil)
    yield Contestant(
        "np.add.reduceat", over(batches, lambda ids: np.add.reduceat(table[ids], offsets))
    )
    if (torch := peers.torch()) is not None:
        source, starts = torch.from_numpy(table), torch.from_numpy(offsets)
        bag = partial(torch.nn.functional.embedding_bag, weight=source, offsets=starts, mode="sum")
        yield Contestant("torch embedding_bag", over(peers.tensors(batches), bag))


def run(options: Options) -> Report:
    peers = ["torch embedding_bag"]
    summary = partial(by_distribution, "ops.gather_bag(out=)", peers)
    return timed.run("bag", cases(options), options, summary, needs=["torch"])
