"""Saving layers and optimizers."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping

from pyembed.io import _safetensors
from pyembed.io._contents import KEY
from pyembed.io._describing import described
from pyembed.io._objects import Objects, ranks_of
from pyembed.io._parts import remove_others
from pyembed.io._replacing import replacing
from pyembed.io._saving_parts import save_parts
from pyembed.layers.base import TableLayer
from pyembed.optimizers.base import SparseOptimizer
from pyembed.sharding import Together


def save(path: str | os.PathLike[str], **objects: TableLayer | SparseOptimizer) -> None:
    """Save layers and optimizers in one file, for `load` to go on from bit for bit.

    The file is of the safetensors format: other programs find a table as ``"emb.embeddings"``, if
    ``emb`` is its layer's name here, and the state of an optimizer's table, counted from 0, as
    ``"opt.0.m"`` and the like. Layers that share a table store it once, under the first name.

    Whenever the process or the machine stops, `path` is the old file or the new one, whole: the
    new one is written beside it, put on the disk, and renamed. It has the old one's permissions.

    Where layers have a `comm`, all ranks call this together. Each writes the rows that it has to a
    file of its own, ``NAME-….safetensors`` in the same folder, which all ranks must see; `path` is
    then a small file that refers to them, and comes last. Move or copy it together with them. Any
    number of ranks loads it, and so does one process.

    Parameters
    ----------
    path : path-like
        By habit it ends with ``.safetensors``. A link stays one: the file that it leads to is
        replaced.
    **objects : layer or optimizer
        By the names that they have in the file. An optimizer's layers, or others on their tables,
        must be among them. Steps in other threads wait meanwhile.

    Raises
    ------
    OSError
        If the system refuses something, or `path` is there and no regular file: a folder, a pipe, a
        device.
    TypeError
        If an object is neither a layer nor an optimizer.
    ValueError
        If there are none, a layer of an optimizer is not among them, a configuration is nested too
        deeply, or there are more than a million rows of no elements. Whatever is raised, the old
        file stays.

    Notes
    -----
    Callables of the user's own (initializers, regularizers, constraints, learning rates) and
    classes made from those here are not saved, but their names are: `load` into objects that have
    them.

    Tables are written as they lie in memory, without a copy. A process that is killed meanwhile
    leaves the unfinished file, ``.NAME.….tmp``, beside `path`. What several ranks leave that are
    killed is removed by their next save.

    Of a layer without a `comm` beside others with one, rank 0's rows are written. Whatever is
    raised on one rank is raised on all. One job at a time saves to a `path`.

    Examples
    --------
    >>> import pyembed as pe
    >>> emb = pe.Embedding(1000, 4, seed=0)
    >>> opt = pe.SparseAdam(emb)
    >>> pe.save("words.safetensors", emb=emb, opt=opt)  # doctest: +SKIP
    >>> pe.load("words.safetensors", emb=emb, opt=opt)  # doctest: +SKIP
    """
    if not objects:
        raise ValueError("there is nothing to save: name layers and optimizers, as in emb=emb")
    ranks = ranks_of(objects.values())
    given = ranks.agreed(lambda: _checked(objects))
    if isinstance(ranks, Together) and ranks.comm.size > 1:
        given.at_rest(functools.partial(save_parts, path, given, ranks))
    else:
        given.at_rest(functools.partial(_save, path, given))


def _checked(objects: Mapping[str, TableLayer | SparseOptimizer]) -> Objects:
    if "mmap" in objects:
        raise ValueError("no object can be named 'mmap', which is an argument of load")
    return Objects.of(objects)


def _save(path: str | os.PathLike[str], given: Objects) -> None:
    about = described(given)
    metadata = {KEY: about.to_json()}
    # Lookups with a max_norm write rows: not while these are written to the file.
    with replacing(path) as file, given.held(alone=False):
        _safetensors.write(file, about.arrays_of(*about.arrays), metadata)
    remove_others(os.path.realpath(path), [])
