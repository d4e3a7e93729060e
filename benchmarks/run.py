"""Run jobs and print what they found."""

from __future__ import annotations

import importlib
import sys

import data
import keras_parent
import machine
import peers
import streams
import words
from harness import Disagreement
from options import JOBS, Options
from report import Report, write_json


def run(options: Options) -> int:
    """The exit status: 1 if two contestants computed different things."""
    keras_parent.use_python(options.keras_python)
    peers.use_threads(options.threads)
    facts = machine.describe(options)
    print(machine.heading(facts))
    if options.smoke:
        print("Smoke run: sizes are tiny and the times mean nothing.")
    reports: dict[str, Report] = {}
    for name in options.jobs:
        try:
            reports[name] = importlib.import_module(f"jobs.{name}").run(options)
        except Disagreement as difference:
            print(f"\n{name}: results differ. {difference}", file=sys.stderr)
            return 1
        except words.unavailable() as reason:
            print(f"\n{name}: the distribution words cannot be had. {reason}", file=sys.stderr)
            return 2
        finally:
            data.forget()
            streams.forget()
            keras_parent.forget()
        print(f"\n{name}: {JOBS[name]}\n{reports[name].text()}", flush=True)
    print("\n" + "\n".join(line for report in reports.values() for line in report.summary))
    if options.json is not None:
        write_json(options.json, facts, reports)
    return 0
