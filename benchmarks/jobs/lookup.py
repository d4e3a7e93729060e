"""``emb(ids)`` in a loop: rows into a new array each time, whose pages cost more than its rows.

An array is given back once the next one is made, as in a loop that overwrites its variable.
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
from grid import Cell, cells
from harness import Case, Contestant, Match, over
from jobs.gather import moved_bytes
from options import Options
from report import Report
from streams import Ids
from summaries import by_distribution


def cases(options: Options) -> list[Case]:
    return [Case(cell.labels, partial(build, cell)) for cell in cells(options)]


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


def contestants(table: Array, batches: list[Ids]) -> Iterator[Contestant]:
    """All look up in one and the same table, which takes no gradient."""
    yield Contestant("pyembed", over(batches, pe.Embedding.from_pretrained(table)))
    yield Contestant("np.take", over(batches, lambda ids: np.take(table, ids, axis=0)))
    if (torch := peers.torch()) is not None:
        embedding = partial(torch.nn.functional.embedding, weight=torch.from_numpy(table))
        yield Contestant("F.embedding", over(peers.tensors(batches), embedding))
    if (loops := peers.loops()) is not None:
        yield Contestant("numba prange", over(batches, lambda ids: loops.gather(table, ids)))


def run(options: Options) -> Report:
    others = ["F.embedding", "np.take", "numba prange"]
    summary = partial(by_distribution, "emb(ids)", others)
    return timed.run("lookup", cases(options), options, summary, ["torch", "numba"])
