"""What this machine's memory can do at best, measured in the same run as everything else.

Two loops of C++ (``roofline.cpp``), which know nothing of pyembed: a copy that streams past the
caches, and a read of random rows that are prefetched. They are compiled when they are first needed.
Without a compiler the copy is NumPy's, and there is no row read.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SOURCE = Path(__file__).with_name("roofline.cpp")
COMPILERS = ("c++", "g++", "clang++")
FLAGS = ("-std=c++17", "-O3", "-shared", "-fPIC", "-pthread")
COPY_BYTES = 1 << 28
TABLE_BYTES = 1 << 29
MOST_READS, READ_BYTES = 1 << 20, 1 << 27  # rows in one round, and their bytes at most
COPY_ROUNDS, READ_ROUNDS = 21, 7
AHEAD = (8, 32)  # rows; which is best depends on the machine and the row
HUGE_PAGE = 1 << 21
Bytes = NDArray[np.uint8]


def copy_bandwidth(threads: int) -> float:
    """Bytes read plus bytes written in a second by a copy between two large arrays."""
    source, target = _aligned(COPY_BYTES), _aligned(COPY_BYTES)
    library, _ = _loops()
    if library is None:
        return 2 * COPY_BYTES / _numpy_copy_seconds(source, target, threads)
    ends = _address(target), _address(source)
    return 2 * COPY_BYTES / float(library.copy_seconds(*ends, COPY_BYTES, threads, COPY_ROUNDS))


def random_rows(row_bytes: int, threads: int) -> float | None:
    """Rows of that size read in a second from random places of a table out of all caches."""
    library, _ = _loops()
    if library is None:
        return None
    count = max(1, min(MOST_READS, READ_BYTES // row_bytes))
    ids = np.random.default_rng(0).integers(0, max(1, TABLE_BYTES // row_bytes), count)
    table, seen = _aligned(TABLE_BYTES), ctypes.c_uint64()
    rows = _address(table), row_bytes, _address(ids), count
    seconds = min(
        library.read_seconds(*rows, *how, threads, READ_ROUNDS, ctypes.byref(seen))
        for how in product(AHEAD, (False, True))
    )
    return count / float(seconds)


def how() -> str:
    """What the copy is, in a few words."""
    return _loops()[1]


def _numpy_copy_seconds(source: Bytes, target: Bytes, threads: int) -> float:
    """Each thread copies a part; the C library streams past the caches where it can."""
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    best = float("inf")
    with ThreadPoolExecutor(threads) as workers:
        for _ in range(COPY_ROUNDS):
            started = time.perf_counter()
            list(workers.map(lambda part: np.copyto(*part), parts))
            best = min(best, time.perf_counter() - started)
    return best


def _aligned(count: int) -> Bytes:
    """An array that starts with a page of its own, all of it written."""
    memory = np.ones(count + HUGE_PAGE, np.uint8)
    start = -memory.ctypes.data % HUGE_PAGE
    return memory[start : start + count]


def _address(array: NDArray[np.generic]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


@cache
def _loops() -> tuple[ctypes.CDLL | None, str]:
    """The compiled loops, if there are any, and what the copy is."""
    try:
        library = _compiled()
    except subprocess.CalledProcessError as error:
        return None, _by_numpy(f"the compiler failed ({_first_line(error.stderr)})")
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, _by_numpy(f"the C++ loops could not be made ({_first_line(str(error))})")
    pointer, integer, number = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
    library.copy_seconds.argtypes = [pointer, pointer, number, integer, integer]
    rows = pointer, number, pointer, number
    library.read_seconds.argtypes = [*rows, number, ctypes.c_bool, integer, integer, pointer]
    library.copy_seconds.restype = library.read_seconds.restype = ctypes.c_double
    return library, "non-temporal stores"


def _compiled() -> ctypes.CDLL:
    """By the command of CXX, or the first compiler found."""
    found = [name for name in COMPILERS if shutil.which(name)]
    compiler = os.environ.get("CXX", "").split() or found[:1] or [COMPILERS[0]]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        library = f"{folder}/roofline.so"
        command = [*compiler, *FLAGS, str(SOURCE), "-o", library]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
        return ctypes.CDLL(library)  # stays loaded where the file goes


def _by_numpy(reason: str) -> str:
    return f"np.copyto, as {reason}, so no rate of row reads"


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "no message")
