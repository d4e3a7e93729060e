"""What is timed, a job a file: its ``tables(options)``, or ``run(options)`` that reports more."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module

import peers
import report
from harness import Case, Effort, Measurement, measure
from machine import beside_roof
from options import Options
from report import Report
from report.ratios import by_distribution

CLEAR_LINE = "\r\x1b[K"


@dataclass(frozen=True)
class Table:
    """Cases of the same contestants. Of the peers that it ``needs``, missing ones are noted."""

    what: str
    cases: Sequence[Case]
    needs: Sequence[str] = ()
    summary: Callable[[str, list[Measurement]], list[str]] = by_distribution
    notes: Sequence[str] = ()

    def only(self, labels: Mapping[str, object]) -> Table:
        """The cases that have these labels."""
        chosen = [case for case in self.cases if labels.items() <= case.labels.items()]
        return replace(self, cases=chosen)


def run(job: str, options: Options) -> Report:
    """The report of a job."""
    module = import_module(f"jobs.{job}")
    if hasattr(module, "run"):
        return module.run(options)
    return timed(tables_of(job, options), options)


def tables_of(job: str, options: Options) -> list[Table]:
    """What a job times."""
    found: list[Table] = import_module(f"jobs.{job}").tables(options)
    return found


def timed(tables: Sequence[Table], options: Options) -> Report:
    """Measure the cases, one after the other; a table each, one below the other."""
    return report.stacked([_timed(table, options) for table in tables])


def _timed(table: Table, options: Options) -> Report:
    """Ends early where memory does not suffice, as for large one-hot matrices."""
    effort = Effort.of(options)
    found: list[Measurement] = []
    notes = [*peers.missing(table.needs), *table.notes]
    for case in _shown(table):
        try:
            found.append(measure(case, effort))
        except MemoryError as reason:
            notes.append(f"stopped at {case}: {reason}")
            break
    if not options.smoke:  # in which no time means anything
        found = beside_roof(found, options.threads)
    return report.timed(found, table.summary(table.what, found), notes)


def _shown(table: Table) -> Iterator[Case]:
    """The cases; on a terminal, the current one is named on standard error."""
    for number, case in enumerate(table.cases, 1):
        _show(f"{table.what} {number}/{len(table.cases)}: {case}")
        yield case
    _show("")


def _show(text: str) -> None:
    if sys.stderr.isatty():
        print(CLEAR_LINE + text, end="", file=sys.stderr, flush=True)
