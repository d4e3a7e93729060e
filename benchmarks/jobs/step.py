"""Forward + backward + optimizer step, fresh ids each step: what training on a table costs."""

from __future__ import annotations

from functools import partial

import numpy as np

import data
import streams
import timed
import trainers
from data import Array
from grid import Cell, cells
from harness import Case, Contestant, Match, batches_in_step, over
from options import Options
from report import Report
from streams import Ids
from summaries import by_distribution
from trainers import Trainer

# Gradients of duplicates are summed exactly (data.py); what is left is the rounding of Adam's own
# arithmetic, a step of which moves a weight by about 1e-3.
RTOL, ATOL = 1e-5, 1e-6

FIRST_IDS = 1 << 18  # at a time, where every row is trained once


def cases(options: Options) -> list[Case]:
    """The steps use one batch each: ``batches_in_step`` of them."""
    kinds = {name: trainers.TRAINERS[name] for name in trainers.available()}
    count = batches_in_step(options)
    return [Case(cell.labels, partial(build, cell, count, kinds)) for cell in cells(options)]


def build(
    cell: Cell,
    count: int,
    kinds: dict[str, type[Trainer]],
    not_compared: tuple[str, ...] = (),
) -> Match:
    """Trainers of some kinds, all from the same table."""
    batches = streams.batches(cell.distribution, cell.rows, cell.ids, count)
    most = max(cell.ids, min(FIRST_IDS, cell.rows))
    dy = data.whole_numbers((most, cell.dim), cell.dtype)
    sides = {name: kind(cell.rows, cell.dim, cell.dtype) for name, kind in kinds.items()}
    start = next(iter(sides.values())).weights()
    for side in sides.values():
        np.copyto(side.weights(), start)
    return Match(
        [
            _contestant(name, side, batches, dy, name not in not_compared)
            for name, side in sides.items()
        ],
        batches=len(batches),
        rows=cell.ids,
        bytes=_bytes(cell, batches[0]),
        rtol=RTOL,
        atol=ATOL,
        in_step=True,
    )


def _contestant(
    name: str, side: Trainer, batches: list[Ids], dy: Array, compared: bool
) -> Contestant:
    """Prepared by training every row once, so that no page is touched for the first time later."""
    return Contestant(
        name,
        run=over(batches, lambda ids: side.step(ids, dy[: len(ids)])),
        result=lambda _: side.weights(),
        prepare=lambda: trainers.touch_every_row(side, len(side.weights()), dy),
        compared=compared,
    )


def _bytes(cell: Cell, ids: Ids) -> int:
    """Rows and output of the lookup, the gradient, and table and moments of the distinct rows."""
    updated = 2 * (1 + trainers.STATE_ARRAYS) * len(np.unique(ids))
    return (3 * len(ids) + updated) * cell.row_bytes + 2 * ids.nbytes


def run(options: Options) -> Report:
    peers = ["torch SparseAdam"]
    summary = partial(by_distribution, "forward + backward + SparseAdam.step", peers)
    return timed.run("step", cases(options), options, summary)
