"""What more threads are worth: the same work by 1, 2, 4 … threads, up to all that there are.

The results of all of them must be the same, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import grid
import pyembed as pe
import sides
import training
from grid import Axes, Cell
from harness import Match
from jobs import Table, bag, gather, scatter_add
from options import Options
from peers.trainer import Trainer
from sides import Side
from training import Contest

FULL = Axes(dims=(64,), ids=(1 << 18,), rows=(1_000_000,))
SMOKE = Axes(dims=(3,), ids=(300,), rows=(97,))
STATELESS: dict[str, Callable[[Cell], Match]] = {
    "gather": gather.build,
    "scatter_add": scatter_add.build,
    "bag": partial(bag.build, mode="sum", bag=32),
}


def tables(options: Options) -> list[Table]:
    """All threads first, then fewer."""
    counts = {name(count): count for count in reversed(doublings(options.threads))}
    what = f"{name(options.threads)}, " + "{}"
    trained = Contest(
        {name: Side(partial(trainer, threads)) for name, threads in counts.items()},
        state_arrays=2,
        rtol=0.0,
        atol=0.0,
    )
    return [
        *(
            Table(
                what.format(work),
                grid.cases(options, partial(ours, build, counts), FULL, SMOKE, work=work),
            )
            for work, build in STATELESS.items()
        ),
        training.table(what.format("step"), trained, options, FULL, SMOKE, work="step"),
    ]


def doublings(most: int) -> list[int]:
    """``[1, 2, 4, 6]`` for 6."""
    return [*(1 << power for power in range((most - 1).bit_length())), most]


def name(threads: int) -> str:
    return f"{threads} threads" if threads > 1 else "1 thread"


def ours(build: Callable[[Cell], Match], counts: dict[str, int], cell: Cell) -> Match:
    """Our own contestant of another job, once for each number of threads."""
    match = build(cell)
    first = match.contestants[0]
    contestants = [
        replace(first, name=name, run=limited(threads, first.run))
        for name, threads in counts.items()
    ]
    return replace(match, contestants=contestants)


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
