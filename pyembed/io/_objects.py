"""The objects that a call saves or restores."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pyembed._core import Holding
from pyembed._uninterrupted import uninterrupted
from pyembed.layers.base import TableLayer
from pyembed.optimizers.base import SparseOptimizer
from pyembed.sharding import Ranks, ranks_of_tables
from pyembed.table import Table, at_rest

_Result = TypeVar("_Result")


def rows_here(layer: TableLayer) -> range:
    """Return which rows of a layer's table are in this process."""
    rank, ranks, rows = layer._table.part.share
    return range(rank, rows, ranks)


@dataclass(frozen=True)
class Objects:
    """Layers and optimizers by name, as a caller gives them."""

    layers: dict[str, TableLayer]
    optimizers: dict[str, SparseOptimizer]

    @classmethod
    def of(cls, given: Mapping[str, TableLayer | SparseOptimizer]) -> Objects:
        """Sort the objects out.

        Raises
        ------
        TypeError
            If one is neither a layer nor an optimizer.
        ValueError
            If an optimizer has two names.
        """
        layers: dict[str, TableLayer] = {}
        optimizers: dict[str, SparseOptimizer] = {}
        for name, item in given.items():
            if isinstance(item, TableLayer):
                layers[name] = item
            elif not isinstance(item, SparseOptimizer):
                raise TypeError(
                    f"{name} must be a layer or an optimizer, not {type(item).__name__}"
                )
            elif item in optimizers.values():
                raise ValueError(f"{name} is an optimizer that stands there twice: name it once")
            else:
                optimizers[name] = item
        return cls(layers, optimizers)

    def first_with_table(self, layer: TableLayer) -> str | None:
        """Return the name of the first layer that has the table of this one."""
        names = (name for name, other in self.layers.items() if other._table is layer._table)
        return next(names, None)

    def layers_of(self, name: str) -> list[str]:
        """Return the names that an optimizer's layers have, or of others with their tables.

        Raises
        ------
        ValueError
            If one is not there, or the optimizer was released.
        """
        names = []
        for layer in self.optimizers[name].tables:
            same = (other for other, item in self.layers.items() if item is layer)
            found = next(same, None) or self.first_with_table(layer)
            if found is None:
                raise ValueError(
                    f"{name} updates the layer {layer.name!r}, which is not there: name it too, "
                    f"as in layer=layer, {name}={name}"
                )
            names.append(found)
        if not names:
            raise ValueError(f"{name} gave its tables up in release()")
        return names

    def at_rest(self, body: Callable[[], _Result]) -> _Result:
        """Return ``body()``, while no other thread steps or grows one of these."""
        return at_rest(self._tables(), body)

    def in_one_piece(self, body: Callable[[], _Result]) -> _Result:
        """Return the same; what a signal's handler raises is raised once the body is whole."""
        if any(table.mutex.is_held_here for table in self._tables()):
            return self.at_rest(body)  # by a function of the user's, called under the lock
        return uninterrupted(functools.partial(self.at_rest, body))

    def held(self, *, alone: bool) -> Holding:
        """Return a context in which lookups write no table; or, where `alone`, read none either."""
        return Holding(tuple(set(self._tables())), alone=alone)

    def _tables(self) -> list[Table]:
        objects = (*self.layers.values(), *self.optimizers.values())
        return [layer._table.part for layer in _layers_in(objects)]


def ranks_of(objects: Iterable[object]) -> Ranks:
    """Return the ranks that have the rows of those objects that are layers or optimizers.

    Raises
    ------
    ValueError
        If they are those of several communicators.
    """
    return ranks_of_tables(layer._table for layer in _layers_in(objects))


def _layers_in(objects: Iterable[object]) -> Iterator[TableLayer]:
    for item in objects:
        if isinstance(item, TableLayer):
            yield item
        elif isinstance(item, SparseOptimizer):
            yield from item.tables
