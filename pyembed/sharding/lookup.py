"""Lookups of rows that are with several processes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyembed import _core
from pyembed._core import BackwardCall
from pyembed.lookup import Lookup
from pyembed.sharding import agreement
from pyembed.sharding.table import AnyTable, ShardedTable

_Result = TypeVar("_Result")


def lookup_of(table: AnyTable, *how: Any) -> AnyLookup:
    """Return a lookup of a table, sharded or not."""
    return ShardedLookup(table, *how) if isinstance(table, ShardedTable) else Lookup(table, *how)


@dataclasses.dataclass(eq=False)
class _Asked:
    """The rows that one lookup asks of all ranks, and those that all ask of this one."""

    positions: NDArray[np.int64]  # of ids' shape: in `rows`
    wanted: NDArray[np.int64]  # rows of the ranks' parts, by rank, and last of this rank's own
    counts: NDArray[np.int64]
    rows: NDArray[Any]  # where they will come; those that are here too, if they are pooled
    owners: _core.Owners  # by whose rule ids were read
    own: NDArray[np.int64] = dataclasses.field(init=False)  # of `wanted`, those that are here
    local: NDArray[np.int64] = dataclasses.field(init=False)  # rows of its part, for other ranks
    local_counts: NDArray[np.int64] = dataclasses.field(init=False)
    ids: NDArray[Any] | None = None
    wait: Callable[[], Any] | None = None  # until `local` is there


@dataclasses.dataclass(frozen=True)
class _Beside:
    """What looks rows up of which some came, and the others are here."""

    rows: _core.Lookup  # of those that are here
    came: NDArray[Any]
    own: NDArray[np.int64]

    def gather(
        self,
        positions: NDArray[np.int64],
        offsets: ArrayLike | None = None,
        per_sample_weights: ArrayLike | None = None,
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Return the rows at `positions` of all of them: those that came stand first.

        The bag's arguments are None, as `check_gather` found.
        """
        return self.rows.gather_beside(positions, self.came, self.own, out)


_Source: TypeAlias = _core.Lookup | _Beside


class ShardedLookup:
    """What `Lookup` is, for a sharded table: collective, but for `call` where no rows are needed.

    The distinct rows of a batch are fetched from their ranks into a small table, and are looked up
    there: pooling, weights and gradients are those of any table. Where rows are not pooled, this
    rank's own are read where they are.
    """

    def __init__(
        self,
        table: ShardedTable,
        mode: str | None = None,
        include_last_offset: bool = False,
        by_frequency: bool = False,
    ) -> None:
        self.table = table
        self._how = mode, include_last_offset, by_frequency
        # Knows dim and dtype; reads no rows here, where ids are those of the whole table.
        self._part = _core.Lookup(table.part, *self._how)
        self._rows = _core.Lookup(table.part)
        self._doing = agreement.Doing("a lookup", table.number)
        self._ahead: _Asked | None = None

    @property
    def mode(self) -> str | None:
        """How rows are pooled; None where they are not."""
        return self._part.mode

    @property
    def include_last_offset(self) -> bool:
        """As in `EmbeddingBag`."""
        return self._part.include_last_offset

    @property
    def by_frequency(self) -> bool:
        """Whether each row's gradient is divided by how often its id stands in a call."""
        return self._part.by_frequency

    @property
    def needs_table(self) -> bool:
        """Whether the gradient of the table depends on its values."""
        return self.mode in _core.selecting_modes

    def checked(self, check: Callable[[], _Result]) -> _Result:
        """Return ``check()``, before a lookup; where it raises, the lookup fails on all ranks."""
        try:
            return self.table.checked(check)
        except BaseException:
            self._ahead = None  # as on those that are in it already
            raise

    def gather(
        self,
        ids: ArrayLike,
        offsets: ArrayLike | None = None,
        per_sample_weights: ArrayLike | None = None,
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Return the rows of ids, or pooled ones."""
        bag = offsets, per_sample_weights

        def check() -> None:
            self._part.check_gather(ids, *bag, out)

        begun = self._begun(ids, check)
        if begun is None:
            positions, small = self._fetched(ids, self._rows.gather, check)
        else:
            positions, small = self._came(begun, self._rows.gather)
        return small.gather(positions, *bag, out)

    def gather_dropping(
        self, ids: ArrayLike, dropout: float, key: int, out: NDArray[Any] | None = None
    ) -> NDArray[Any]:
        """Return the rows of ids, of which some are dropped."""
        self._ahead = None
        positions, small = self._fetched(
            ids,
            self._rows.gather,
            lambda: self._part.check_gather(ids, None, None, out),
            (dropout, key),
        )
        return self._scaled(small.gather(positions, None, None, out), dropout)

    def gather_as_is(
        self,
        ids: ArrayLike,
        offsets: ArrayLike | None = None,
        per_sample_weights: ArrayLike | None = None,
        dropout: float = 0.0,
        key: int = 0,
    ) -> NDArray[Any]:
        """Return the rows of ids without scaling any down to the table's max_norm."""
        bag = offsets, per_sample_weights
        positions, small = self._fetched(
            ids, self._rows.gather_as_is, lambda: self._part.check_gather(ids, *bag), (dropout, key)
        )
        return self._scaled(small.gather(positions, *bag), dropout)

    def call(
        self,
        ids: ArrayLike,
        grad_output: ArrayLike,
        offsets: ArrayLike | None = None,
        per_sample_weights: ArrayLike | None = None,
    ) -> BackwardCall:
        """Return the gradient call of a lookup; collective where the mode selects rows."""
        bag = offsets, per_sample_weights
        if not self.needs_table:
            return self._part.call(ids, grad_output, *bag)
        positions, small = self._fetched(
            ids, self._rows.gather_as_is, lambda: self._part.check_call(ids, grad_output, *bag)
        )
        assert isinstance(small, _core.Lookup)  # which pooled rows have
        return small.call(positions, grad_output, *bag).with_ids(ids)

    def call_dropping(
        self, ids: ArrayLike, grad_output: ArrayLike, dropout: float, key: int
    ) -> BackwardCall:
        """Return the gradient call of a lookup with dropout."""
        return self._part.call_dropping(ids, grad_output, dropout, key)

    def weight_gradient(
        self,
        ids: ArrayLike,
        grad_output: ArrayLike,
        offsets: ArrayLike | None = None,
        per_sample_weights: ArrayLike | None = None,
    ) -> NDArray[Any]:
        """Return the gradient of the per-sample weights."""
        bag = offsets, per_sample_weights
        positions, small = self._fetched(
            ids,
            self._rows.gather_as_is,
            lambda: self._part.check_weight_gradient(ids, grad_output, *bag),
        )
        assert isinstance(small, _core.Lookup)
        return small.weight_gradient(positions, grad_output, *bag)

    def check_call(self, ids: ArrayLike, grad_output: ArrayLike, *bag: Any) -> None:
        """Raise what `call` does, but for what ids are."""
        self._part.check_call(ids, grad_output, *bag)

    def check_weight_gradient(self, ids: ArrayLike, grad_output: ArrayLike, *bag: Any) -> None:
        """Raise what `weight_gradient` does, but for what ids are."""
        self._part.check_weight_gradient(ids, grad_output, *bag)

    def sparse_gradient(
        self, calls: Sequence[BackwardCall]
    ) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Return ids (n,) and values (n, D) of this rank's own gradient, as `Lookup` does."""
        of = self.table.coalesced if self.needs_table else self.table.expanded
        return of(calls)

    def dense_gradient(self, calls: Sequence[BackwardCall]) -> NDArray[Any]:
        """There is no array of all rows."""
        return self.table.to_dense(calls)

    def prefetch(self, ids: ArrayLike) -> None:
        """Ask for the rows of the next `gather`."""

        def ask() -> _Asked:
            asked = self._ask(ids)
            asked.ids = np.array(ids)  # a copy, by which the lookup knows them again
            return asked

        start = getattr(self.table.comm, "start_alltoallv", None)
        doing = agreement.Doing("a prefetch", self.table.number)
        self._ahead = self._sent(ask, start or self.table.comm.alltoallv, doing)

    def _fetched(
        self,
        ids: ArrayLike,
        read: Callable[[NDArray[np.int64]], NDArray[Any]],
        check: Callable[[], None],
        dropping: tuple[float, int] = (0.0, 0),
    ) -> tuple[NDArray[np.int64], _Source]:
        """Return a lookup in a table of the rows of ids, and where in that each of them is.

        `read` reads rows that are here; `check` raises where the other arguments are not fit.
        """

        def ask() -> _Asked:
            check()
            return self._ask(ids, dropping)

        return self._came(self._sent(ask, self.table.comm.alltoallv, self._doing), read)

    def _ask(self, ids: ArrayLike, dropping: tuple[float, int] = (0.0, 0)) -> _Asked:
        """Return which rows are to be asked of whom, and where they will come."""
        table = self.table
        # Dropped rows are scaled down too.
        asks_for_dropped = table.max_norm is not None
        positions, wanted, counts = table.owners.partition(
            ids, self.mode is not None, *dropping, asks_for_dropped
        )
        here = 0 if self.mode is not None else int(counts[table.comm.rank])
        rows = _core.empty((len(wanted) - here, table.dim), table.dtype)
        return _Asked(positions, wanted, counts, rows, table.owners)

    def _sent(
        self, ask: Callable[[], _Asked], send: Callable[..., Any], doing: agreement.Doing
    ) -> _Asked:
        """Return what was asked, on its way to the ranks; collective.

        `send` is an ``alltoallv``, or begins one and returns what waits for its end.
        """
        comm = self.table.comm

        def prepare() -> tuple[_Asked, NDArray[np.int64]]:
            asked = ask()
            return asked, asked.counts.reshape(-1, 1)

        asked, received = agreement.exchanged(comm, prepare, doing)
        wanted, asked.own = agreement.apart(comm, asked.wanted, asked.counts)
        asked.counts = agreement.of_others(comm, asked.counts)
        asked.local_counts = agreement.of_others(comm, received[:, 0])
        asked.local = _core.empty((int(asked.local_counts.sum()),), "int64")
        asked.wait = send(wanted, asked.counts, asked.local, asked.local_counts)
        return asked

    def _came(
        self, asked: _Asked, read: Callable[[NDArray[np.int64]], NDArray[Any]]
    ) -> tuple[NDArray[np.int64], _Source]:
        """Return a lookup in the rows that were asked for, and where in them each id's is."""
        if asked.wait is not None:
            asked.wait()
        coming = len(asked.wanted) - len(asked.own)
        if self.table.max_norm is None:
            sent = self._rows.gather(asked.local)
            if self.mode is not None:
                self._rows.gather(asked.own, None, None, asked.rows[coming:])
        else:  # in one call: a row that is scaled down for one rank is as it is for all
            found = read(np.concatenate([asked.local, asked.own]))
            sent = found[: len(asked.local)]
            if self.mode is not None:
                asked.rows[coming:] = found[len(asked.local) :]
        self.table.comm.alltoallv(sent, asked.local_counts, asked.rows[:coming], asked.counts)
        if self.mode is None:
            return asked.positions, _Beside(self._rows, asked.rows, asked.own)
        small = _core.Table(asked.rows, out_of_range="zero")
        return asked.positions, _core.Lookup(small, *self._how)

    def _begun(self, ids: ArrayLike, check: Callable[[], None]) -> _Asked | None:
        """Return what `prefetch` began, if that is what all ranks look up now."""
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return None

        def is_known() -> tuple[bool, NDArray[np.int64]]:
            check()
            same_ids = np.array_equal(np.asarray(ahead.ids), np.asarray(ids))
            known = same_ids and ahead.owners is self.table.owners  # it has not grown meanwhile
            return known, np.full((self.table.comm.size, 1), known, np.int64)

        known, of_all = agreement.exchanged(self.table.comm, is_known, self._doing)
        if known and of_all.all():
            return ahead
        if ahead.wait is not None:
            ahead.wait()
        return None

    def _scaled(self, rows: NDArray[Any], dropout: float) -> NDArray[Any]:
        """Return the rows, scaled up in place for those that were dropped."""
        if dropout > 0.0:
            scale = 1.0 / (1.0 - dropout) if dropout < 1.0 else 0.0
            np.multiply(rows, rows.dtype.type(scale), out=rows)
        return rows

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.table, *self._how)


AnyLookup: TypeAlias = Lookup | ShardedLookup
