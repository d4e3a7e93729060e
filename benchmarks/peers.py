"""The other libraries: which are here, in which version, with as many threads as we have.

One that is not installed is named wherever its figures would stand. None is imported before it is
asked for, so that a process which measures our memory does not hold theirs.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import cache
from typing import Any

import pyembed as pe
from streams import Ids

# A peer by the name of its package, and the version that its figures are quoted for.
PINNED = {"torch": "2.13.0"}


@cache
def find(name: str) -> Any:
    """The module of a peer, or None if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def torch() -> Any:
    """PyTorch, or None."""
    return find("torch")


def tensors(batches: Sequence[Ids]) -> list[Any]:
    """The batches as PyTorch's tensors, on the same memory."""
    return [torch().from_numpy(ids) for ids in batches]


def use_threads(threads: int) -> None:
    """Give every side the same number of threads."""
    pe.set_num_threads(threads)
    if (module := torch()) is not None:
        module.set_num_threads(threads)


def versions() -> dict[str, str | None]:
    """Each peer's version, or None if it is not installed."""
    return {name: getattr(find(name), "__version__", None) for name in PINNED}


def missing() -> list[str]:
    """A line for each peer that is not installed."""
    return [
        f"{name}: not installed, so not timed (pip install {name}=={pinned})"
        for name, pinned in PINNED.items()
        if find(name) is None
    ]
