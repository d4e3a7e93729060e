"""The time that a touched row takes as the table grows: it should not follow the table's size.

A batch is small beside the smallest table, so that there are hardly more duplicates in that than in
the largest. Steps are timed alone: a peer's table would not fit beside the largest, and results are
compared in the job ``step``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

import data
import pyembed as pe
import sides
import streams
import timed
import trainers
from grid import Axes, Cell, cells
from harness import Case, Contestant, Match, Measurement, batches_in_step, over
from jobs.gather import moved_bytes
from jobs.step import FIRST_IDS
from machine import available_bytes
from options import Options
from report import Report
from sides import Side

FULL = Axes(
    dims=(64,),
    ids=(1 << 14,),
    rows=(100_000, 300_000, 1_000_000, 4_000_000, 20_000_000),
    distributions=("uniform",),
)
SMOKE = Axes(dims=(3,), ids=(30,), rows=(97, 970), distributions=("uniform",))
STATE_ARRAYS = 2  # first and second moment
COMPARED = 1000  # rows: a copy of the largest table would not fit beside it
BESIDE = 1 << 29  # bytes, for the batches and what a step works with


def gather(cell: Cell, options: Options) -> Match:
    """``ops.gather(out=)``, beside ``np.take`` on the same table."""
    batches = streams.pool(cell.distribution, cell.rows, cell.ids)
    table = pe.Embedding(cell.rows, cell.dim, dtype=cell.dtype, seed=0).embeddings
    out = np.empty((cell.ids, cell.dim), cell.dtype)
    take = partial(np.take, table, axis=0, out=out, mode="clip")
    return Match(
        [
            Contestant("pyembed", over(batches, partial(pe.ops.gather, table, out=out))),
            Contestant("np.take", over(batches, take)),
        ],
        batches=len(batches),
        rows=cell.ids,
        bytes=moved_bytes(cell),
        row_bytes=cell.row_bytes,
        memory=cell.table_bytes,
    )


def lazy_step(cell: Cell, options: Options) -> Match:
    """Forward + backward + ``SparseAdam.step``."""
    return _step(cell, options, sides.LAZY_ADAM)


def exact_step(cell: Cell, options: Options) -> Match:
    """The same with ``update="exact"``."""
    return _step(cell, options, sides.EXACT_ADAM)


def _step(cell: Cell, options: Options, kind: Side) -> Match:
    batches = streams.batches(cell.distribution, cell.rows, cell.ids, batches_in_step(options))
    dy = data.whole_numbers((max(cell.ids, min(FIRST_IDS, cell.rows)), cell.dim), cell.dtype)
    trainer = kind.make(cell.rows, cell.dim, cell.dtype)
    touched = round(np.mean([len(np.unique(ids)) for ids in batches]))
    return Match(
        [
            Contestant(
                "pyembed",
                over(batches, lambda ids: trainer.step(ids, dy[: cell.ids])),
                result=lambda _: trainer.weights()[:COMPARED],
                prepare=partial(trainers.touch_every_row, trainer, cell.rows, dy),
            )
        ],
        batches=len(batches),
        rows=touched,
        bytes=(3 * cell.ids + 2 * (1 + STATE_ARRAYS) * touched) * cell.row_bytes,
        memory=_needed(cell, _step),
        in_step=True,
    )


WORK: dict[str, Callable[[Cell, Options], Match]] = {
    "gather": gather,
    "lazy step": lazy_step,
    "exact step": exact_step,
}


def cases(options: Options) -> list[Case]:
    """Each work at each table size that fits."""
    return [
        Case({**cell.labels, "work": name}, partial(build, cell, options))
        for name, build in WORK.items()
        for cell in cells(options, FULL, SMOKE)
        if _needed(cell, build) + BESIDE < available_bytes()
    ]


def run(options: Options) -> Report:
    report = timed.run("growth", cases(options), options, summary)
    return replace(report, notes=[*report.notes, *_skipped(options)])


def summary(found: list[Measurement]) -> list[str]:
    return [
        f"growth, {work}: {flatness(alike):.2f}x the time a touched row "
        f"from {alike[0].labels['table']:,} to {alike[-1].labels['table']:,} rows"
        for work in WORK
        if (alike := [one for one in found if one.labels["work"] == work])
    ]


def flatness(found: list[Measurement]) -> float:
    """The longest time a touched row over the shortest: 1 is flat."""
    times = [1 / one.rows_per_second for one in found]
    return max(times) / min(times)


def _needed(cell: Cell, build: Callable[..., Match]) -> int:
    """Bytes of the table, and of what is kept beside it."""
    return cell.table_bytes * (1 if build is gather else 1 + STATE_ARRAYS)


def _skipped(options: Options) -> list[str]:
    """A line for each table that does not fit."""
    free = available_bytes()
    return [
        f"{cell.rows:,} x {cell.dim}, {name}: skipped, it needs {needed / 1e9:.1f} GB "
        f"and {free / 1e9:.1f} GB are free"
        for name, build in WORK.items()
        for cell in cells(options, FULL, SMOKE)
        if (needed := _needed(cell, build) + BESIDE) >= free
    ]
