"""Saving layers and optimizers."""

from __future__ import annotations

import functools
import os
from typing import Any

from numpy.typing import NDArray

from pyembed.io import _safetensors
from pyembed.io._contents import KEY, Contents, SavedLayer, SavedOptimizer, SavedTable, plain
from pyembed.io._objects import Objects
from pyembed.io._replacing import replacing
from pyembed.layers.base import TableLayer
from pyembed.optimizers.base import SparseOptimizer


def save(path: str | os.PathLike[str], **objects: TableLayer | SparseOptimizer) -> None:
    """Save layers and optimizers in one file, for `load` to go on from bit for bit.

    The file is of the safetensors format: other programs find a table as ``"emb.embeddings"``, if
    ``emb`` is its layer's name here, and the state of an optimizer's table, counted from 0, as
    ``"opt.0.m"`` and the like. Layers that share a table store it once, under the first name.

    Whenever the process or the machine stops, `path` is the old file or the new one, whole: the
    new one is written beside it, put on the disk, and renamed. It has the old one's permissions.

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
    leaves the unfinished file, ``.NAME.….tmp``, beside `path`.

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
    if "mmap" in objects:
        raise ValueError("no object can be named 'mmap', which is an argument of load")
    given = Objects.of(objects)
    given.at_rest(functools.partial(_save, path, given))


def _save(path: str | os.PathLike[str], given: Objects) -> None:
    try:
        contents, arrays = _described(given)
        metadata = {KEY: contents.to_json()}
    except RecursionError:
        raise ValueError("a configuration is nested too deeply to be saved") from None
    # Lookups with a max_norm write rows: not while these are written to the file.
    with replacing(path) as file, given.held(alone=False):
        _safetensors.write(file, arrays, metadata)


def _described(given: Objects) -> tuple[Contents, dict[str, NDArray[Any]]]:
    """Return what the objects are, and their live arrays by name, with all rows up to date."""
    contents = Contents({}, {}, {})
    arrays: dict[str, NDArray[Any]] = {}
    for name in given.optimizers:
        given.layers_of(name)  # refused before any row is touched
    for name, layer in given.layers.items():
        table = given.first_with_table(layer) or name
        config = plain(layer.get_config())
        contents.layers[name] = SavedLayer(type(layer).__name__, table, config)
        if table == name:
            contents.tables[name] = SavedTable()
            arrays[f"{name}.embeddings"] = layer.embeddings
            arrays[f"{name}.frozen_rows"] = layer.frozen_rows
    for name, optimizer in given.optimizers.items():
        state = optimizer.state_dict()
        steps = [table.pop("t") for table in state["tables"]]
        config = plain(state["config"])
        contents.optimizers[name] = SavedOptimizer(config, given.layers_of(name), steps)
        for number, table in enumerate(state["tables"]):
            arrays |= {f"{name}.{number}.{key}": array for key, array in table.items()}
    return contents, arrays
