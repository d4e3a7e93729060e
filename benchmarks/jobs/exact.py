"""Exact Adam: first its weights beside dense Adam's, then what a step costs.

The errors are those of ``drift.py`` over every setting in ``SETTINGS``; a row of the table is the
worst of those with and without weight decay. The times are of exact Adam, of lazy Adam, which does
less, and of PyTorch's and Keras's dense Adam, whose weights must be those of exact Adam.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from functools import partial
from itertools import product

import sides
import timed
from drift import DTYPES, Drift, Setting, drift
from grid import Axes, cells
from harness import Case, Disagreement, Measurement, batches_in_step
from jobs import step
from options import Options
from report import Report, times

BETAS = ((0.9, 0.999), (0.9, 0.99), (0.99, 0.999), (0.0, 0.999))
TOUCHED = (0.5, 0.1, 0.02)
SCALES = (1.0, 1e-4, 1e-8)
DECAYS = (0.0, 0.1)
STEPS, SMOKE_STEPS = 2000, 50

# What an error may be: the series is cut where the rest is below 1e-10; float32 rounds, and dense
# Adam in float32 is as far from dense Adam in float64.
ALLOWED = {"float64": 1e-10, "float32": 1e-5}

FULL = Axes(dims=(64,), ids=(1 << 14, 1 << 18), rows=(4_000_000,), distributions=("uniform",))
SMOKE = Axes(dims=(3,), ids=(30,), rows=(97,), distributions=("uniform",))
LAZY, DENSE, KERAS = "lazy", "torch dense Adam", "Keras Adam, tuned"
SIDES = {
    "pyembed exact": sides.EXACT_ADAM,
    LAZY: replace(sides.LAZY_ADAM, same=False),
    DENSE: sides.TORCH_DENSE_ADAM,
    KERAS: sides.KERAS_ADAM_TUNED,
}
STATE_ARRAYS = 2  # first and second moment


def run(options: Options) -> Report:
    """The errors as the table, the times below it."""
    steps = SMOKE_STEPS if options.smoke else STEPS
    found = {
        setting: drift(setting, steps)
        for setting in (Setting(*values) for values in product(BETAS, SCALES, TOUCHED, DECAYS))
    }
    verify(found)
    clock = timed.run("exact", cases(options), options, summary, sides.needs(SIDES))
    return Report(
        header=["betas", "gradients", "dtype", *map(_exact_at, TOUCHED), "dense", "lazy"],
        rows=[_row(found, *line) for line in product(BETAS, SCALES, DTYPES)],
        notes=[
            f"Largest difference of a weight from dense Adam in float64, over {steps:,} steps at a "
            "learning rate around 0.01,",
            "the worse of weight decays 0 and 0.1; exact at each share of the rows in a step, "
            "dense and lazy at the worst.",
            "",
            *clock.text().splitlines(),
            f"{LAZY} does less, and has another result; it is timed to compare.",
        ],
        summary=[
            f"exact Adam: within {_worst(found, 'exact', 'float64'):.0e} of dense Adam in float64, "
            f"lazy within {_worst(found, 'lazy', 'float64'):.1f}",
            *clock.summary,
        ],
        records=[
            *({**asdict(setting), **asdict(error)} for setting, error in found.items()),
            *clock.records,
        ],
    )


def verify(found: dict[Setting, Drift]) -> None:
    """Raise ``Disagreement`` if exact Adam is further from dense Adam than it may be."""
    for setting, error in found.items():
        for dtype, allowed in ALLOWED.items():
            if not error.exact[dtype] <= allowed:
                raise Disagreement(
                    f"{setting}: {dtype} weights are {error.exact[dtype]:.1e} from dense Adam's, "
                    f"more than {allowed:g}"
                )


def cases(options: Options) -> list[Case]:
    """A training step of each, on fresh ids."""
    count = batches_in_step(options)
    return [
        Case(cell.labels, partial(step.build, cell, count, SIDES, STATE_ARRAYS))
        for cell in cells(options, FULL, SMOKE)
    ]


def summary(found: list[Measurement]) -> list[str]:
    """How exact Adam's step compares with the others', at each size."""
    return [
        f"exact Adam, {one.labels['ids']:,} of {one.labels['table']:,} rows a step: "
        + ", ".join(f"{name} takes {times(one.ratio(name))} its time" for name in list(SIDES)[1:])
        for one in found
    ]


def _row(
    found: dict[Setting, Drift], betas: tuple[float, float], scale: float, dtype: str
) -> list[str]:
    here = {
        setting: error
        for setting, error in found.items()
        if (setting.betas, setting.scale) == (betas, scale)
    }
    return [
        f"{betas[0]:g}, {betas[1]:g}",
        f"{scale:g}",
        dtype,
        *(
            _error(
                error.exact[dtype] for setting, error in here.items() if setting.touched == share
            )
            for share in TOUCHED
        ),
        _error(error.dense[dtype] for error in here.values()),
        _error(error.lazy[dtype] for error in here.values()),
    ]


def _exact_at(share: float) -> str:
    return f"exact {share:.0%}"


def _error(errors: Iterable[float]) -> str:
    return f"{max(errors):.1e}"


def _worst(found: dict[Setting, Drift], side: str, dtype: str) -> float:
    return max(getattr(error, side)[dtype] for error in found.values())
