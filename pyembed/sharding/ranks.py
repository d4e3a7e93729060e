"""The processes that a layer or an optimizer works with: this one alone, or several together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyembed._core import BackwardCall
from pyembed.sharding import agreement, exchange
from pyembed.sharding.communicator import Communicator, adapted
from pyembed.sharding.exchange import Calls
from pyembed.sharding.table import AnyTable, ShardedTable
from pyembed.table import Arguments, Table

_Result = TypeVar("_Result")
_Given = TypeVar("_Given")
Ask: TypeAlias = Callable[[Mapping[AnyTable, float]], None]
Gradient: TypeAlias = tuple[AnyTable, Sequence[BackwardCall]]


class Alone:
    """The process itself, which need not ask anybody."""

    def table(self, checked: Callable[[], Arguments], sum_by: str) -> Table:
        """Return the table that the arguments describe."""
        return Table.create(checked())

    def agreed(self, body: Callable[[], _Result]) -> _Result:
        """Return what `body` does."""
        return body()

    def agree_on(self, what: str, arguments: Callable[[], Mapping[str, Any]]) -> None:
        """Go on."""

    def received(
        self, by_table: Callable[[_Given], Calls], grads: _Given, layers: Sequence[Any]
    ) -> Calls:
        """Return the calls of a step, by table."""
        return by_table(grads)

    def coalesced(
        self, gradients: Sequence[Gradient], told: Mapping[str, Any]
    ) -> list[NDArray[Any]]:
        """Return the summed values of each gradient."""
        return [table.coalesced(calls)[1] for table, calls in gradients]

    def added(self, parts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the sum of the parts: one's own."""
        return parts

    def most(self, value: float) -> float:
        """Return the largest value: one's own."""
        return value

    def write(self, body: Callable[..., _Result], *given: Any) -> _Result:
        """Return ``body(None, *given)``: it has nothing to ask before it writes."""
        return body(None, *given)


class Together:
    """All ranks of a communicator: each method is called on all of them."""

    def __init__(self, comm: Communicator) -> None:
        self.comm = comm

    def table(self, checked: Callable[[], Arguments], sum_by: str) -> ShardedTable:
        """Return the table that the arguments describe, of which each rank has a share."""
        return ShardedTable.create(self.comm, checked, sum_by)

    def agreed(self, body: Callable[[], _Result]) -> _Result:
        """Return what `body` does, once no rank's has raised; else raise that on all of them."""
        return agreement.agreed(self.comm, body)

    def agree_on(self, what: str, arguments: Callable[[], Mapping[str, Any]]) -> None:
        """Raise ValueError on all ranks where their arguments differ."""
        agreement.agree_on(self.comm, what, arguments)

    def received(
        self, by_table: Callable[[_Given], Calls], grads: _Given, layers: Sequence[Any]
    ) -> Calls:
        """Return the calls of a step for what this rank has of each table, from all ranks.

        Parameters
        ----------
        by_table : callable
            Returns this rank's own calls by table, from `grads`.
        grads : sequence of SparseGrad
        layers : sequence of layers
            Those whose tables may be among them.
        """
        tables = [layer._table for layer in layers]
        return exchange.received(self.comm, lambda: by_table(grads), tables)

    def coalesced(
        self, gradients: Sequence[Gradient], told: Mapping[str, Any]
    ) -> list[NDArray[Any]]:
        """Return the values that all ranks' gradients add up to, of the rows that are here.

        Parameters
        ----------
        gradients : sequence of (table, calls)
            Of the same tables in the same order on all ranks.
        told : mapping
            What else must be the same on all ranks.
        """

        def the_same() -> dict[str, Any]:
            tables = [table for table, _ in gradients if isinstance(table, ShardedTable)]
            if len(tables) < len(gradients):
                raise ValueError("gradients of tables with and without a comm have no common norm")
            return {"tables": [table.number for table in tables], **told}

        agreement.agree_on(self.comm, "the gradients of a norm", the_same)
        return exchange.coalesced(self.comm, gradients)

    def added(self, parts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the sum of all ranks' parts."""
        return np.asarray(agreement.gathered(self.comm, parts).sum(axis=0))

    def most(self, value: float) -> float:
        """Return the largest of all ranks' values; nan where one is."""
        return float(agreement.gathered(self.comm, np.array([value])).max())

    def write(self, body: Callable[..., _Result], *given: Any) -> _Result:
        """Return ``body(ask, *given)``, which calls ``ask(rates)`` when it can no longer fail.

        That waits until all ranks have come there, with the same learning rates of sharded tables.
        Where one does not come, all raise what it raised.
        """
        asked = False

        def ask(rates: Mapping[AnyTable, float]) -> None:
            nonlocal asked
            asked = True
            common = [rate for table, rate in rates.items() if isinstance(table, ShardedTable)]
            agreement.agree_on(self.comm, "step", lambda: {"learning_rate": common})

        try:
            return body(ask, *given)
        except BaseException as error:
            if not asked:
                agreement.refuse(self.comm, error)
            raise


Ranks: TypeAlias = Alone | Together


def ranks_of(comm: Any) -> Ranks:
    """Return the ranks of a communicator, or this process alone where it is None.

    Raises
    ------
    TypeError
        If it is no communicator.
    """
    return Alone() if comm is None else Together(adapted(comm))


def ranks_of_tables(tables: Iterable[AnyTable]) -> Ranks:
    """Return the ranks that have shares of the tables.

    Raises
    ------
    ValueError
        If they are those of several communicators.
    """
    comms = {id(table.comm): table.comm for table in tables if isinstance(table, ShardedTable)}
    if len(comms) > 1:
        raise ValueError("the tables have different communicators, of which one call can use one")
    return Together(*comms.values()) if comms else Alone()
