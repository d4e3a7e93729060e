"""Fits of Keras models, each backend in a process of its own."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from data import Array, Ids
from peers import keras_parent
from peers.keras_parent import Child

SCRIPT = Path(__file__).with_name("keras_fit_child.py")
INSTALL = {
    "torch": "pip install torch==2.13.0 keras==3.15.1 .",
    "tensorflow": "python -m venv K && K/bin/pip install keras==3.15.1 tensorflow-cpu==2.21.0 . "
    "and --keras-python K/bin/python",
}


def python_of(backend: str) -> str | None:
    """An interpreter that has Keras, this backend and pyembed, or None."""
    return next((python for python in keras_parent.pythons() if _has(python, backend)), None)


@cache
def _has(python: str, backend: str) -> bool:
    asked = f"import importlib.util as u; assert u.find_spec({backend!r}) and u.find_spec('keras')"
    command = [python, "-c", f"{asked}; import pyembed"]
    return subprocess.run(command, capture_output=True, cwd=SCRIPT.parent).returncode == 0


class Fits:
    """A process, and the models that it has."""

    def __init__(self, backend: str, threads: int) -> None:
        python = python_of(backend)
        assert python is not None
        environment = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        self._child = Child(SCRIPT, python, threads, environment)

    def make(self, names: list[str], rows: int, dim: int, length: int) -> None:
        """Make models of the names, with the same weights, in the place of those there are."""
        order = {"what": "make", "names": names, "rows": rows, "dim": dim, "length": length}
        self._child.ask(order)

    def fit(self, name: str, ids: Ids, steps: int) -> float:
        """Train one; the seconds of a step."""
        return float(self._told("fit", name, ids, steps))

    def peak(self, name: str, ids: Ids, steps: int) -> int:
        """Train one; the most memory meanwhile, above that before it was made."""
        return int(self._told("peak", name, ids, steps))

    def losses(self, name: str) -> Array:
        """The loss of each fit so far."""
        found: Array = self._child.ask({"what": "losses", "name": name})
        return found

    def _told(self, what: str, name: str, ids: Ids, steps: int) -> float:
        ids.astype("int32").tofile(self._child.files / "ids")
        return self._child.ask({"what": what, "name": name, "steps": steps})

    def end(self) -> None:
        """End the process."""
        self._child.end()


_fits: Fits | None = None


def started(backend: str, threads: int) -> Fits:
    """A fresh process, in the place of the one before."""
    global _fits
    forget()
    _fits = Fits(backend, threads)
    return _fits


def forget() -> None:
    """End the process, and with it the tables that it holds."""
    global _fits
    if _fits is not None:
        _fits.end()
    _fits = None
