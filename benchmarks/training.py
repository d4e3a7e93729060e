"""Matches of whole training steps: forward + backward + optimizer, fresh ids in each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod

import numpy as np

import data
import grid
import streams
from data import Array, Ids
from grid import Axes, Cell
from harness import Contestant, Match, batches_in_step, over
from jobs import Table
from options import Options
from peers.trainer import Trainer, bags, touch_every_row
from sides import Sides

RTOL, ATOL = 1e-5, 1e-6  # see Contest
FIRST_IDS = 1 << 18  # at a time, where every row is trained once


@dataclass(frozen=True)
class Contest:
    """The sides, and how many arrays of the table's size ours keeps as state.

    Weights are equal within the tolerances. Gradients of duplicates are summed exactly (data.py);
    what is left is the rounding of the optimizer's own arithmetic, a step of which moves a weight
    by about 1e-3 where it divides by the size of the gradients.
    """

    sides: Sides
    state_arrays: int
    tables: tuple[int, ...] = ()  # how many, if ids and gradients have an axis for them
    atol: float = ATOL
    rtol: float = RTOL


def table(
    what: str,
    contest: Contest,
    options: Options,
    full: Axes = grid.TRAINING,
    smoke: Axes = grid.SMOKE,
    **labels: int | str,
) -> Table:
    """A contest at every size; none if even its first side is not here."""
    first, *_ = contest.sides.values()
    one = partial(build, contest=contest, count=batches_in_step(options))
    cases = grid.cases(options, one, full, smoke, **labels)
    needs = dict.fromkeys(side.needs for side in contest.sides.values() if side.needs)
    return Table(what, cases if first.can(4, options.dtype) else [], list(needs))


def build(cell: Cell, contest: Contest, count: int) -> Match:
    """All start from the same table and have bags of the same length; ``count`` batches."""
    trained = {
        name: side.make(cell.rows, cell.dim, cell.dtype)
        for name, side in contest.sides.items()
        if side.can(cell.dim, cell.dtype)
    }
    ours, *others = trained.values()
    for trainer in others:
        trainer.start(ours.weights())
    tables = prod(contest.tables)
    drawn = streams.batches(cell.distribution, cell.rows, tables * cell.ids, count)
    batches = [ids.reshape(*contest.tables, cell.ids) for ids in drawn]
    most = max(cell.ids, min(FIRST_IDS // tables, cell.rows))
    dy = data.whole_numbers((bags(most, ours.bag), *contest.tables, cell.dim), cell.dtype)
    return Match(
        [
            _contestant(name, trainer, batches, dy, cell.rows, contest.sides[name].same)
            for name, trainer in trained.items()
        ],
        batches=count,
        rows=tables * cell.ids,
        bytes=_bytes(cell, batches[0], ours.bag, contest.state_arrays),
        memory=tables * (1 + contest.state_arrays) * cell.table_bytes,
        rtol=contest.rtol,
        atol=contest.atol,
        in_step=True,
    )


def _contestant(
    name: str, side: Trainer, batches: list[Ids], dy: Array, rows: int, compared: bool
) -> Contestant:
    """Prepared by training every row once, so that no page is touched for the first time later."""
    bags_of_batch = bags(batches[0].shape[-1], side.bag)
    return Contestant(
        name,
        run=over(batches, lambda ids: side.step(ids, dy[:bags_of_batch])),
        result=lambda _: side.weights(),
        prepare=lambda: touch_every_row(side, rows, dy),
        compared=compared,
        times_itself=side.times_itself,
    )


def _bytes(cell: Cell, ids: Ids, bag: int, state_arrays: int) -> int:
    """Rows and output of the lookup, the gradient, and table and state of the distinct rows."""
    updated = 2 * (1 + state_arrays) * sum(len(np.unique(its)) for its in np.atleast_2d(ids))
    return (ids.size + 2 * bags(ids.size, bag) + updated) * cell.row_bytes + 2 * ids.nbytes
