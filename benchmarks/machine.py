"""What the figures were taken on: processor, versions, and how fast its memory copies."""

from __future__ import annotations

import os
import platform
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from functools import cache
from pathlib import Path

import numpy as np

import peers
import pyembed as pe
import settings
from options import Options

COPY_BYTES = 1 << 28
COPY_REPEAT = 7
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
        "dtype": options.dtype,
        "settings": settings.of(options),
        "copy_bytes_per_second": copy_bandwidth(options.threads),
    }


def heading(facts: dict[str, object]) -> str:
    """The facts that fit on three lines."""
    names = ("python", "numpy", "pyembed", *peers.INSTALL)
    versions = ", ".join(f"{name} {facts[name] or 'not installed'}" for name in names)
    speed = copy_bandwidth(int(str(facts["threads"]))) / 1e9
    busy = float(str(facts["busy_processors"] or 0.0))
    warning = f"\nOthers kept {busy:.1f} processors busy just now: doubt the figures."
    return (
        f"{facts['processor']}, {facts['processors']} processors, {facts['system']}\n"
        f"{versions}\n"
        f"{facts['threads']} threads on every side, {facts['dtype']}, "
        f"streaming copy {speed:.1f} GB/s (read + write)" + (warning if busy > QUIET else "")
    )


@cache
def copy_bandwidth(threads: int) -> float:
    """Bytes read plus bytes written in a second by a copy between two large arrays.

    Each thread copies one part with ``np.copyto``, for which the C library streams past the caches
    where it can. A kernel of ours with non-temporal stores, once there is one, belongs here.
    """
    source = np.ones(COPY_BYTES, np.uint8)
    target = np.zeros_like(source)
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    best = float("inf")
    with ThreadPoolExecutor(threads) as workers:
        for _ in range(COPY_REPEAT):
            started = time.perf_counter()
            list(workers.map(lambda part: np.copyto(*part), parts))
            best = min(best, time.perf_counter() - started)
    return 2 * COPY_BYTES / best


def memory_bytes() -> int | None:
    """The machine's memory, where the system tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _busy_processors() -> float | None:
    """The mean number of running threads in the last minute, where the system tells."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
