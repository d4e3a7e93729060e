"""Keras takes part from a process of its own: TensorFlow would not share one with PyTorch in peace.

It takes turns with the others like any contestant, times itself, and rests before it answers, so
that its idle threads disturb nobody. Arrays pass through files, in memory where the system has a
place for such; passing them is not timed. The process, which takes seconds to start, has one table
at a time: the last one made.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from data import Array, Ids

SCRIPT = Path(__file__).with_name("keras_child.py")
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


def pythons() -> tuple[str, ...]:
    """The interpreters that may have Keras: the one set, and this one."""
    return tuple(dict.fromkeys([_python, sys.executable]))


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

    def __init__(self, rows: int, dim: int, dtype: str, tuned: bool, **settings: float) -> None:
        self._shape, self._dtype, self._child = (rows, dim), dtype, _running()
        table = {"rows": rows, "dim": dim, "dtype": dtype, "tuned": tuned, "settings": settings}
        self._child.ask(table)

    def start(self, weights: Array) -> None:
        weights.tofile(self._child.files / "weights")
        self._child.ask("start")

    def step(self, ids: Ids, dy: Array) -> float:
        ids.tofile(self._child.files / "ids")
        dy.tofile(self._child.files / "dy")
        return float(self._child.ask("step"))

    def weights(self) -> Array:
        """A copy, in a file."""
        self._child.ask("save")
        return np.memmap(self._child.files / "weights", self._dtype, "r", shape=self._shape)


class Child:
    """A process, and the folder of the files through which arrays pass."""

    def __init__(
        self,
        script: Path,
        python: str,
        threads: int,
        environment: dict[str, str] | None = None,
        launcher: Sequence[str] = (),
    ) -> None:
        place = IN_MEMORY if IN_MEMORY.is_dir() else None
        self._folder = tempfile.TemporaryDirectory(prefix="pyembed-", dir=place)
        self.files = Path(self._folder.name)
        self._name = script.stem
        command = [*launcher, python, str(script), self._folder.name, str(threads)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with open(self.files / "log", "w") as log:
            self._process = subprocess.Popen(
                command, stderr=log, env={**os.environ, **(environment or {})}, **pipes
            )

    def ask(self, order: str | dict[str, Any]) -> Any:
        """Have something done, and wait for it."""
        try:
            print(json.dumps(order), file=self._process.stdin, flush=True)
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            log = (self.files / "log").read_text()
            raise RuntimeError(f"the process {self._name} ended:\n{log[-2000:]}")
        return json.loads(answer)

    def end(self) -> None:
        self._process.communicate()  # closes its standard input, at whose end it leaves
        self._folder.cleanup()


_child: Child | None = None


def _running() -> Child:
    global _child
    _child = _child or Child(SCRIPT, _python, _threads)
    return _child


def forget() -> None:
    """End the process, and with it the table that it holds."""
    global _child
    if _child is not None:
        _child.end()
    _child = None
