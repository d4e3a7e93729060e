"""A PyTorch model's training step before and after its imports are changed to ``pyembed.torch``.

Once the optimizer's step alone, once with forward and backward pass, where PyTorch's own are a cost
that no optimizer can lower, but a module in their place can.
"""

from __future__ import annotations

from functools import partial

import report
import sides
import timed
from grid import cells
from harness import Case, batches_in_step
from jobs import step
from options import Options
from report import Report
from sides import Sides
from summaries import by_distribution

TORCH = "torch SparseAdam"
STATE_ARRAYS = 2
CONTESTS: dict[str, Sides] = {
    "optimizer's step": {
        "pyembed.torch optimizer": sides.OUR_ADAM_IN_TORCH_ALONE,
        TORCH: sides.TORCH_SPARSE_ADAM_ALONE,
    },
    "all": {
        "pyembed.torch module": sides.OUR_MODULE_IN_TORCH,
        "pyembed.torch module, fused": sides.OUR_FUSED_MODULE_IN_TORCH,
        "pyembed.torch optimizer": sides.OUR_ADAM_IN_TORCH,
        TORCH: sides.TORCH_SPARSE_ADAM,
    },
}


def cases(options: Options) -> list[Case]:
    return [case for what in CONTESTS for case in _cases(what, options)]


def _cases(what: str, options: Options) -> list[Case]:
    if not all(side.can(1, options.dtype) for side in CONTESTS[what].values()):
        return []
    count = batches_in_step(options)
    return [
        Case(
            {"timed": what, **cell.labels},
            partial(step.build, cell, count, CONTESTS[what], STATE_ARRAYS),
        )
        for cell in cells(options)
    ]


def run(options: Options) -> Report:
    return report.stacked([_run(what, options) for what in CONTESTS])


def _run(what: str, options: Options) -> Report:
    summary = partial(by_distribution, f"SparseAdam in PyTorch, {what}", [TORCH])
    return timed.run(f"torch_step {what}", _cases(what, options), options, summary, ["torch"])
