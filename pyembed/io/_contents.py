"""What a checkpoint says of its layers and optimizers, beside their arrays."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pyembed import _checks, _core

KEY = "pyembed"  # of the metadata of a safetensors file
_VERSION = 1


@dataclass(frozen=True)
class SavedTable:
    """One table: a row range of a larger one, from `row_offset` on."""

    row_offset: int = 0


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
    """All of these by name."""

    tables: dict[str, SavedTable]
    layers: dict[str, SavedLayer]
    optimizers: dict[str, SavedOptimizer]

    def to_json(self) -> str:
        """Return what `from_json` reads."""
        made_by = {"version": _VERSION, "pyembed_version": _core.__version__}
        return json.dumps({**made_by, **asdict(self)}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Contents:
        """Return the contents that a file tells.

        Raises
        ------
        ValueError
            If they are of another version, or damaged.
        """
        try:
            given = json.loads(text)
            _check_version(given["version"])
            contents = cls(
                {name: SavedTable(**table) for name, table in given["tables"].items()},
                {name: SavedLayer(**layer) for name, layer in given["layers"].items()},
                {name: SavedOptimizer(**opt) for name, opt in given["optimizers"].items()},
            )
            contents._check()
        except (
            AttributeError,
            KeyError,
            RecursionError,
            TypeError,
            json.JSONDecodeError,
        ) as error:
            raise ValueError(f"its {KEY!r} metadata are damaged ({error!r})") from error
        return contents

    def _check(self) -> None:
        """Refuse names that lead nowhere, with a KeyError, and what is of later versions."""
        for name, table in self.tables.items():
            if table.row_offset != 0:
                raise ValueError(
                    f"{name} holds the rows from {table.row_offset!r} on of a larger table, and "
                    "this pyembed loads whole tables"
                )
        entries: list[SavedLayer | SavedOptimizer] = [*self.layers.values()]
        for entry in (*entries, *self.optimizers.values()):
            if not isinstance(entry.config, dict):
                raise TypeError(f"config is {entry.config!r}")
        for layer in self.layers.values():
            self.tables[layer.table], self.layers[layer.table]
        for optimizer in self.optimizers.values():
            for name, t in zip(optimizer.layers, optimizer.steps, strict=True):
                self.layers[name], _checks.step_count(t)


def _check_version(version: Any) -> None:
    if version != _VERSION:
        raise ValueError(
            f"it is of format version {version!r}, and pyembed {_core.__version__} reads version "
            f"{_VERSION}"
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


def _is_inf(value: Any) -> bool:
    return isinstance(value, float) and value == math.inf  # norm_type alone


def _named(value: Any) -> dict[str, str]:
    named = value if hasattr(value, "__qualname__") else type(value)
    return {"callable": f"{named.__module__}.{named.__qualname__}"}
