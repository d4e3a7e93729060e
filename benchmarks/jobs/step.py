"""Forward + backward + optimizer step, fresh ids each step: what training on a table costs."""

from __future__ import annotations

from functools import partial

import numpy as np

import data
import report
import streams
import timed
import trainers
from data import Array
from grid import Cell, cells
from harness import Case, Contestant, Match, batches_in_step, over
from optimizers import CONTESTS
from options import Options
from report import Report
from sides import Sides, needs
from streams import Ids
from summaries import by_distribution
from trainers import Trainer

RTOL, ATOL = 1e-5, 1e-6  # see optimizers.Contest

FIRST_IDS = 1 << 18  # at a time, where every row is trained once


def cases(options: Options) -> list[Case]:
    """Those of every optimizer asked for."""
    return [case for name in options.optimizers for case in _cases(name, options)]


def _cases(name: str, options: Options) -> list[Case]:
    """The steps use one batch each: ``batches_in_step`` of them."""
    count, contest = batches_in_step(options), CONTESTS[name]
    return [
        Case(
            {"optimizer": name, **cell.labels},
            partial(build, cell, count, contest.sides, contest.state_arrays, contest.atol),
        )
        for cell in cells(options)
    ]


def build(
    cell: Cell, count: int, contestants: Sides, state_arrays: int, atol: float = ATOL
) -> Match:
    """Trainers of some kinds, all from the same table and with bags of the same length."""
    trained = {
        name: side.make(cell.rows, cell.dim, cell.dtype)
        for name, side in contestants.items()
        if side.can(cell.dim, cell.dtype)
    }
    ours = next(iter(trained.values()))
    for trainer in trained.values():
        if trainer is not ours:
            trainer.start(ours.weights())
    batches = streams.batches(cell.distribution, cell.rows, cell.ids, count)
    most = max(cell.ids, min(FIRST_IDS, cell.rows))
    dy = data.whole_numbers((trainers.bags(most, ours.bag), cell.dim), cell.dtype)
    return Match(
        [
            _contestant(name, trainer, batches, dy, cell.rows, contestants[name].same)
            for name, trainer in trained.items()
        ],
        batches=len(batches),
        rows=cell.ids,
        bytes=_bytes(cell, batches[0], ours.bag, state_arrays),
        memory=(1 + state_arrays) * cell.table_bytes,
        rtol=RTOL,
        atol=atol,
        in_step=True,
    )


def _contestant(
    name: str, side: Trainer, batches: list[Ids], dy: Array, rows: int, compared: bool
) -> Contestant:
    """Prepared by training every row once, so that no page is touched for the first time later."""
    return Contestant(
        name,
        run=over(batches, lambda ids: side.step(ids, dy[: trainers.bags(len(ids), side.bag)])),
        result=lambda _: side.weights(),
        prepare=lambda: trainers.touch_every_row(side, rows, dy),
        compared=compared,
        times_itself=side.times_itself,
    )


def _bytes(cell: Cell, ids: Ids, bag: int, state_arrays: int) -> int:
    """Rows and output of the lookup, the gradient, and table and state of the distinct rows."""
    updated = 2 * (1 + state_arrays) * len(np.unique(ids))
    bags = trainers.bags(len(ids), bag)
    return (len(ids) + 2 * bags + updated) * cell.row_bytes + 2 * ids.nbytes


def run(options: Options) -> Report:
    """A table for each optimizer, since each has its own peers."""
    return report.stacked([_run(name, options) for name in options.optimizers])


def _run(name: str, options: Options) -> Report:
    sides = CONTESTS[name].sides
    summary = partial(by_distribution, f"forward + backward + {name}", list(sides)[1:])
    return timed.run(f"step {name}", _cases(name, options), options, summary, needs(sides))
