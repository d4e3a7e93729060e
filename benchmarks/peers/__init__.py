"""The other libraries: which are here, in which version, with as many threads as we have.

One that is not installed is named wherever its figures would stand, with the command that installs
it. None is imported before it is asked for, so that a process which measures our memory does not
hold theirs.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import pyembed as pe
from data import Ids
from peers import keras_parent

# A peer by the name of its module, and the command that installs the version quoted.
INSTALL = {
    "torch": "pip install torch==2.13.0",
    "fbgemm_gpu": "pip install --no-deps fbgemm-gpu-cpu==1.8.0, beside torch==2.13.0",
    "numba": "pip install '.[bench]'",
    "pandas": "pip install pandas",
    "gensim": "pip install gensim==4.4.0",
    "fasttext": "pip install fasttext-community==0.11.9",
    "usearch": "pip install '.[ann]'",
    "tokenizers": "pip install '.[sentences]'",
    "model2vec": "pip install model2vec==0.10.0",
    "keras": "python -m venv K && K/bin/pip install keras==3.15.1 tensorflow-cpu==2.21.0 "
    "and --keras-python K/bin/python",
}


@cache
def _load(name: str) -> Any:
    """The module of a peer, or what its import raised."""
    with warnings.catch_warnings():  # of its own, as it is imported
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except Exception as error:  # anything, where it does not fit the libraries it finds
            return error


def find(name: str) -> Any:
    """The module of a peer, or None if it is not installed or does not load."""
    module = _load(name)
    return None if isinstance(module, Exception) else module


def torch() -> Any:
    """PyTorch, or None."""
    return find("torch")


def loops() -> Any:
    """Our loops for Numba, or None."""
    return find("numba") and find("peers.numba_loops")


def tensors(batches: Sequence[Ids]) -> list[Any]:
    """The batches as PyTorch's tensors, on the same memory."""
    return [torch().from_numpy(ids) for ids in batches]


def use_threads(threads: int) -> None:
    """Give every side the same number of threads."""
    pe.set_num_threads(threads)
    keras_parent.use_threads(threads)
    if (module := torch()) is not None:  # FBGEMM's too
        module.set_num_threads(threads)
    if (module := find("numba")) is not None:
        module.set_num_threads(threads)


def version(name: str) -> str | None:
    """A peer's version, or None if it is not installed or does not load."""
    if name == "keras":
        return keras_parent.version()
    module = find(name)
    return None if module is None else getattr(module, "__version__", "installed")


def versions() -> dict[str, str | None]:
    """Each peer's version, or None."""
    return {name: version(name) for name in INSTALL}


def missing(names: Sequence[str]) -> list[str]:
    """A line for each of these peers that is not installed."""
    return [
        f"{name}: {_reason(name)}, so not timed ({INSTALL[name]})"
        for name in names
        if version(name) is None
    ]


def _reason(name: str) -> str:
    if name == "keras" or isinstance(_load(name), ModuleNotFoundError):
        return "not installed"
    return f"does not load ({_load(name)!r})"
