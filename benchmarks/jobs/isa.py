"""The same work with each instruction set that this processor has, kernel by kernel.

Results must be the same bits. One thread, and a table in the second-level cache, where arithmetic
counts, or in memory, where it may not. The set is chosen as the library loads (``PYEMBED_ISA``), so
each is timed in processes of its own, which take turns.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

import data
import pyembed as pe
import streams
from data import Array, Ids
from harness import Disagreement
from jobs.step import CONTESTS
from machine import in_fresh_process
from options import Options
from peers.trainer import touch_every_row
from report import Report, times

DIM, IDS, BAG = 64, 1 << 14, 32
TABLES = {"cache": 1_000, "memory": 4_000_000}
SMOKE = {"cache": 97}
ROUNDS, CALLS, WARM = 3, 11, 3
Times = dict[tuple[str, str], float]  # seconds of a call, by kernel and table
Work = tuple[str, Callable[[Ids], object], Callable[[], Array]]  # and its result


def run(options: Options) -> Report:
    sets = pe.show_config("dicts")["isa_available"]
    tables, rounds = (SMOKE, 1) if options.smoke else (TABLES, ROUNDS)
    found: dict[str, list[Times]] = {name: [] for name in sets}
    expected = None
    for _ in range(rounds):
        for name in sets:
            seconds, digest = _measure_with(name, tables, options.dtype)
            if expected not in (None, digest):
                raise Disagreement(f"the results of {sets[0]} and {name}")
            expected = digest
            found[name].append(seconds)
    best = {
        name: {key: min(one[key] for one in alike) for key in alike[0]}
        for name, alike in found.items()
    }
    return Report(
        ["kernel", "table", f"{sets[0]} us", *(f"{name} gains" for name in sets[1:])],
        [_row(key, best) for key in best[sets[0]]],
        [
            f"{IDS:,} uniform ids, rows of {DIM}, 1 thread; gains: how many times as fast as "
            f"{sets[0]}, each the best of {rounds} processes' medians."
        ],
        records=[
            {"isa": name, "kernel": k, "table": t, "seconds": s}
            for name, fastest in best.items()
            for (k, t), s in fastest.items()
        ],
    )


def _measure_with(isa: str, tables: dict[str, int], dtype: str) -> tuple[Times, str]:
    os.environ["PYEMBED_ISA"] = isa
    try:
        return in_fresh_process(measure, tables, dtype)
    finally:
        del os.environ["PYEMBED_ISA"]


def measure(tables: dict[str, int], dtype: str) -> tuple[Times, str]:
    """Every kernel on every table, here; and a digest of all results."""
    pe.set_num_threads(1)
    seconds, digest = {}, hashlib.sha256()
    for size, rows in tables.items():
        batches = streams.pool("uniform", rows, IDS)
        for kernel, call, result in _kernels(rows, dtype):
            seconds[kernel, size] = _median(call, batches)
            digest.update(result())
    return seconds, digest.hexdigest()


def _kernels(rows: int, dtype: str) -> Iterator[Work]:
    table = data.whole_numbers((rows, DIM), dtype)
    dy = data.whole_numbers((IDS, DIM), dtype)
    out, offsets = np.empty_like(dy), np.arange(0, IDS, BAG)
    yield "gather", partial(pe.ops.gather, table, out=out), lambda: out
    for mode in ("sum", "max"):
        bag = partial(pe.ops.gather_bag, table, offsets=offsets, mode=mode)
        yield f"bag, {mode} of {BAG}", partial(bag, out=out[: len(offsets)]), lambda: out
    yield "scatter_add", partial(pe.ops.scatter_add, table, rows=dy), lambda: table
    layer = pe.Embedding.from_pretrained(table, trainable=True, max_norm=1e30)
    yield "lookup with max_norm", partial(layer, out=out), lambda: out
    for name, contest in CONTESTS.items():
        if name == "adam_keras":  # Adam, beside others
            continue
        trainer = contest.sides["pyembed"].make(rows, DIM, dtype)
        touch_every_row(trainer, rows, dy)
        yield f"step, {name}", partial(trainer.step, dy=dy), trainer.weights
    filled = partial(pe.initializers.RandomUniform(seed=1), (IDS, DIM), dtype)
    yield f"fill {IDS:,} rows", lambda ids: filled(), filled


def _median(call: Callable[[Ids], object], batches: list[Ids]) -> float:
    seconds = []
    for turn in range(WARM + CALLS):
        started = time.perf_counter()
        call(batches[turn % len(batches)])
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds[WARM:]))


def _row(key: tuple[str, str], best: dict[str, Times]) -> list[str]:
    base, *others = (seconds[key] for seconds in best.values())
    return [*key, f"{base * 1e6:,.0f}", *(times(base / other) for other in others)]
