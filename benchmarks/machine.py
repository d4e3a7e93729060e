"""What the figures were taken on: processor, versions, and how fast its memory is."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import datetime, timezone
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np

import peers
import pyembed as pe
import roofline
from harness import Measurement, Roof
from options import Options
from peers import settings

T = TypeVar("T")
USUAL_CACHE = 32 << 20
QUIET = 0.5  # processors that others may use before figures are in doubt


def describe(options: Options) -> dict[str, object]:
    """The facts that belong beside every figure."""
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "memory_bytes": memory_bytes(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pyembed": pe.__version__,
        "pyembed_config": pe.show_config("dicts"),
        **peers.versions(),
        "busy_processors": _busy_processors(),
        "threads": options.threads,
        "repeat": options.repeat,
        "dtype": options.dtype,
        "settings": settings.of(options),
        "copy_bytes_per_second": roofline.copy_bandwidth(options.threads),
        "copy": roofline.how(),
        "cache_bytes": cache_bytes(),
    }


def heading(facts: dict[str, object]) -> str:
    """The facts that fit on three lines."""
    names = ("python", "numpy", "pyembed", *peers.INSTALL)
    versions = ", ".join(f"{name} {facts.get(name) or 'not installed'}" for name in names)
    speed = float(str(facts["copy_bytes_per_second"])) / 1e9
    busy = float(str(facts["busy_processors"] or 0.0))
    warning = f"\nOthers kept {busy:.1f} processors busy just now: doubt the figures."
    copy = f"streaming copy {speed:.1f} GB/s (read + write, {facts['copy']})"
    return (
        f"{facts['processor']}, {facts['processors']} processors, {facts['system']}\n"
        f"{versions}\n"
        f"{facts['threads']} threads on every side, {facts['dtype']}, {copy}"
        + (warning if busy > QUIET else "")
    )


def beside_roof(found: Sequence[Measurement], threads: int) -> list[Measurement]:
    """The measurements with what memory could do for them at best, measured now.

    It is measured anew after each job, since on a shared machine it changes with the neighbours.
    """
    if not found:
        return []
    copy = roofline.copy_bandwidth(threads)
    sizes = dict.fromkeys(one.row_bytes for one in found if one.row_bytes is not None)
    reads = {size: roofline.random_rows(size, threads) for size in sizes}
    return [
        replace(
            one,
            roof=Roof(
                copy_bytes_per_second=copy,
                row_reads_per_second=reads.get(one.row_bytes),
                in_cache=one.memory is not None and one.memory <= cache_bytes(),
            ),
        )
        for one in found
    ]


@cache
def cache_bytes() -> int:
    """The largest cache, where the system tells."""
    sizes = Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")
    found = [size.read_text().strip() for size in sizes]
    return max((int(text[:-1]) << 10 for text in found if text.endswith("K")), default=USUAL_CACHE)


def memory_bytes() -> int | None:
    """The machine's memory, where the system tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def available_bytes() -> int:
    """Memory that new arrays may take; all of the machine's where the system does not tell."""
    free = told("/proc/meminfo", "MemAvailable")
    return int(free.split()[0]) * 1024 if free else memory_bytes() or sys.maxsize


def stolen_seconds() -> float:
    """The processor time that a virtual machine's host kept from it, where the system tells."""
    statistics = Path("/proc/stat")
    if not statistics.exists():
        return 0.0
    _, *ticks = statistics.read_text().split("\n", 1)[0].split()
    return float(ticks[7]) / os.sysconf("SC_CLK_TCK") if len(ticks) > 7 else 0.0


def in_fresh_process(function: Callable[..., T], *arguments: object) -> T:
    """Its result, from a process whose memory starts from nothing, where libraries load anew."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def _busy_processors() -> float | None:
    """The mean number of running threads in the last minute, where the system tells."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def _processor() -> str:
    return told("/proc/cpuinfo", "model name") or platform.processor() or platform.machine()


def told(path: str, name: str) -> str | None:
    """What stands behind a name and a colon in a file of the system, if it has such."""
    lines = Path(path).read_text().splitlines() if Path(path).exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)
