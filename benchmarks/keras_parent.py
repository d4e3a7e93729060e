"""Keras takes part from a process of its own: TensorFlow would not share one with PyTorch in peace.

It takes turns with the others like any contestant, times itself, and rests before it answers, so
that its idle threads disturb nobody. Arrays pass through files, in memory where the system has a
place for such; passing them is not timed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import weakref
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from data import Array
from streams import Ids

IN_MEMORY = Path("/dev/shm")
ASK_VERSIONS = """
from importlib import metadata
import importlib.util
assert importlib.util.find_spec("tensorflow")
print(metadata.version("keras"))
"""

_python = sys.executable
_threads = 1


def use_python(python: Path | None) -> None:
    """Set the interpreter that has Keras; None is this one."""
    global _python
    _python = sys.executable if python is None else str(python)


def use_threads(threads: int) -> None:
    """Set TensorFlow's threads, which are started with it."""
    global _threads
    if threads != _threads:
        forget()
    _threads = threads


def version() -> str | None:
    """Keras's version, or None if it or TensorFlow is not installed there."""
    return _version(_python)


@cache
def _version(python: str) -> str | None:
    found = subprocess.run([python, "-c", ASK_VERSIONS], capture_output=True, text=True)
    return found.stdout.strip() if found.returncode == 0 else None


class KerasAdam:
    """``keras.layers.Embedding`` and ``keras.optimizers.Adam``, as they are or ``tuned``."""

    bag = 1
    times_itself = True
    _numbers = count()

    def __init__(self, rows: int, dim: int, dtype: str, tuned: bool, **settings: float) -> None:
        self._shape, self._dtype, self._process = (rows, dim), dtype, _running()
        self._number = next(self._numbers)
        self._ask(
            "make",
            folder=self._process.folder,
            rows=rows,
            dim=dim,
            dtype=dtype,
            tuned=tuned,
            settings=settings,
        )
        weakref.finalize(self, self._process.drop, self._number).atexit = False

    def start(self, weights: Array) -> None:
        self._process.give(weights=weights)
        self._ask("start")

    def step(self, ids: Ids, dy: Array) -> float:
        self._process.give(ids=ids, dy=dy)
        return float(self._ask("step"))

    def weights(self) -> Array:
        """A copy, in a file."""
        self._ask("save")
        return np.memmap(self._process.folder + "/weights", self._dtype, "r", shape=self._shape)

    def _ask(self, order: str, **arguments: Any) -> Any:
        return self._process.ask(order, self._number, **arguments)


class _Process:
    def __init__(self, python: str, threads: int) -> None:
        place = IN_MEMORY if IN_MEMORY.is_dir() else None
        self._folder = tempfile.TemporaryDirectory(prefix="pyembed-", dir=place)
        self.folder = self._folder.name
        self._log = open(self.folder + "/log", "w+")  # noqa: SIM115
        self._child = subprocess.Popen(
            [python, str(Path(__file__).with_name("keras_child.py")), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def give(self, **arrays: Array | Ids) -> None:
        """Write arrays where the child reads them."""
        for name, array in arrays.items():
            array.tofile(f"{self.folder}/{name}")

    def drop(self, number: int) -> None:
        """Free a table, unless all have gone with the process."""
        if self._child.poll() is None:
            self.ask("drop", number)

    def ask(self, order: str, number: int, **arguments: Any) -> Any:
        """Have something done with the table of that number, and wait for it."""
        try:
            print(json.dumps([order, number, arguments]), file=self._child.stdin, flush=True)
            answer = self._child.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self._log.seek(0)
            raise RuntimeError(f"Keras's process ended:\n{self._log.read()[-2000:]}")
        return json.loads(answer)

    def end(self) -> None:
        """Stop the child, and remove the files."""
        self._child.communicate()  # closes its standard input, at whose end it leaves
        self._log.close()
        self._folder.cleanup()


_process: _Process | None = None


def _running() -> _Process:
    global _process
    if _process is None:
        _process = _Process(_python, _threads)
    return _process


def forget() -> None:
    """End the process, and with it the table that it holds."""
    global _process
    if _process is not None:
        _process.end()
    _process = None
