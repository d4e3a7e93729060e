"""The time that a touched row takes as the table grows: it should not follow the table's size.

A batch is small beside the smallest table, so that there are hardly more duplicates in that than in
the largest. Steps are timed alone: a peer's table would not fit beside the largest, and results are
compared in the job ``step``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import islice

import numpy as np

import grid
import pyembed as pe
import sides
import streams
import training
from grid import Axes, Cell
from harness import Case, Match, Measurement, batches_in_step
from jobs import Table
from jobs.gather import into_one
from machine import available_bytes
from options import Options
from report.ratios import flatness
from sides import Side
from training import Contest

FULL = Axes(
    dims=(64,),
    ids=(1 << 14,),
    rows=(100_000, 300_000, 1_000_000, 4_000_000, 20_000_000),
    distributions=("uniform",),
)
SMOKE = Axes(dims=(3,), ids=(30,), rows=(97, 970), distributions=("uniform",))
BESIDE = 1 << 29  # bytes, for the batches and what a step works with


def gather(cell: Cell, options: Options) -> Match:
    """``ops.gather(out=)``, beside ``np.take`` on the same table, the live one of a layer."""
    batches = streams.pool(cell.distribution, cell.rows, cell.ids)
    table = pe.Embedding(cell.rows, cell.dim, dtype=cell.dtype, seed=0).embeddings
    contestants = islice(into_one(table, batches), 2)
    return cell.match(contestants, batches, cell.ids * cell.row_bytes, row_bytes=cell.row_bytes)


def step(side: Side, cell: Cell, options: Options) -> Match:
    """Forward + backward + step, whose rows are the distinct ones of a batch."""
    count = batches_in_step(options)
    batches = streams.batches(cell.distribution, cell.rows, cell.ids, count)
    match = training.build(cell, Contest({"pyembed": side}, state_arrays=2), count)
    return replace(match, rows=round(np.mean([len(np.unique(ids)) for ids in batches])))


# How to build each, and how many arrays of the table's size it keeps.
WORK: dict[str, tuple[Callable[[Cell, Options], Match], int]] = {
    "gather": (gather, 1),
    "lazy step": (partial(step, sides.LAZY_ADAM), 3),
    "exact step": (partial(step, sides.EXACT_ADAM), 3),
}


def tables(options: Options) -> list[Table]:
    """Each work at each table size that fits."""
    return [_table(work, build, arrays, options) for work, (build, arrays) in WORK.items()]


def _table(
    work: str, build: Callable[[Cell, Options], Match], arrays: int, options: Options
) -> Table:
    free = available_bytes() - BESIDE
    needed = {cell: arrays * cell.table_bytes for cell in grid.cells(options, FULL, SMOKE)}
    return Table(
        f"growth, {work}",
        [
            Case({**cell.labels, "work": work}, partial(build, cell, options))
            for cell, size in needed.items()
            if size < free
        ],
        summary=summary,
        notes=[
            f"{cell.rows:,} x {cell.dim}: skipped, it needs {size / 1e9:.1f} GB "
            f"and {free / 1e9:.1f} GB are free"
            for cell, size in needed.items()
            if size >= free
        ],
    )


def summary(what: str, found: list[Measurement]) -> list[str]:
    return [
        f"{what}: {flat:.2f}x the time a touched row "
        f"from {found[0].labels['table']:,} to {found[-1].labels['table']:,} rows ({kind})"
        for kind, flat in flatness(found).items()
    ]
