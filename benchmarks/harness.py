"""Contestants that do the same work: check that they agree, warm them, time them in turns.

The rules that make a ratio worth believing:

- results are compared first, and a difference ends the run;
- every contestant runs untimed before it is timed, on memory whose pages are all written;
- repetitions are interleaved and the order rotates, so that a busy moment hits all alike;
- a short call is repeated within one sample, each time on another batch of ids, since the rows of
  the same batch would be in the cache by then; for the same reason contestants that share a table
  are never given the same batch one after the other;
- between two contestants there is a rest until the idle threads of the first stop spinning: those
  of OpenMP do so for about 10 ms after a call, those of BLAS for longer, and they would take the
  processor from the second.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from data import Array
from options import Options
from peers.rest import rest

VERIFIED_RUNS = 2
FEWEST_ROUNDS = 3
COMPARED_ROWS = 1 << 16


class Disagreement(AssertionError):
    """Two contestants computed different things."""


@dataclass(frozen=True)
class Contestant:
    """``run(batch)`` is what is timed; ``result`` makes an array of what it returned, to compare.

    ``prepare`` brings it to the state from which all contestants start. One that is not
    ``compared`` does other work on purpose, and is timed to show what ours costs beside it. One
    that ``times_itself`` runs in another process, whose seconds ``run`` returns.
    """

    name: str
    run: Callable[[int], Any]
    result: Callable[[Any], Array] = np.asarray
    prepare: Callable[[], object] = lambda: None
    compared: bool = True
    times_itself: bool = False

    def seconds(self, batches: Sequence[int]) -> float:
        """Run these batches, one after the other, and tell how long that took."""
        if self.times_itself:
            return sum(self.run(batch) for batch in batches)
        last = None
        started = time.perf_counter()
        for batch in batches:
            last = self.run(batch)  # kept until the next is there, as a variable keeps it
        seconds = time.perf_counter() - started
        del last
        return seconds


def over(batches: Sequence[Any], call: Callable[[Any], Any]) -> Callable[[int], Any]:
    """A ``run`` that calls a function of the ids with the batch of that number."""
    return lambda batch: call(batches[batch])


@dataclass(frozen=True)
class Match:
    """Contestants, ours first, and what one run of theirs amounts to."""

    contestants: Sequence[Contestant]
    batches: int
    rows: int  # looked up or updated in one run
    bytes: int  # read and written in one run, at the least
    rtol: float = 0.0
    atol: float = 0.0
    row_bytes: int | None = None  # of the rows that one run reads, if reading them is its work
    memory: int | None = None  # bytes that the ids are spread over: the table, and state beside it
    in_step: bool = False  # they keep state: each gets the same batches in the same order, once
    warm_runs: int = 5


@dataclass(frozen=True)
class Case:
    """One row of a table; ``build`` makes its arrays, so that a list of cases costs nothing."""

    labels: dict[str, int | str]
    build: Callable[[], Match]

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.labels.items())


@dataclass(frozen=True)
class Timing:
    """The samples of one contestant, in seconds a run."""

    name: str
    seconds: list[float]

    @property
    def median(self) -> float:
        return float(np.median(self.seconds))

    @property
    def quartiles(self) -> tuple[float, float]:
        low, high = np.percentile(self.seconds, [25, 75])
        return float(low), float(high)


@dataclass(frozen=True)
class Roof:
    """What memory could do for a case at best, measured just after it: see ``roofline.py``."""

    copy_bytes_per_second: float
    row_reads_per_second: float | None  # None if that is not the case's work, or not measured
    in_cache: bool  # then it says nothing about the case


@dataclass(frozen=True)
class Measurement:
    """One case, timed."""

    labels: dict[str, int | str]
    timings: list[Timing]
    rows: int
    bytes: int
    rtol: float
    atol: float
    not_compared: list[str]
    row_bytes: int | None = None
    memory: int | None = None
    roof: Roof | None = None

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> Measurement:
        """The measurement whose ``asdict`` this is, from JSON too."""
        timings = [Timing(**timing) for timing in record["timings"]]
        roof = record["roof"] and Roof(**record["roof"])
        return cls(**{**record, "timings": timings, "roof": roof})

    @property
    def ours(self) -> Timing:
        return self.timings[0]

    def of(self, name: str) -> Timing | None:
        return next((timing for timing in self.timings if timing.name == name), None)

    def ratio(self, name: str, ours: str | None = None) -> float | None:
        """How many times our time a contestant took: above 1, ours, the first one, is faster."""
        theirs, mine = self.of(name), self.ours if ours is None else self.of(ours)
        return None if theirs is None or mine is None else theirs.median / mine.median

    @property
    def rows_per_second(self) -> float:
        return self.rows / self.ours.median

    @property
    def bytes_per_second(self) -> float:
        return self.bytes / self.ours.median

    @property
    def of_copy(self) -> float | None:
        """Our share of a streaming copy's rate; None for a table in the cache."""
        if self.roof is None or self.roof.in_cache:
            return None
        return self.bytes_per_second / self.roof.copy_bytes_per_second

    @property
    def of_row_reads(self) -> float | None:
        """Our share of the rate of prefetched random reads of such rows; None as above."""
        if self.roof is None or self.roof.in_cache or self.roof.row_reads_per_second is None:
            return None
        return self.rows_per_second / self.roof.row_reads_per_second


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    repeat: int
    sample_seconds: float = 0.02
    rest: bool = True
    case_seconds: float = 60.0  # for the timed part of a case, unless it had too few rounds by then

    @classmethod
    def of(cls, options: Options) -> Effort:
        if options.smoke:
            return cls(repeat=1, sample_seconds=0.0, rest=False)
        return cls(repeat=options.repeat)


def batches_in_step(options: Options) -> int:
    """How many batches a match with ``in_step`` uses up, none of them twice."""
    return VERIFIED_RUNS + Match.warm_runs + options.repeat


def measure(case: Case, effort: Effort) -> Measurement:
    """Build a case, verify it, warm it and time it."""
    match = case.build()
    try:
        verify(match)
        samples = _samples(match, effort)
        if match.in_step:  # after the same batches: the same state still
            agree(match, (contestant.result(None) for contestant in match.contestants))
    except Disagreement as difference:
        raise Disagreement(f"{case}: {difference}") from None
    return Measurement(
        labels=case.labels,
        timings=[
            Timing(contestant.name, [sample[index] for sample in samples])
            for index, contestant in enumerate(match.contestants)
        ],
        rows=match.rows,
        bytes=match.bytes,
        rtol=match.rtol,
        atol=match.atol,
        not_compared=[one.name for one in match.contestants if not one.compared],
        row_bytes=match.row_bytes,
        memory=match.memory,
    )


def verify(match: Match) -> None:
    """Compare what the contestants make of the same few runs from the same start."""
    agree(match, (_first_result(match, contestant) for contestant in match.contestants))


def _first_result(match: Match, contestant: Contestant) -> Array:
    contestant.prepare()
    returned = None
    for batch in range(min(VERIFIED_RUNS, match.batches)):
        returned = contestant.run(batch)
    return contestant.result(returned)


def agree(match: Match, results: Iterator[Array]) -> None:
    """Raise ``Disagreement`` unless all results are those of the first contestant."""
    ours, *others = match.contestants
    if not others:
        return
    expected = np.array(next(results))  # a copy: contestants may share the array they write to
    for other, result in zip(others, results, strict=True):
        if other.compared:
            compare(expected, result, match.rtol, match.atol, f"{ours.name} and {other.name}")


def compare(expected: Array, result: Array, rtol: float, atol: float, names: str) -> None:
    """Raise ``Disagreement`` at the first element that differs; in pieces, for large tables."""
    if expected.shape != result.shape:
        raise Disagreement(f"{names} differ in shape: {expected.shape} and {result.shape}")
    for start in range(0, len(expected), COMPARED_ROWS):
        piece = slice(start, start + COMPARED_ROWS)
        equal = np.isclose(result[piece], expected[piece], rtol=rtol, atol=atol)
        if not equal.all():
            at = tuple(int(i) for i in np.argwhere(~equal)[0])
            at = (at[0] + start, *at[1:])
            raise Disagreement(f"{names} differ at {at}: {expected[at]!r} and {result[at]!r}")


@dataclass
class _Turns:
    """Which batches are next, going round; state-keeping contestants all get the same ones."""

    match: Match
    rest: bool
    next_batch: int = VERIFIED_RUNS
    rounds: int = 0

    def round(self, inner: int = 1) -> list[float]:
        """One sample of each contestant, in seconds a run, by index."""
        seconds = [0.0] * len(self.match.contestants)
        order = self._order()
        for index in order:
            taken = [(self.next_batch + i) % self.match.batches for i in range(inner)]
            if not self.match.in_step or index == order[-1]:
                self.next_batch += inner
            if self.rest:
                rest()
            seconds[index] = self.match.contestants[index].seconds(taken) / inner
        return seconds

    def _order(self) -> list[int]:
        """Contestants by index: another one first each time, and other neighbours."""
        count = len(self.match.contestants)
        self.rounds += 1
        order = [(self.rounds + turn) % count for turn in range(count)]
        return order if self.rounds % 2 else order[::-1]

    def fitting(self, sample_seconds: float, run_seconds: float) -> int:
        """Runs in one sample, so that it lasts long enough, without going round within a round."""
        if self.match.in_step:
            return 1
        most = self.match.batches // len(self.match.contestants)
        return max(1, min(math.ceil(sample_seconds / run_seconds), most))


def _samples(match: Match, effort: Effort) -> list[list[float]]:
    """Warm up, then time: a list of rounds, each the seconds a run of every contestant."""
    turns = _Turns(match, effort.rest)
    with _no_collection():
        warm = [turns.round() for _ in range(match.warm_runs)]
        inner = turns.fitting(effort.sample_seconds, min(warm[-1]))
        started, rounds = time.perf_counter(), []
        while len(rounds) < effort.repeat and (
            len(rounds) < FEWEST_ROUNDS or time.perf_counter() - started <= effort.case_seconds
        ):
            rounds.append(turns.round(inner))
    return rounds


@contextmanager
def _no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
