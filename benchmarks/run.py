"""Run jobs and print what they found."""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import data
import machine
import peers
import streams
import words
from harness import Disagreement
from options import JOBS, Options
from peers import keras_fit, keras_parent, ranks
from report import Report, plan, results
from report.plan import Part
from report.results import Done

STOLEN = 0.02  # processors: in bursts, so that what needs two of them waits often


def run(options: Options) -> int:
    """The exit status: 1 if two contestants computed different things, though the rest is run."""
    if options.source is not None:
        results.write(options.into, *results.load(options.source), options.only)
        return 0
    keras_parent.use_python(options.keras_python)
    facts = machine.describe(options)
    print(machine.heading(facts))
    if options.smoke:
        print("Smoke run: sizes are tiny and the times mean nothing.")
    status = 0
    earlier = _earlier(options)
    facts["resumed"] = bool(earlier)
    done: list[Done] = []
    planned = [part for part in plan.PLAN if part.job in options.jobs]
    for part in planned if options.report else map(Part, options.jobs):
        if kept := earlier.get((part.job, part.title, part.axis)):
            done.append(kept)
            continue
        peers.use_threads(options.threads)  # of which a job may have taken some
        started, stolen = time.perf_counter(), machine.stolen_seconds()
        try:
            report = part.run(options)
        except Disagreement as difference:
            status = 1
            report = Report(["not timed"], [], [f"Results differ. {difference}"])
        except words.unavailable() as reason:
            if not options.report:
                print(f"\n{part.job}: the words cannot be had. {reason}", file=sys.stderr)
                return 2
            report = Report(["not run"], [], [f"The words cannot be had. {reason}"])
        finally:
            data.forget()
            streams.forget()
            keras_parent.forget()
            keras_fit.forget()
            ranks.forget()
        seconds = time.perf_counter() - started
        report = _with_doubts(report, (machine.stolen_seconds() - stolen) / seconds)
        done.append(Done(part.job, part.title, part.axis, part.sweep, seconds, report))
        print(f"\n{part.job}: {part.title or JOBS[part.job]}\n{report.text()}", flush=True)
        if options.report:
            print(f"({seconds:.0f} s)", flush=True)
            _keep(options, facts, done)  # so that what comes later cannot lose it
    print("\n" + "\n".join(line for one in done for line in one.report.summary))
    _keep(options, facts, done)
    if options.report:
        results.write(options.into, facts, done, options.only)
    if options.plot is not None:
        results.plot(options.plot, done)
    return status


def _earlier(options: Options) -> dict[tuple[str, str, str | None], Done]:
    """What is done already of a report that is resumed, by job, title and axis."""
    if not options.resume or options.json is None or not options.json.exists():
        return {}
    _, done = results.load(options.json)
    return {(one.job, one.title, one.axis): one for one in done}


def _with_doubts(report: Report, stolen: float) -> Report:
    """With a warning if the machine is virtual, and its host used so many of its processors."""
    if stolen <= STOLEN:
        return report
    note = f"The host kept {stolen:.2f} processors to itself meanwhile: doubt these figures."
    return replace(report, notes=[*report.notes, note])


def _keep(options: Options, facts: dict[str, object], done: list[Done]) -> None:
    """Write the measurements, if they are asked for."""
    if options.json is not None:
        results.save(options.json, facts, done)
