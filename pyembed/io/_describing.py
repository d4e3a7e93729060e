"""What a save writes of the objects that it is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from pyembed.io._contents import Contents, SavedLayer, SavedOptimizer, SavedTable, plain
from pyembed.io._objects import Objects


@dataclass(frozen=True)
class Described:
    """What objects are, and their arrays: those of each table beside its name in the file."""

    contents: Contents
    arrays: dict[str, dict[str, NDArray[Any]]]  # live, of the rows that are here

    @property
    def sharded(self) -> list[str]:
        """The names of the tables of which other ranks have rows too."""
        return [name for name, saved in self.contents.tables.items() if saved.parts > 1]

    def to_json(self, parts: Sequence[str] = ()) -> str:
        """Return the contents as `Contents.to_json`, in parts of these names if there are any.

        Raises
        ------
        ValueError
            If a configuration is nested too deeply.
        """
        try:
            return replace(self.contents, parts=list(parts)).to_json()
        except RecursionError:
            raise _too_deep() from None

    def arrays_of(self, *tables: str) -> dict[str, NDArray[Any]]:
        """Return the arrays of some tables by name."""
        return {name: array for table in tables for name, array in self.arrays[table].items()}


def described(given: Objects) -> Described:
    """Describe objects, with all rows up to date.

    Raises
    ------
    ValueError
        If a layer of an optimizer is not among them, or a configuration is nested too deeply.
    """
    try:
        return _described(given)
    except RecursionError:
        raise _too_deep() from None


def _described(given: Objects) -> Described:
    contents = Contents({}, {}, {})
    arrays: dict[str, dict[str, NDArray[Any]]] = {}
    for name in given.optimizers:
        given.layers_of(name)  # refused before any row is touched
    for name, layer in given.layers.items():
        table = given.first_with_table(layer) or name
        config = plain(layer.get_config())
        contents.layers[name] = SavedLayer(type(layer).__name__, table, config)
        if table == name:
            part = layer._table.part
            _, parts, rows = part.share
            contents.tables[name] = SavedTable(rows, parts)
            arrays[name] = {
                f"{name}.embeddings": layer.local,
                f"{name}.frozen_rows": part.frozen_rows(),
            }
    for name, optimizer in given.optimizers.items():
        state = optimizer.state_dict()
        steps = [table.pop("t") for table in state["tables"]]
        config = plain(state["config"])
        layers = given.layers_of(name)
        contents.optimizers[name] = SavedOptimizer(config, layers, steps)
        for number, (layer_name, table) in enumerate(zip(layers, state["tables"], strict=True)):
            arrays[contents.layers[layer_name].table] |= {
                f"{name}.{number}.{key}": array for key, array in table.items()
            }
    return Described(contents, arrays)


def _too_deep() -> ValueError:
    return ValueError("a configuration is nested too deeply to be saved")
