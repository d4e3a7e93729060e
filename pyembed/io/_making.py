"""Loading new objects."""

from __future__ import annotations

import inspect
from typing import Any

from pyembed import _checks, _core
from pyembed.io._checkpoint import Checkpoint, Filled
from pyembed.io._contents import callables_in, is_callable
from pyembed.io._errors import naming, short, shown
from pyembed.io._restoring import Writing, checked_state
from pyembed.layers import Embedding, EmbeddingBag
from pyembed.layers.base import TableLayer
from pyembed.optimizers.base import SparseOptimizer, registry
from pyembed.table import Shared

_LAYERS: dict[str, type[TableLayer]] = {cls.__name__: cls for cls in (Embedding, EmbeddingBag)}


def made(saved: Checkpoint, mmap: bool) -> dict[str, TableLayer | SparseOptimizer]:
    """Make the layers of a file, on maps of their tables where `mmap`, else its optimizers too.

    Raises
    ------
    TypeError, ValueError
        If one cannot be made from what the file says.
    """
    layers: dict[str, TableLayer] = {}
    for name in saved.contents.layers:
        with naming(short(name)):
            layers[name] = _layer(saved, name, layers, mmap)
    if mmap:
        return {**layers}
    trained: dict[str, SparseOptimizer] = {}
    for name in saved.contents.optimizers:
        with naming(short(name)):
            trained[name] = _optimizer(saved, name, layers)
    for name, entry in saved.contents.layers.items():
        if entry.table == name:  # an optimizer may hold one that became untrainable
            layers[name].trainable = entry.config["trainable"]
    return {**layers, **trained}


def _layer(saved: Checkpoint, name: str, layers: dict[str, TableLayer], mmap: bool) -> TableLayer:
    entry = saved.contents.layers[name]
    cls = _known(_LAYERS, entry.class_name)
    config = _arguments(entry.config)
    config["norm_type"] = float(config["norm_type"])
    if entry.table != name:
        own = inspect.signature(cls.sharing).parameters.keys() & config.keys()
        shared: TableLayer = cls.sharing(
            layers[entry.table], **{argument: config[argument] for argument in own}
        )
        return shared
    dtype = _checks.one_of(config["dtype"], "dtype", _core.elements)
    shape = (config["input_dim"], config["output_dim"])
    rows = range(_checks.integer(config["input_dim"], "input_dim", 1))
    array = saved.table(name, shape, dtype, rows)
    frozen_rows = saved.frozen_rows(name, rows)
    if mmap:
        table = saved.mapped(array)
    else:
        table = _core.zeros(shape, dtype, promised=True)
        saved.read([Filled(array, name, rows, table)])
    layer: TableLayer = cls(**{**config, "trainable": not mmap}, weights=Shared(table))
    layer.freeze(frozen_rows)
    return layer


def _optimizer(saved: Checkpoint, name: str, layers: dict[str, TableLayer]) -> SparseOptimizer:
    entry = saved.contents.optimizers[name]
    config = _arguments(entry.config)
    cls = _known(registry, config.pop("class_name"))
    optimizer: SparseOptimizer = cls([layers[layer] for layer in entry.layers], **config)
    writing = Writing(saved)
    writing.add_optimizer(name, optimizer, *checked_state(saved, name, optimizer))
    writing.read()
    writing.finish()
    return optimizer


def _known(classes: dict[str, Any], class_name: str) -> Any:
    if class_name not in classes:
        raise ValueError(
            f"it is of the class {shown(class_name)}, which pyembed does not have: load into an "
            "object"
        )
    return classes[class_name]


def _arguments(config: dict[str, Any]) -> dict[str, Any]:
    for name, value in config.items():
        for found in callables_in(value):
            at = f"{short(name)}=" if is_callable(value) else f"a callable in its {short(name)}, "
            raise ValueError(
                f"it was saved with {at}{short(found)}, which no file can hold: load into an "
                "object that has it"
            )
    return dict(config)
