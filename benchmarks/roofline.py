"""What this machine's memory can do at best, measured in the same run as everything else.

Two loops of C++ (``roofline.cpp``), which know nothing of pyembed: a copy that streams past the
caches, and a read of random rows that are prefetched. They are compiled when they are first needed,
into the user's cache folder. Without a compiler the copy is NumPy's, and there is no row read.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import sys
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
    if (library := _library()) is None:
        return 2 * COPY_BYTES / _numpy_copy_seconds(source, target, threads)
    seconds = library.copy_seconds(
        _address(target), _address(source), COPY_BYTES, threads, COPY_ROUNDS
    )
    return 2 * COPY_BYTES / float(seconds)


def random_rows(row_bytes: int, threads: int) -> float | None:
    """Rows of that size read in a second from random places of a table out of all caches."""
    if (library := _library()) is None:
        return None
    table, seen = _aligned(TABLE_BYTES), ctypes.c_uint64()
    count = max(1, min(MOST_READS, READ_BYTES // row_bytes))
    ids = np.random.default_rng(0).integers(0, max(1, TABLE_BYTES // row_bytes), count)
    seconds = min(
        library.read_seconds(
            _address(table),
            row_bytes,
            _address(ids),
            count,
            ahead,
            outer_only,
            threads,
            READ_ROUNDS,
            ctypes.byref(seen),
        )
        for ahead, outer_only in product(AHEAD, (False, True))
    )
    return count / float(seconds)


def how() -> str:
    """What the copy is, in a few words."""
    if _library() is None:
        return f"np.copyto, as {_why_not()}, so no rate of row reads"
    return "non-temporal stores"


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


def _library() -> ctypes.CDLL | None:
    """The compiled loops, or None."""
    built = _built()
    return built if isinstance(built, ctypes.CDLL) else None


def _why_not() -> str:
    built = _built()
    assert isinstance(built, str)
    return built


@cache
def _built() -> ctypes.CDLL | str:
    """The compiled loops, or why there are none."""
    if (compiler := _compiler()) is None:
        return f"there is no C++ compiler (CXX, {', '.join(COMPILERS)})"
    try:
        library = ctypes.CDLL(str(_compiled(compiler)))
    except subprocess.CalledProcessError as error:
        return f"{compiler[0]} failed ({_first_line(error.stderr)})"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the C++ loops could not be made ({_first_line(str(error))})"
    pointer, integer, number = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
    library.copy_seconds.argtypes = [pointer, pointer, number, integer, integer]
    library.read_seconds.argtypes = [
        *(pointer, number, pointer, number, number),
        *(ctypes.c_bool, integer, integer, pointer),
    ]
    library.copy_seconds.restype = library.read_seconds.restype = ctypes.c_double
    return library


def _compiler() -> list[str] | None:
    """The command that CXX gives, or the first compiler found."""
    if asked := os.environ.get("CXX", "").split():
        return asked if shutil.which(asked[0]) else None
    return next(([name] for name in COMPILERS if shutil.which(name)), None)


def _compiled(compiler: list[str]) -> Path:
    """The library of this source, compiler and machine; made now if it is not there yet."""
    command = [*compiler, *FLAGS]
    version = subprocess.run([*compiler, "--version"], capture_output=True, timeout=60).stdout
    made_of = SOURCE.read_bytes() + repr(command).encode() + version + platform.machine().encode()
    folder = _cache_folder()
    library = folder / f"roofline-{hashlib.sha256(made_of).hexdigest()[:16]}.so"
    if not library.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as workplace:
            fresh = Path(workplace) / library.name
            subprocess.run(
                [*command, str(SOURCE), "-o", str(fresh)],
                check=True,
                capture_output=True,
                text=True,
                timeout=120,
            )
            os.replace(fresh, library)  # whole or not at all, if another run makes it too
    return library


def _cache_folder() -> Path:
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path.home() / ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or base) / "pyembed-benchmarks"


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "no message")
