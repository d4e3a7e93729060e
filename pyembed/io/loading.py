"""Loading layers and optimizers."""

from __future__ import annotations

import os
from typing import BinaryIO, cast

from pyembed.io._checkpoint import Checkpoint, naming
from pyembed.io._making import made
from pyembed.io._objects import Objects
from pyembed.io._restoring import restore
from pyembed.layers.base import TableLayer
from pyembed.optimizers.base import SparseOptimizer


def load(
    path: str | os.PathLike[str], *, mmap: bool = False, **objects: TableLayer | SparseOptimizer
) -> dict[str, TableLayer | SparseOptimizer]:
    """Load what `save` saved: as new objects, or into objects that there are.

    Training goes on bit for bit, at any number of threads.

    Parameters
    ----------
    path : path-like
    mmap : bool
        Whether tables are maps of the file, read-only and not trainable, which takes no time and no
        memory whatever their size: rows are read when they are looked up. Optimizers are left out.
        Only for new objects.
    **objects : layer or optimizer
        Where given, those objects of the file that have their names are loaded into them, in place,
        and the others left out. An optimizer needs its layers beside it.

        A layer takes over its table and the rows that are frozen; an optimizer its state, its step
        counts and a learning rate that is a number. All their other arguments must be those of the
        file, but for a layer's `trainable`, `name`, `seed` and `embeddings_initializer`. A callable
        of the user's own, in the file known by name alone, must be a callable here, and is kept.

    Returns
    -------
    dict
        The objects by name.

    Raises
    ------
    OSError
        If the file cannot be read.
    TypeError
        If a dtype is another one, or an object is neither a layer nor an optimizer.
    ValueError
        If the file is no checkpoint, of another version, damaged or cut short; or if a name, a
        shape, an argument or a step count does not fit, or a new object would need a callable.
        Whatever is refused, nothing has changed.
    """
    given = Objects.of(objects)
    if objects and mmap:
        raise ValueError("mmap=True makes new layers: no objects can be given with it")
    with open(path, "rb", buffering=0) as file, naming(os.fspath(path)):
        saved = Checkpoint(cast(BinaryIO, file))
        if not objects:
            return made(saved, mmap)
        restore(saved, given)
        return dict(objects)
