"""Saving what several ranks have rows of."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyembed.io import _safetensors
from pyembed.io._checkpoint import parts_of
from pyembed.io._contents import KEY
from pyembed.io._describing import Described, described
from pyembed.io._objects import Objects
from pyembed.io._parts import PART_KEY, part_label, part_names, remove, remove_others
from pyembed.io._replacing import creating, replaced, replacing
from pyembed.sharding import Together


def save_parts(path: str | os.PathLike[str], given: Objects, ranks: Together) -> None:
    """Save the objects: each rank its part, and then rank 0 the index that refers to them.

    The old checkpoint stays as it is until the new index takes its place, in one instant.

    Raises
    ------
    Exception
        On all ranks what was raised on any.
    """
    rank, size = ranks.comm.rank, ranks.comm.size
    ranks.agree_on("the checkpoint", lambda: {"objects": [*given.layers, *given.optimizers]})
    about, target, mode = ranks.agreed(lambda: (described(given), *replaced(path)))
    ranks.agree_on("the checkpoint", lambda: _the_same_everywhere(about))
    names = part_names(target, _drawn_by_rank_0(ranks), size)
    folder = os.path.dirname(target)
    own = os.path.join(folder, names[rank])

    def write_part() -> int:
        # Tables that are not shared out are rank 0's.
        arrays = about.arrays_of(*(about.contents.tables if rank == 0 else about.sharded))
        with creating(own, mode) as file, given.held(alone=False):
            _safetensors.write(file, arrays, {PART_KEY: part_label(names, rank)})
        return os.stat(own).st_size

    def write_index() -> None:
        if rank != 0:
            return
        _check_parts(folder, names, sizes)
        with replacing(path) as file:
            _safetensors.write(file, {}, {KEY: about.to_json(names)})

    try:
        size_of_own = ranks.agreed(write_part)
        sizes = ranks.comm.counts(np.full(size, size_of_own, np.int64))
        ranks.agreed(write_index)
    except BaseException:
        with contextlib.suppress(OSError):  # or nobody knows
            if rank == 0 and parts_of(target) != names:
                remove(folder, names)
        raise
    if rank == 0:
        # No rank is ahead: the next save begins together, before anybody writes a part.
        remove_others(target, names)


def _the_same_everywhere(about: Described) -> dict[str, Any]:
    """Return what all ranks must describe alike; of other layers, only what they are."""
    layers, optimizers = about.contents.layers, about.contents.optimizers
    told: dict[str, Any] = {}
    for name, layer in layers.items():
        told[name] = layer.class_name, layer.table
        if layer.table in about.sharded:
            told |= {f"{name}.{of}": value for of, value in layer.config.items() if of != "name"}
    for name, optimizer in optimizers.items():
        told[name] = optimizer.layers, optimizer.steps
        told |= {f"{name}.{of}": value for of, value in optimizer.config.items()}
    return told


def _drawn_by_rank_0(ranks: Together) -> int:
    size = ranks.comm.size
    return int(ranks.comm.counts(np.full(size, secrets.randbits(62), np.int64))[0])


def _check_parts(folder: str, names: Sequence[str], sizes: NDArray[np.int64]) -> None:
    """Refuse parts that are not in the folder as their ranks wrote them."""
    for rank, (name, size) in enumerate(zip(names, sizes.tolist(), strict=True)):
        path = os.path.join(folder, name)
        found = os.stat(path).st_size if os.path.exists(path) else None
        if found != size:
            raise OSError(
                f"rank {rank} wrote {size} bytes, of which rank 0 finds "
                f"{'no file' if found is None else f'{found} bytes'} {path!r}: all ranks must see "
                "one folder"
            )
