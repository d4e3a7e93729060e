"""Loading layers and optimizers."""

from __future__ import annotations

import contextlib
import io
import os
from typing import BinaryIO, cast

from pyembed.io._checkpoint import Checkpoint
from pyembed.io._errors import naming
from pyembed.io._making import made
from pyembed.io._objects import Objects, ranks_of
from pyembed.io._replacing import check_regular
from pyembed.io._restoring import restore
from pyembed.layers.base import TableLayer
from pyembed.optimizers.base import SparseOptimizer


def load(
    path: str | os.PathLike[str], *, mmap: bool = False, **objects: TableLayer | SparseOptimizer
) -> dict[str, TableLayer | SparseOptimizer]:
    """Load what `save` saved: as new objects, or into objects that there are.

    Training goes on bit for bit, at any number of threads.

    Where layers have a `comm`, all ranks call this together, and each loads the rows that it has,
    however many ranks saved them. Whatever is raised on one rank is raised on all. New objects have
    whole tables.

    Parameters
    ----------
    path : path-like
        A name; no open file, and no descriptor.
    mmap : bool
        Whether tables are maps of the file, read-only and not trainable, which takes no time and no
        memory whatever their size: rows are read when they are looked up. Optimizers are left out.
        Only for new objects. See the notes.
    **objects : layer or optimizer
        Where given, those objects of the file that have their names are loaded into them, in place,
        and the others left out. An optimizer needs its layers beside it.

        A layer takes over its table and the rows that are frozen; an optimizer its state, its step
        counts and a learning rate that is a number. All their other arguments must be those of the
        file, but for a layer's `trainable`, `name`, `seed` and `embeddings_initializer`. A callable
        of the user's own, in the file known by name alone, must be a callable here, and is kept; so
        is one that a schedule has.

    Returns
    -------
    dict
        The objects by name.

    Raises
    ------
    OSError
        If the file cannot be read, or is no regular one.
    TypeError
        If a dtype is another one, or an object is neither a layer nor an optimizer.
    ValueError
        If the file is no checkpoint, of another version, damaged or cut short; or if a name, a
        shape, an argument or a step count does not fit, or a new object would need a callable.
        Whatever is refused, nothing has changed.

    Notes
    -----
    A file is checked before anything is made or written: what is allocated is of its size, and that
    of the objects given. What can fail once these are being written is the reading itself: where a
    disk does, or another program cuts the file short in that moment, they are partly written, and
    are to be loaded again. A signal such as Ctrl-C is raised once they are whole, and lookups in
    other threads wait until then.

    A map shows the file as it is. `save` never writes into a file, but puts another in its place,
    and the map keeps the old one. Where another program changes the file itself, rows change; where
    one cuts it short, the system ends the process at the next lookup of a row that is gone
    (SIGBUS). That is so of every memory map, and cannot be caught: map files that stay as they are.
    """
    ranks = ranks_of(objects.values())

    def checked() -> tuple[Objects, str]:
        if objects and mmap:
            raise ValueError("mmap=True makes new layers: no objects can be given with it")
        return Objects.of(objects), os.fsdecode(path)  # no number: a descriptor would be closed

    given, where = ranks.agreed(checked)
    with contextlib.ExitStack() as opened:
        saved = ranks.agreed(lambda: _opened(where, opened))
        if not objects:
            with naming(where):
                return made(saved, mmap)
        ranks.agree_on("what is loaded", lambda: {"objects": [*objects], "file": saved.digest})
        restore(saved, given, ranks, where)
        return dict(objects)


def _opened(where: str, opened: contextlib.ExitStack) -> Checkpoint:
    """Return the checkpoint of a path, which `opened` closes."""
    check_regular(where)  # or opening it might wait for ever
    file = opened.enter_context(io.FileIO(where))
    folder = os.path.dirname(os.path.realpath(where))
    with naming(where):
        return Checkpoint(cast(BinaryIO, file), folder)
