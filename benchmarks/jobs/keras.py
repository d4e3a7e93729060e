"""Steps of Keras's ``fit``: its own embedding layer and Adam, and those of ``pyembed.keras``.

The model is an embedding, a mean over the texts' words, and a dense layer; on each backend in a
process of its own. A fit of some steps is timed as a whole, with all that Keras does around a step.
"""

from __future__ import annotations

from functools import partial

import numpy as np

import jobs
import report
import streams
from grid import Axes, Cell, cells
from harness import Case, Contestant, Match, batches_in_step
from jobs import Table
from options import Options
from peers.keras_fit import INSTALL, Fits, python_of, started
from report import Report, megabytes

LENGTH = 50  # ids in a text
EXACT, LAZY, KERAS = NAMES = ("pyembed exact Adam", "pyembed SparseAdam", "keras Adam")
FULL = Axes(dims=(64,), ids=(256 * LENGTH,), rows=(1_000_000,), distributions=("uniform",))
# Of so many rows, few ids stand twice in a batch.
SMOKE = Axes(dims=(8,), ids=(8 * LENGTH,), rows=(100_000,), distributions=("uniform",))
STEPS = 10  # in a fit
# Of losses. On TensorFlow, Keras squares each duplicate's gradient apart.
RTOL = {"torch": 1e-3, "tensorflow": 2e-2}
STATE_ARRAYS = 2  # first and second moment


def run(options: Options) -> Report:
    parts = [jobs.timed(tables(options), options)]
    if (memory := _memory(options)) is not None:
        parts.append(memory)
    return report.stacked(parts)


def tables(options: Options) -> list[Table]:
    return [
        Table(
            f"a step of fit in Keras on {backend}",
            _cases(backend, options) if python_of(backend) else [],
            notes=() if python_of(backend) else [_missing(backend)],
        )
        for backend in INSTALL
    ]


def _missing(backend: str) -> str:
    return f"keras on {backend}: not installed, so not timed ({INSTALL[backend]})"


def _cases(backend: str, options: Options) -> list[Case]:
    return [
        Case({**cell.labels, "backend": backend}, partial(_match, cell, backend, options))
        for cell in cells(options, FULL, SMOKE)
    ]


def _match(cell: Cell, backend: str, options: Options) -> Match:
    """One of models that are fitted on the same texts."""
    count = batches_in_step(options)
    fits = started(backend, options.threads)
    fits.make(list(NAMES), cell.rows, cell.dim, LENGTH)
    batches = _batches(cell, count)
    updated = len(np.unique(batches[0][: cell.ids]))
    return Match(
        [_contestant(name, fits, batches) for name in NAMES],
        batches=count,
        rows=cell.ids,
        bytes=(3 * cell.ids + 2 * (1 + STATE_ARRAYS) * updated) * cell.row_bytes,
        memory=(1 + STATE_ARRAYS) * cell.table_bytes,
        rtol=RTOL[backend],
        in_step=True,
        warm_runs=1,
    )


def _contestant(name: str, fits: Fits, batches: list[np.ndarray]) -> Contestant:
    return Contestant(
        name,
        run=lambda batch: fits.fit(name, batches[batch], STEPS),
        result=lambda _: np.asarray(fits.losses(name)),
        compared=name != LAZY,  # which leaves other rows alone
        times_itself=True,
    )


def _batches(cell: Cell, count: int) -> list[np.ndarray]:
    texts = cell.ids // LENGTH * LENGTH
    return streams.batches(cell.distribution, cell.rows, STEPS * texts, count)


def _memory(options: Options) -> Report | None:
    """The most memory of some steps; each model in a fresh process."""
    backends = [backend for backend in INSTALL if python_of(backend)]
    first, *_ = cells(options, FULL, SMOKE)
    if not backends:
        return None
    (ids,) = _batches(first, 1)
    found = {
        (backend, name): _peak(backend, name, first, ids, options)
        for backend in backends
        for name in NAMES
    }
    state = (1 + STATE_ARRAYS) * first.table_bytes
    return Report(
        ["backend", "batch MB", "table + moments MB", *(f"{name} MB" for name in NAMES)],
        [
            [
                backend,
                megabytes(first.ids * first.row_bytes),
                megabytes(state),
                *(megabytes(found[backend, name]) for name in NAMES),
            ]
            for backend in backends
        ],
        ["MB: the most in some steps, above what there was before the model was made."],
        [
            f"memory of fit in Keras on {backend}, table and moments ({megabytes(state)} MB) "
            f"included: {megabytes(found[backend, EXACT])} MB, "
            f"Keras's {megabytes(found[backend, KERAS])} MB"
            for backend in backends
        ],
    )


def _peak(backend: str, name: str, cell: Cell, ids: np.ndarray, options: Options) -> int:
    fits = started(backend, options.threads)
    fits.make([name], 10, cell.dim, LENGTH)
    fits.fit(name, ids % 10, STEPS)  # loads code, starts threads
    fits.make([name], cell.rows, cell.dim, LENGTH)
    return fits.peak(name, ids, STEPS)
