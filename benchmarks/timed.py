"""How every timed job runs: its cases one after the other, and one table of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence

import peers
import report
from harness import Case, Effort, Measurement, measure
from machine import beside_roof
from options import Options

CLEAR_LINE = "\r\x1b[K"
Summary = Callable[[list[Measurement]], list[str]]


def run(
    job: str,
    cases: Sequence[Case],
    options: Options,
    summary: Summary,
    needs: Sequence[str] = (),
    stop_at: type[Exception] | tuple[()] = (),
) -> report.Report:
    """Measure the cases. Of the peers that it ``needs``, those that are missing are noted.

    An exception that is ``stop_at`` ends the job early and is noted too.
    """
    effort = Effort.of(options)
    found: list[Measurement] = []
    notes = peers.missing(needs)
    for case in _shown(job, cases):
        try:
            found.append(measure(case, effort))
        except stop_at as reason:
            notes.append(f"stopped at {case}: {reason}")
            break
    if not options.smoke:  # in which no time means anything
        found = beside_roof(found, options.threads)
    return report.timed(found, summary(found), notes)


def _shown(job: str, cases: Sequence[Case]) -> Iterator[Case]:
    """The cases; on a terminal, the current one is named on standard error."""
    for number, case in enumerate(cases, 1):
        _show(f"{job} {number}/{len(cases)}: {case}")
        yield case
    _show("")


def _show(text: str) -> None:
    if sys.stderr.isatty():
        print(CLEAR_LINE + text, end="", file=sys.stderr, flush=True)
