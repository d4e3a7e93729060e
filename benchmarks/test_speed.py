"""``pytest benchmarks --benchmark-only``: the jobs' cases at moderate sizes, to follow over time.

Each contestant is a benchmark of its own, in a group for each case. They are verified as in
``python benchmarks``, which times them in turns and so is the one to quote ratios from.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import count

import pytest

import data
import jobs
import options as command_line
import peers
import streams
from harness import VERIFIED_RUNS, Case, Match, verify

pytest.importorskip("pytest_benchmark")

JOBS = ("gather", "lookup", "one_id", "scatter_add", "bag", "step", "bag_step")
SIZES = ["--dims", "64", "--ids", "16384", "--rows", "200000"]
OPTIONS = command_line.parse([*SIZES, "--optimizers", "adam,rowwise_adagrad"])
ROUNDS = 20
MOST = 8  # contestants of one case; a number that none has is skipped


def cases() -> Iterator[tuple[str, Case]]:
    for job in JOBS:
        for table in jobs.tables_of(job, OPTIONS):
            for case in table.cases:
                yield job, case


CASES = {f"{job}: {case}": case for job, case in cases()}


@lru_cache(maxsize=1)
def match(name: str) -> Match:
    """The case of that name, verified; the latest is kept, for its next contestant."""
    peers.use_threads(OPTIONS.threads)
    built = CASES[name].build()
    verify(built)
    return built


@pytest.fixture(scope="module", autouse=True)
def _memory() -> Iterator[None]:
    yield
    match.cache_clear()
    data.forget()
    streams.forget()


@pytest.mark.parametrize("number", range(MOST))
@pytest.mark.parametrize("name", CASES)
def test_speed(benchmark, name: str, number: int) -> None:
    contestants = match(name).contestants
    if number >= len(contestants):
        pytest.skip("there is no such contestant here")
    contestant = contestants[number]
    if contestant.times_itself:
        pytest.skip("it runs in a process of its own")
    benchmark.group = name
    benchmark.name = contestant.name
    benchmark.extra_info.update(rows=match(name).rows, bytes=match(name).bytes)
    turns = count(VERIFIED_RUNS)

    def next_batch() -> tuple[tuple[int], dict[str, object]]:
        return (next(turns) % match(name).batches,), {}

    benchmark.pedantic(contestant.run, setup=next_batch, rounds=ROUNDS, warmup_rounds=5)
