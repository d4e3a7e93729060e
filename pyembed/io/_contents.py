"""What a checkpoint says of its layers and optimizers, beside their arrays."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pyembed import _checks, _core
from pyembed.io._errors import short, shown
from pyembed.io._json import parsed

KEY = "pyembed"  # of the metadata of a safetensors file
_IN_ONE_FILE, _IN_PARTS = _VERSIONS = (1, 2)
_MOST_PARTS = 1 << 20
_LONGEST_NAME = 255  # of a file, in characters: systems allow no more


@dataclass(frozen=True)
class SavedTable:
    """One table: row r is row r div `parts` in the part with number r mod `parts`.

    How many rows there are is not said where all of them are in one file.
    """

    rows: int | None = None
    parts: int = 1


@dataclass(frozen=True)
class SavedLayer:
    """One layer: `table` is the name of the first layer that has its table."""

    class_name: str
    table: str
    config: dict[str, Any]


@dataclass(frozen=True)
class SavedOptimizer:
    """One optimizer: the names of its layers, and the step counts of their tables."""

    config: dict[str, Any]
    layers: list[str]
    steps: list[int]


@dataclass(frozen=True)
class Contents:
    """All of these by name, and the files that the arrays are in, where they are in several."""

    tables: dict[str, SavedTable]
    layers: dict[str, SavedLayer]
    optimizers: dict[str, SavedOptimizer]
    parts: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """Return what `from_json` reads."""
        made_by = {
            "version": _IN_PARTS if self.parts else _IN_ONE_FILE,
            "pyembed_version": _core.__version__,
        }
        told = {**made_by, **asdict(self)}
        if not self.parts:
            del told["parts"]
            told["tables"] = {name: {"row_offset": 0} for name in self.tables}
        return json.dumps(told, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Contents:
        """Return the contents that a file tells.

        Raises
        ------
        ValueError
            If they are of another version, or damaged.
        """
        try:
            given = _parsed(text)
            _check_version(given["version"])
            is_in_parts = given["version"] == _IN_PARTS
            contents = cls(
                {name: _table(name, entry, is_in_parts) for name, entry in given["tables"].items()},
                {name: SavedLayer(**layer) for name, layer in given["layers"].items()},
                {name: SavedOptimizer(**opt) for name, opt in given["optimizers"].items()},
                _part_names(given["parts"]) if is_in_parts else [],
            )
            contents._check()
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"its {KEY!r} metadata are damaged ({shown(error)})") from error
        return contents

    def _check(self) -> None:
        """Refuse names that lead nowhere, with a KeyError, and what is of later versions."""
        for name, table in self.tables.items():
            if table.parts not in (1, len(self.parts)):
                raise ValueError(f"{short(name)} is in {table.parts} parts of {len(self.parts)}")
        for layer in self.layers.values():
            _check_types(layer, class_name=str, table=str, config=dict)
            first, _ = self.layers[layer.table], self.tables[layer.table]
            if first.table != layer.table:
                raise KeyError(layer.table)
        for optimizer in self.optimizers.values():
            _check_types(optimizer, config=dict, layers=list, steps=list)
            for name, t in zip(optimizer.layers, optimizer.steps, strict=True):
                self.layers[name], _checks.step_count(t)


def _parsed(text: str) -> Any:
    try:
        return parsed(text)
    except ValueError as error:
        raise ValueError(f"its {KEY!r} metadata are damaged ({error})") from error


def _table(name: str, entry: dict[str, Any], is_in_parts: bool) -> SavedTable:
    """Return what a file says of a table; the first format said less."""
    if not is_in_parts:
        if entry != {"row_offset": 0}:
            raise TypeError(f"{short(name)} is {shown(entry)}")
        return SavedTable()
    rows, parts = entry["rows"], entry["parts"]
    return SavedTable(_checks.integer(rows, "rows", 1), _checks.integer(parts, "parts", 1))


def _part_names(names: Any) -> list[str]:
    """Return the names of the parts' files, which are beside the one that names them."""
    if not isinstance(names, list) or not 0 < len(names) <= _MOST_PARTS:
        raise TypeError(f"parts is {shown(names)}")
    for name in names:
        if not isinstance(name, str) or not _is_of_file(name):
            raise ValueError(f"a part has the name {shown(name)}, which is none of a file")
    return names


def _is_of_file(name: str) -> bool:
    is_beside = name == os.path.basename(name) and name not in _NO_FILES
    return is_beside and len(name) <= _LONGEST_NAME


_NO_FILES = frozenset(("", os.curdir, os.pardir))


def _check_types(entry: SavedLayer | SavedOptimizer, **types: type) -> None:
    for name, kind in types.items():
        value = getattr(entry, name)
        if not isinstance(value, kind):
            raise TypeError(f"{name} is {shown(value)}")


def _check_version(version: Any) -> None:
    if version not in _VERSIONS or isinstance(version, bool):
        raise ValueError(
            f"it is of format version {shown(version)}, and pyembed {_core.__version__} reads "
            f"versions {_IN_ONE_FILE} and {_IN_PARTS}"
        )


def plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration as JSON gives it back.

    A callable of the user's own becomes ``{"callable": its name}``: see `is_callable`.
    """
    finite = {name: "inf" if _is_inf(value) else value for name, value in config.items()}
    plain_config: dict[str, Any] = json.loads(json.dumps(finite, default=_named, allow_nan=False))
    return plain_config


def is_callable(value: Any) -> bool:
    """Return whether a plain value stands for a callable that no file can hold."""
    return isinstance(value, dict) and value.keys() == {"callable"}


def callables_in(value: Any) -> Iterator[str]:
    """Yield the names of the callables of a plain value, at any depth."""
    if is_callable(value):
        yield str(value["callable"])
    elif isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from callables_in(inner)


def is_alike(value: Any, other: Any) -> bool:
    """Return whether plain values are equal, but for the names of callables."""
    if is_callable(value) and is_callable(other):
        return True
    if isinstance(value, dict) and isinstance(other, dict):
        return value.keys() == other.keys() and all(
            is_alike(inner, other[name]) for name, inner in value.items()
        )
    if isinstance(value, list) and isinstance(other, list):
        return len(value) == len(other) and all(map(is_alike, value, other))
    return bool(value == other)


def _is_inf(value: Any) -> bool:
    return isinstance(value, float) and value == math.inf  # norm_type alone


def _named(value: Any) -> dict[str, str]:
    named = value if hasattr(value, "__qualname__") else type(value)
    return {"callable": f"{named.__module__}.{named.__qualname__}"}
