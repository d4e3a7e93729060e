"""A table that several ranks share: a whole step, its exchange, and what more ranks are worth.

Each rank is a process of one thread; ``mpiexec`` starts them, and one process of as many threads
takes turns with them on the same batches. What more ranks than this machine has would do is told
by a model whose costs are measured here: see ``report/scaling.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import median

import jobs
import report
import sides
import streams
from grid import Axes, Cell, cells
from harness import Case, Contestant, Effort, Match, Measurement, batches_in_step, measure
from jobs import Table
from options import Options
from peers import ranks
from peers.keras_parent import Child
from peers.ranks import Ranks
from report import Report, scaling

FULL = Axes(dims=(64,), ids=(1 << 18,), rows=(4_000_000,))
SMOKE = Axes(dims=(4,), ids=(300,), rows=(97,))
RANKS = 2
SCALED = (1, 2, 4)
ADAM = {
    "optimizer": "SparseAdam",
    "settings": {
        "learning_rate": sides.LEARNING_RATE,
        "beta_1": sides.BETAS[0],
        "beta_2": sides.BETAS[1],
        "epsilon": sides.EPSILON,
    },
}
ROW_WISE = {
    "optimizer": "SparseRowWiseAdagrad",
    "settings": {
        "learning_rate": sides.LEARNING_RATE,
        "initial_accumulator_value": 0.0,
        "epsilon": sides.EPSILON,
    },
}
THEIR_ROW_WISE = {
    "optimizer": "EXACT_ROWWISE_ADAGRAD",
    "settings": {"learning_rate": sides.LEARNING_RATE, "eps": sides.EPSILON},
}
STATE_ARRAYS = 2
TOGETHER = f"pyembed, {RANKS} ranks"
ALONE = f"one process, {RANKS} threads"
RTOL, ATOL = 1e-5, 1e-6  # of other libraries' rounding


def run(options: Options) -> Report:
    if ranks.launcher() is None:
        return Report(["not run"], [], [f"mpi4py or mpiexec is not here ({ranks.INSTALL})."])
    measured = [jobs.timed(tables(options), options)]
    scaled = _scaled(options)
    return report.stacked([*measured, scaled])


def tables(options: Options) -> list[Table]:
    python = ranks.torchrec_python(options.torchrec_python)
    missing = [] if python else [f"TorchRec is not here ({ranks.INSTALL_TORCHREC})"]
    sizes = cells(options, FULL, SMOKE)

    def table(what: str, build: Callable[..., Match], *more: object) -> Table:
        builds = ((cell, partial(build, cell, options, *more)) for cell in sizes)
        return Table(what, [_case(cell, what, build) for cell, build in builds])

    of_torchrec = table("step, row-wise Adagrad", _torchrec, python)
    return [
        table("step, Adam", _step),
        table("a lookup's exchange", _exchange),
        of_torchrec if python else replace(of_torchrec, cases=[], notes=missing),
    ]


def _case(cell: Cell, work: str, build: Callable[[], Match]) -> Case:
    return Case({**cell.labels, "work": work}, build)


def _step(cell: Cell, options: Options) -> Match:
    """The same global batch; whole numbers, so that the results are the same bits."""
    ranks.forget()
    together, alone = ranks.started(RANKS, 1), ranks.started(1, RANKS, comm=False)
    return _match(cell, options, {TOGETHER: (together, ADAM), ALONE: (alone, ADAM)}, 0.0, 0.0)


def _torchrec(cell: Cell, options: Options, python: str) -> Match:
    ranks.forget()
    sharded = {
        TOGETHER: (ranks.started(RANKS, 1), ROW_WISE),
        "TorchRec row-wise": (ranks.started_torchrec(python), THEIR_ROW_WISE),
    }
    return _match(cell, options, sharded, RTOL, ATOL)


def _match(
    cell: Cell,
    options: Options,
    sides: dict[str, tuple[Child, dict[str, object]]],
    rtol: float,
    atol: float,
) -> Match:
    count = batches_in_step(options)
    batches = streams.batches(cell.distribution, cell.rows, cell.ids, count)
    made = {
        name: Ranks(child, batches, cell.rows, cell.dim, **order)
        for name, (child, order) in sides.items()
    }
    return Match(
        [
            Contestant(name, side.step, _rows(side, count - 1), times_itself=True)
            for name, side in made.items()
        ],
        batches=count,
        rows=cell.ids,
        bytes=(3 + 2 * (1 + STATE_ARRAYS)) * cell.ids * cell.row_bytes,
        memory=(1 + STATE_ARRAYS) * cell.table_bytes,
        rtol=rtol,
        atol=atol,
        in_step=True,
    )


def _rows(side: Ranks, batch: int) -> Callable[[object], object]:
    return lambda _: side.rows(batch)


def _exchange(cell: Cell, options: Options) -> Match:
    ranks.forget()
    batches = streams.batches(cell.distribution, cell.rows, cell.ids, 4)
    side = Ranks(ranks.started(RANKS, 1), batches, cell.rows, cell.dim, **ADAM)
    contestants = [
        Contestant(name, partial(side.seconds, what), times_itself=True, compared=False)
        for name, what in (("alltoallv", "exchange"), ("memcpy", "copy"))
    ]
    return Match(contestants, batches=4, rows=cell.ids, bytes=2 * cell.ids * cell.row_bytes)


def _scaled(options: Options) -> Report:
    """More ranks: with the same batch, and with one that grows as they do."""
    cell, *_ = cells(options, FULL, SMOKE)
    found: list[Measurement] = []
    extra: dict[int, int] = {}
    costs: dict[str, float] = {}
    for count in SCALED:
        for how in ("strong", "weak"):
            made: list[Ranks] = []
            one = _cell_of(cell, how, count)
            labels = {**one.labels, "scaling": how, "ranks": count}
            case = Case(labels, partial(_of_ranks, one, count, options, made))
            found.append(measure(case, Effort.of(options)))
        extra[count] = made[0].extra_bytes()
        if count == RANKS:
            costs = {what: _median(made[0], what) for what in ("message", "exchange")}
    ranks.forget()
    crossing = (1 - 1 / RANKS) * one.ids / SCALED[-1] * one.row_bytes
    return scaling.report_of(found, extra, scaling.Costs.of(found, crossing=crossing, **costs))


def _cell_of(cell: Cell, how: str, count: int) -> Cell:
    """The whole batch and table for all ranks; or half a batch and a quarter of the table each."""
    if how == "strong":
        return cell
    return replace(cell, ids=cell.ids // 2 * count, table=cell.rows // 4 * count)


def _of_ranks(cell: Cell, count: int, options: Options, made: list[Ranks]) -> Match:
    ranks.forget()
    batches = streams.batches(cell.distribution, cell.rows, cell.ids, batches_in_step(options))
    side = Ranks(ranks.started(count, 1), batches, cell.rows, cell.dim, **ADAM)
    made[:] = [side]
    return Match(
        [Contestant("pyembed", side.step, _rows(side, 0), times_itself=True)],
        batches=len(batches),
        rows=cell.ids,
        bytes=(3 + 2 * (1 + STATE_ARRAYS)) * cell.ids * cell.row_bytes,
        in_step=True,
    )


def _median(side: Ranks, what: str) -> float:
    return median(side.seconds(what) for _ in range(5))
