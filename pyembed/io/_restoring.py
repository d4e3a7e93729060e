"""Loading into objects that there are: all is checked before anything is written."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyembed import _core, schedules
from pyembed.io._checkpoint import Checkpoint, Filled
from pyembed.io._contents import callables_in, is_alike, is_callable, plain
from pyembed.io._errors import naming, short, shown
from pyembed.io._objects import Objects, rows_here
from pyembed.layers.base import TableLayer
from pyembed.optimizers.base import SparseOptimizer
from pyembed.schedules import LearningRate
from pyembed.sharding import Ranks
from pyembed.table import Table

# What an existing layer keeps: it does not change what lookups and steps do with the table.
# (An initializer without a seed differs from process to process.)
_KEPT = frozenset(
    {"embeddings_initializer", "input_dim", "name", "output_dim", "seed", "trainable"}
)


def restore(saved: Checkpoint, given: Objects, ranks: Ranks, where: str) -> None:
    """Load into the objects that have their names in the file, all of it or nothing.

    Parameters
    ----------
    saved : Checkpoint
    given : Objects
    ranks : Ranks
        Those that the objects are of: each loads its rows, all of them or none.
    where : str
        What errors call the file.

    Raises
    ------
    TypeError, ValueError
        If something does not fit: nothing has changed then.
    """
    given.in_one_piece(functools.partial(_restore, saved, given, ranks, where))


def _restore(saved: Checkpoint, given: Objects, ranks: Ranks, where: str) -> None:
    def check() -> Writing:
        with naming(where):
            return _checked(saved, given)

    def read() -> None:
        with naming(where):
            writing.read()

    writing = ranks.agreed(check)
    with given.held(alone=True):  # no lookup shall see half of it
        ranks.agreed(read)
    writing.finish()


def _checked(saved: Checkpoint, given: Objects) -> Writing:
    """Return what is to be written, once all of it fits and has its memory."""
    _check_names(saved, given)
    frozen = {}
    for name, layer in given.layers.items():
        with naming(short(name)):
            _check_layer(saved, name, layer)
            frozen[name] = saved.frozen_rows(name, rows_here(layer))
    _check_sharing(saved, given)
    checked = {}
    for name, optimizer in given.optimizers.items():
        with naming(short(name)):
            _check_tables(saved, given, name)
            checked[name] = checked_state(saved, name, optimizer)
    writing = Writing(saved)
    for name, layer in given.layers.items():
        if given.first_with_table(layer) == name:
            writing.add_layer(saved.contents.layers[name].table, layer, frozen[name])
    for name, optimizer in given.optimizers.items():
        writing.add_optimizer(name, optimizer, *checked[name])
    writing.take_memory()
    return writing


class Writing:
    """What is written, and where to: all of it is checked.

    To add something brings its rows up to date, and changes nothing else.

    Parameters
    ----------
    saved : Checkpoint
    """

    def __init__(self, saved: Checkpoint) -> None:
        self._saved = saved
        self._filled: list[Filled] = []
        self._frozen: list[tuple[Table, NDArray[np.int64]]] = []
        self._optimizers: list[tuple[SparseOptimizer, LearningRate, list[int]]] = []

    def add_layer(self, table: str, layer: TableLayer, frozen_rows: NDArray[np.int64]) -> None:
        """Add a layer's table, by its name in the file, and which of the rows here are frozen."""
        part = layer._table.part
        self._filled.append(Filled(f"{table}.embeddings", table, rows_here(layer), layer.local))
        self._frozen.append((part, frozen_rows))

    def add_optimizer(
        self, name: str, optimizer: SparseOptimizer, learning_rate: LearningRate, steps: list[int]
    ) -> None:
        """Add the state of an optimizer, under its name in the file."""
        contents = self._saved.contents
        names = contents.optimizers[name].layers
        of_tables = zip(optimizer.tables, names, optimizer._live_arrays(), strict=True)
        for number, (layer, layer_name, arrays) in enumerate(of_tables):
            table, rows = contents.layers[layer_name].table, rows_here(layer)
            self._filled += [
                Filled(f"{name}.{number}.{key}", table, rows, live) for key, live in arrays.items()
            ]
        self._optimizers.append((optimizer, learning_rate, steps))

    def take_memory(self) -> None:
        """Take the memory that writing needs. Changes nothing."""
        self._saved.make_room(self._filled)
        for table, rows in self._frozen:
            if len(rows) > 0:
                table.reserve_frozen()

    def read(self) -> None:
        """Fill all arrays. Nothing is refused, but the file may fail."""
        self._saved.read(self._filled)

    def finish(self) -> None:
        """Take over what is no array: frozen rows, step counts, learning rates. Cannot fail."""
        for table, rows in self._frozen:
            _core.Table.unfreeze(table)  # those of Table wait until the tables are at rest
            _core.Table.freeze(table, rows)
        for optimizer, learning_rate, steps in self._optimizers:
            optimizer._go_on_from(learning_rate, steps)


def checked_state(
    saved: Checkpoint, name: str, optimizer: SparseOptimizer
) -> tuple[LearningRate, list[int]]:
    """Return the learning rate and the step counts of a state that fits the optimizer."""
    config = dict(saved.contents.optimizers[name].config)
    here = optimizer.get_config()
    rate = config["learning_rate"]
    why = (
        f"it was saved with learning_rate={_shown(rate)}, but here it is "
        f"{shown(optimizer.learning_rate)}: set it to one with a callable there first"
    )
    config["learning_rate"] = _with_callables(rate, optimizer.learning_rate, why)
    for argument, value in plain(here).items():
        if argument == "learning_rate" or argument not in config:
            continue
        if is_alike(config[argument], value):
            config[argument] = here[argument]  # which JSON may not hold
    rows_of = [rows_here(layer) for layer in optimizer.tables]
    return optimizer._checked_state(config, saved.state(name, rows_of))


def _with_callables(value: Any, here: Any, why: str) -> Any:
    """Return a plain value with the callables that `here` has in the same places.

    Raises
    ------
    ValueError
        That says `why`, if there is none.
    """
    if is_callable(value):
        if not callable(here) and not isinstance(here, dict):  # a schedule's configuration
            raise ValueError(why)
        return here
    if isinstance(value, dict):
        config = schedules.serialize(here)
        places = config if isinstance(config, dict) else {}
        return {
            name: _with_callables(inner, places.get(name), why) for name, inner in value.items()
        }
    return value


def _check_names(saved: Checkpoint, given: Objects) -> None:
    for known, names, kind in (
        (saved.contents.layers, given.layers, "layer"),
        (saved.contents.optimizers, given.optimizers, "optimizer"),
    ):
        for name in names:
            if name not in known:
                raise ValueError(f"there is no {kind} {shown(name)}; there are {_listed(known)}")


def _check_layer(saved: Checkpoint, name: str, layer: TableLayer) -> None:
    part = layer._table.part
    if not part.array.flags.writeable:
        raise ValueError("the table here is read-only: it cannot be loaded into")
    saved.table(name, (layer.input_dim, layer.output_dim), layer.dtype, rows_here(layer))
    entry = saved.contents.layers[name]
    here = {"class_name": type(layer).__name__, **plain(layer.get_config())}
    there = {"class_name": entry.class_name, **entry.config}
    for argument, value in here.items():
        was = there[argument]
        if argument not in _KEPT and not is_alike(value, was):
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
    return short(", ".join(names)) or "none"


def _shown(value: Any) -> str:
    """Return a plain value as errors show it: a callable by its name."""
    return short(*callables_in(value)) if is_callable(value) else shown(value)
