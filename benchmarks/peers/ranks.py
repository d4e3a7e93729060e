"""Ranks that share a table, in processes of their own under ``mpiexec``; and those of TorchRec.

All of them get the same batches, of which each rank takes its share, and time themselves: from when
all ranks begin to when all have ended.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from data import Array, Ids
from peers.keras_parent import Child

HERE = Path(__file__).parent
OURS, TORCHREC = HERE / "ranks_child.py", HERE / "torchrec_child.py"
INSTALL = "pip install '.[mpi]' mpich"
INSTALL_TORCHREC = (
    "python -m venv T && T/bin/pip install torch==2.13.0, T/bin/pip install --no-deps "
    "fbgemm-gpu-cpu==1.8.0 torchrec==1.9.2 and what they ask for; --torchrec-python T/bin/python"
)


def launcher() -> str | None:
    """``mpiexec``, that of this interpreter's environment first, if mpi4py is here too."""
    beside = Path(sys.executable).parent
    found = shutil.which("mpiexec", path=str(beside)) or shutil.which("mpiexec")
    return found if _has(sys.executable, "mpi4py") else None


def torchrec_python(given: Path | None) -> str | None:
    """An interpreter that has TorchRec: the one given, or this one; or None."""
    python = str(given or sys.executable)
    return python if _has(python, "torchrec") else None


@cache
def _has(python: str, module: str) -> bool:
    ask = f"import importlib.util as u, sys; sys.exit(u.find_spec({module!r}) is None)"
    return subprocess.run([python, "-c", ask], capture_output=True).returncode == 0


class Ranks:
    """Some processes and the table that they share; one without a `comm` is an ordinary one."""

    def __init__(self, child: Child, batches: list[Ids], rows: int, dim: int, **order: Any) -> None:
        self._child, self._shape = child, (len(batches[0]), dim)
        np.concatenate(batches).tofile(child.files / "ids")
        size = {"rows": rows, "dim": dim, "ids": len(batches[0])}
        self._child.ask({"what": "make", **size, **order})

    def step(self, batch: int) -> float:
        """Look the ids of a batch up and make a step; its seconds."""
        return float(self._child.ask({"what": "step", "batch": batch}))

    def rows(self, batch: int) -> Array:
        """What the ids of a batch read now."""
        self._child.ask({"what": "rows", "batch": batch})
        found: Array = np.fromfile(self._child.files / "found", np.float32)
        return found.reshape(self._shape)

    def seconds(self, what: str, batch: int = 0) -> float:
        """Of an ``exchange`` of a batch's rows, a ``copy`` of as many bytes, or a ``message``."""
        return float(self._child.ask({"what": what, "batch": batch}))

    def extra_bytes(self) -> int:
        """The most that a rank took, beside its rows and their state."""
        return int(self._child.ask({"what": "extra"}))


_running: list[Child] = []


def started(count: int, threads: int, *, comm: bool = True) -> Child:
    """So many processes, of so many threads each."""
    found = launcher()
    assert found is not None
    environment = {"PYEMBED_BENCH_COMM": "1" if comm else ""}
    child = Child(OURS, sys.executable, threads, environment, [found, "-n", str(count)])
    _running.append(child)
    return child


def started_torchrec(python: str) -> Child:
    """Two processes of TorchRec's, of one thread each."""
    child = Child(TORCHREC, python, 1)
    _running.append(child)
    return child


def forget() -> None:
    """End all processes, and with them the tables that they hold."""
    while _running:
        _running.pop().end()
