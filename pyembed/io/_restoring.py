"""Loading into objects that there are: all is checked before anything is written."""

from __future__ import annotations

from typing import Any

from pyembed.io._checkpoint import Checkpoint, naming
from pyembed.io._contents import is_callable, plain
from pyembed.io._objects import Objects
from pyembed.layers.base import TableLayer
from pyembed.optimizers.base import SparseOptimizer
from pyembed.schedules import LearningRate

# What an existing layer keeps: it does not change what lookups and steps do with the table.
# (An initializer without a seed differs from process to process.)
_KEPT = frozenset(
    {"embeddings_initializer", "input_dim", "name", "output_dim", "seed", "trainable"}
)


def restore(saved: Checkpoint, given: Objects) -> None:
    """Load into the objects that have their names in the file.

    Raises
    ------
    TypeError, ValueError
        If something does not fit: nothing has changed then.
    """
    with given.at_rest():
        _check_names(saved, given)
        for name, layer in given.layers.items():
            with naming(name):
                _check_layer(saved, name, layer)
        _check_sharing(saved, given)
        frozen = {name: saved.frozen_rows(name) for name in given.layers}
        states = {}
        for name, optimizer in given.optimizers.items():
            with naming(name):
                _check_tables(saved, given, name)
                states[name] = checked_state(saved, name, optimizer)
        # From here on nothing can be refused.
        for name, layer in given.layers.items():
            if given.first_with_table(layer) == name:
                table = saved.contents.layers[name].table
                saved.reader.read_into(f"{table}.embeddings", layer.embeddings)
                layer.unfreeze()
                layer.freeze(frozen[name])
        for name, optimizer in given.optimizers.items():
            read_state(saved, name, optimizer, states[name])


def checked_state(
    saved: Checkpoint, name: str, optimizer: SparseOptimizer
) -> tuple[LearningRate, list[int]]:
    """Return what `read_state` needs, if the optimizer is one of the file's configuration."""
    config = dict(saved.contents.optimizers[name].config)
    if is_callable(config["learning_rate"]):
        if not callable(optimizer.learning_rate):
            raise ValueError(
                f"it was saved with learning_rate={_shown(config['learning_rate'])}, but here it "
                f"is {optimizer.learning_rate!r}: set it to a callable first"
            )
        config["learning_rate"] = optimizer.learning_rate
    return optimizer._checked_state(config, saved.state(name))


def read_state(
    saved: Checkpoint,
    name: str,
    optimizer: SparseOptimizer,
    checked: tuple[LearningRate, list[int]],
) -> None:
    """Read an optimizer's arrays into it."""
    optimizer._restore(
        checked,
        lambda number, array, live: saved.reader.read_into(f"{name}.{number}.{array}", live),
    )


def _check_names(saved: Checkpoint, given: Objects) -> None:
    for known, names, kind in (
        (saved.contents.layers, given.layers, "layer"),
        (saved.contents.optimizers, given.optimizers, "optimizer"),
    ):
        for name in names:
            if name not in known:
                raise ValueError(f"there is no {kind} {name!r}; there are {_listed(known)}")


def _check_layer(saved: Checkpoint, name: str, layer: TableLayer) -> None:
    if not layer._table.array.flags.writeable:
        raise ValueError("the table here is read-only: it cannot be loaded into")
    saved.table(name, (layer.input_dim, layer.output_dim), layer.dtype)
    entry = saved.contents.layers[name]
    here = {"class_name": type(layer).__name__, **plain(layer.get_config())}
    there = {"class_name": entry.class_name, **entry.config}
    for argument, value in here.items():
        was = there[argument]
        if argument in _KEPT or value == was or (is_callable(value) and is_callable(was)):
            continue
        raise ValueError(
            f"it was saved with {argument}={_shown(was)}, but here it has "
            f"{argument}={_shown(value)}"
        )


def _check_sharing(saved: Checkpoint, given: Objects) -> None:
    """Refuse layers that share a table in one place alone, in the file or here."""
    first: dict[str, str] = {}
    for name, layer in given.layers.items():
        there = first.setdefault(saved.contents.layers[name].table, name)
        here = given.first_with_table(layer)
        if there != here:
            other, where = (there, "in the file") if here == name else (here, "here")
            raise ValueError(f"{other} and {name} share a table {where} alone")


def _check_tables(saved: Checkpoint, given: Objects, optimizer: str) -> None:
    layers = saved.contents.layers
    there = saved.contents.optimizers[optimizer].layers
    here = given.layers_of(optimizer)
    if [layers[name].table for name in there] != [layers[name].table for name in here]:
        raise ValueError(f"it updates {_listed(there)} in the file, but here {_listed(here)}")


def _listed(names: Any) -> str:
    return ", ".join(names) or "none"


def _shown(value: Any) -> str:
    return str(value["callable"]) if is_callable(value) else repr(value)
