"""Forward + backward + row-wise Adagrad of bags, beside FBGEMM, which fuses the last two as we do.

Bags of 1 are lookups that are not pooled; bags of 32 are what recommender systems train.
"""

from __future__ import annotations

from functools import partial

import report
import timed
from grid import cells
from harness import Case, batches_in_step
from jobs import step
from options import Options
from report import Report
from sides import Sides, fbgemm_row_wise_adagrad, needs, row_wise_adagrad_of_bags
from summaries import by_distribution

BAGS = (1, 32)
FBGEMM = "FBGEMM row-wise Adagrad"
STATE_ARRAYS = 0  # one number a row


def sides(bag: int) -> Sides:
    return {"pyembed": row_wise_adagrad_of_bags(bag), FBGEMM: fbgemm_row_wise_adagrad(bag)}


def cases(options: Options) -> list[Case]:
    return [case for bag in BAGS for case in _cases(bag, options)]


def _cases(bag: int, options: Options) -> list[Case]:
    count = batches_in_step(options)
    return [
        Case(
            {**cell.labels, "bag": bag}, partial(step.build, cell, count, sides(bag), STATE_ARRAYS)
        )
        for cell in cells(options)
    ]


def run(options: Options) -> Report:
    return report.stacked([_run(bag, options) for bag in BAGS])


def _run(bag: int, options: Options) -> Report:
    what = f"forward + backward + row-wise Adagrad, bags of {bag}"
    summary = partial(by_distribution, what, [FBGEMM])
    return timed.run(f"bag_step {bag}", _cases(bag, options), options, summary, needs(sides(bag)))
