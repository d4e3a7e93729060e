"""``python benchmarks/clients``: programs that train with PyTorch, before and after a patch.

Each runs with torch's own classes, and with those of `pyembed.torch.patch()`, in a process for
each, by turns, from the same seed. Their losses must be equal.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """1 if the losses of a client differ."""
    options = _parser().parse_args(arguments)
    for name in ("OMP", "MKL", "OPENBLAS"):
        os.environ[f"{name}_NUM_THREADS"] = str(options.threads)  # before these are loaded
    from client import CLIENTS, client
    from match import Disagreement, measured
    from page import line, page
    from side import SIDES, Side

    unknown = set(options.clients) - set(CLIENTS)
    if unknown:
        _parser().error(f"unknown client {', '.join(unknown)} (choose from {', '.join(CLIENTS)})")
    sides = [Side(name, options.threads) for name in SIDES]
    status, found = 0, []
    rounds = 1 if options.smoke else options.rounds
    try:
        for name in options.clients or CLIENTS:
            one = client(name)
            if not one.is_here():
                print(f"{one.title}: not run, {one.needs} is not installed")
                continue
            try:
                found.append(measured(name, one.rtol, sides, rounds, tiny=options.smoke))
            except Disagreement as difference:
                status = 1
                print(f"{one.title}: {difference}", file=sys.stderr)
            else:
                print(line(found[-1]), flush=True)
    finally:
        for side in sides:
            side.close()
    if options.into is not None and status == 0:
        options.into.write_text(page(found, options.threads, rounds), encoding="utf-8")
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python benchmarks/clients", description=__doc__)
    add = parser.add_argument
    add("clients", nargs="*", metavar="CLIENT", help="default: all that are installed")
    cpus = os.cpu_count() or 1
    add("--threads", type=_positive, default=cpus, metavar="T", help=f"a side (default: {cpus})")
    add("--rounds", type=_positive, default=7, metavar="R", help="timed, a side (default: 7)")
    add("--smoke", action="store_true", help="tiny sizes, only to check that losses are equal")
    add("--into", type=Path, metavar="FILE", help="write the page of the docs there")
    return parser


def _positive(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return value


if __name__ == "__main__":
    sys.exit(main())
