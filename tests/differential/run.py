"""Run cases until one differs, and say how to see it again."""

import argparse
import time
import traceback

import numpy as np

import pyembed as pe
from differential.case import Case
from differential.operations import OPERATIONS
from differential.refusals import REFUSALS


def run_case(seed, number):
    """Run one case; what it raises has the history in its notes."""
    threads = pe.get_num_threads()
    history = []
    try:
        with np.errstate(all="ignore"):
            Case(seed, number, history).run(OPERATIONS + REFUSALS)
    except Exception as error:
        raise CaseFailed(seed, number, history) from error
    finally:
        pe.set_num_threads(threads)


class CaseFailed(Exception):
    """A case differed, or a call of it raised what it should not."""

    def __init__(self, seed, number, history):
        lines = "\n  ".join(history)
        super().__init__(
            f"seed {seed}, case {number}:\n  {lines}\n"
            f"Again: python tests/differential --seed {seed} --case {number}"
        )


def main(arguments=None):
    """Return 1 if a case differed."""
    parser = argparse.ArgumentParser(prog="python tests/differential", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, help="how many, from 0 on")
    parser.add_argument("--minutes", type=float, help="how long; 1 where --cases is not given")
    parser.add_argument("--case", type=int, help="this one alone")
    parser.add_argument("--verbose", action="store_true", help="name each case before it runs")
    options = parser.parse_args(arguments)
    if options.case is not None:
        numbers, minutes = range(options.case, options.case + 1), None
    else:
        numbers = range(options.cases or 10**12)
        minutes = options.minutes or (None if options.cases else 1.0)
    return _run(options.seed, numbers, minutes, options.verbose)


def _run(seed, numbers, minutes, verbose):
    """Run cases for so many minutes, or all of them."""
    start = said = time.monotonic()
    done = 0
    for number in numbers:
        now = time.monotonic()
        if minutes is not None and now - start >= 60 * minutes:
            break
        if now - said >= 30:
            said = now
            print(f"seed {seed}: {done} cases agree", flush=True)
        if verbose:
            print(f"case {number}", flush=True)
        try:
            run_case(seed, number)
        except CaseFailed:
            traceback.print_exc()
            return 1
        done += 1
    print(f"seed {seed}: {done} cases agree, in {time.monotonic() - start:.0f} s")
    return 0
