"""What more threads are worth: the same work by 1, 2, 4 … threads, up to all that there are.

The results of all of them must be the same, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import peers
import pyembed as pe
import sides
import timed
from grid import Axes, Cell, cells
from harness import Case, Match, Measurement, batches_in_step
from jobs import bag, gather, scatter_add, step
from options import Options
from report import Report
from sides import Side
from summaries import by_distribution
from trainers import Trainer

FULL = Axes(dims=(64,), ids=(1 << 18,), rows=(1_000_000,))
STATE_ARRAYS = 2  # first and second moment
SMOKE = Axes(dims=(3,), ids=(300,), rows=(97,))


def stateless(build: Callable[[Cell], Match], cell: Cell, options: Options) -> Match:
    """Our own contestant of another job, once for each number of threads."""
    match = build(cell)
    ours = match.contestants[0]
    contestants = [
        replace(ours, name=name(threads), run=limited(threads, ours.run))
        for threads in counts(options.threads)
    ]
    return replace(match, contestants=contestants)


def training(cell: Cell, options: Options) -> Match:
    """A table in training for each number of threads."""
    kinds = {name(threads): Side(partial(trainer, threads)) for threads in counts(options.threads)}
    match = step.build(cell, batches_in_step(options), kinds, STATE_ARRAYS)
    return replace(match, rtol=0.0, atol=0.0)


def trainer(threads: int, rows: int, dim: int, dtype: str) -> Trainer:
    """Lazy Adam, with so many threads."""
    made = sides.LAZY_ADAM.make(rows, dim, dtype)
    made.step = limited(threads, made.step)
    return made


def limited(threads: int, call: Callable[..., Any]) -> Callable[..., Any]:
    """The call, with so many threads."""

    def run(*args: Any) -> Any:
        pe.set_num_threads(threads)
        return call(*args)

    return run


def counts(most: int) -> list[int]:
    """All threads first, then fewer: ``[6, 4, 2, 1]``."""
    powers = [1 << power for power in range(most.bit_length()) if 1 << power < most]
    return [most, *reversed(powers)]


def name(threads: int) -> str:
    return f"{threads} threads" if threads > 1 else "1 thread"


WORK: dict[str, Callable[[Cell, Options], Match]] = {
    "gather": partial(stateless, gather.build),
    "scatter_add": partial(stateless, scatter_add.build),
    "bag": partial(stateless, partial(bag.build, mode="sum", bag=32)),
    "step": training,
}


def cases(options: Options) -> list[Case]:
    return [
        Case({**cell.labels, "work": name}, partial(build, cell, options))
        for name, build in WORK.items()
        for cell in cells(options, FULL, SMOKE)
    ]


def run(options: Options) -> Report:
    try:
        return timed.run("threads", cases(options), options, summary)
    finally:
        peers.use_threads(options.threads)


def summary(found: list[Measurement]) -> list[str]:
    """How much faster all threads are than one."""
    lines = []
    for work in WORK:
        alike = [one for one in found if one.labels["work"] == work and len(one.timings) > 1]
        if alike:
            lines += by_distribution(f"{alike[0].ours.name}, {work}", [name(1)], alike)
    return lines
