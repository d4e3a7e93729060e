"""A table of which each process has a share."""

from __future__ import annotations

import copy
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyembed import _checks, _core, constraints, initializers, regularizers
from pyembed._core import BackwardCall
from pyembed.initializers.random import Random
from pyembed.sharding import agreement
from pyembed.sharding.communicator import Communicator
from pyembed.table import Arguments, Table

_Result = TypeVar("_Result")


class ShardedTable:
    """A table whose row r is with rank r mod P, as row r div P of what that has.

    It is to a layer what `Table` is, for rows of which most are elsewhere.

    Attributes
    ----------
    comm : Communicator
    number : int
        By which all ranks know the table.
    part : Table
        The rows that are here.
    sum_by : {'rank', 'position'}
        Whether each rank sums its gradient of a row before it is sent.
    rows : int
        How many there are, here and elsewhere.
    padding_idx, out_of_range
        Those of the whole table.
    """

    def __init__(
        self,
        comm: Communicator,
        number: int,
        part: Table,
        sum_by: str,
        rows: int,
        padding_idx: int | None,
        out_of_range: str,
    ) -> None:
        self.comm, self.number, self.part, self.sum_by = comm, number, part, sum_by
        self.padding_idx, self.out_of_range = padding_idx, out_of_range
        self._set_rows(rows)

    def _set_rows(self, rows: int) -> None:
        self.rows = rows
        options = self.out_of_range, self.padding_idx
        where = self.comm.size, self.comm.rank
        self.owners = _core.Owners(rows, *where, *options)
        self._strict_owners = _core.Owners(rows, *where)

    @classmethod
    def create(
        cls, comm: Communicator, checked: Callable[[], Arguments], sum_by: str
    ) -> ShardedTable:
        """Return the table that the arguments describe; collective.

        Parameters
        ----------
        comm : Communicator
        checked : callable
            Returns the arguments, or raises.
        sum_by : {'rank', 'position'}

        Raises
        ------
        ValueError, TypeError
            As `Table.create`; also if the table needs more than its rows one by one: an
            initializer that makes no rows alone, a regularizer or constraint of all of them.
        """

        def arguments_of_rank() -> Arguments:
            _checks.one_of(sum_by, "sum_by", ("rank", "position"))
            return _checked_by_row(checked())

        arguments = agreement.agreed(comm, arguments_of_rank)
        given = "None" if arguments.weights is None else "given"
        agreement.agree_on(comm, "a layer", lambda: {"weights": given})
        number, arguments = _with_common_seed(comm, arguments)
        part = agreement.agreed(
            comm, functools.partial(Table.create, arguments, comm.rank, comm.size)
        )
        options = (arguments.rows, arguments.padding_idx, arguments.out_of_range)
        return cls(comm, number, part, sum_by, *options)

    @property
    def dim(self) -> int:
        """The length of each row, D."""
        return self.part.dim

    @property
    def shape(self) -> tuple[int, int]:
        """(V, D)."""
        return self.rows, self.dim

    @property
    def dtype(self) -> str:
        """The name of the rows' dtype."""
        return self.part.dtype

    @property
    def max_norm(self) -> float | None:
        """As in `Embedding`."""
        return self.part.max_norm

    @property
    def norm_type(self) -> float:
        """As in `Embedding`."""
        return self.part.norm_type

    @property
    def initializer(self) -> Callable[..., Any] | None:
        """What makes rows."""
        return self.part.initializer

    @property
    def seed(self) -> int | None:
        """As in `Embedding`."""
        return self.part.seed

    @property
    def regularizer(self) -> Callable[..., Any] | None:
        """That of the rows."""
        return self.part.regularizer

    @property
    def constraint(self) -> Callable[..., Any] | None:
        """That of the rows."""
        return self.part.constraint

    @property
    def trainable(self) -> bool:
        """Whether the table has a gradient."""
        return self.part.trainable

    def set_trainable(self, value: bool, name: str) -> None:
        """As `Table.set_trainable`."""
        self.part.set_trainable(value, name)

    @property
    def owner(self) -> Any:
        """The live optimizer that updates the rows here, or None."""
        return self.part.owner

    def settle(self) -> None:
        """Bring the rows here up to date."""
        self.part.settle()

    @property
    def array(self) -> NoReturn:
        """There is none of all rows."""
        raise RuntimeError(
            f"the table's {self.rows} rows are with {self.comm.size} ranks: emb.local has those of "
            "this one"
        )

    def expanded(self, calls: Sequence[BackwardCall]) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Return the row and the values of each summand of this rank's own gradient."""
        return _core.expand_elsewhere(self.owners, calls, self.dtype, self.dim)

    def coalesced(self, calls: Sequence[BackwardCall]) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Return the rows of this rank's own gradient, ascending, and their summed values."""
        return _core.coalesce_elsewhere(self.owners, calls, self.dtype, self.dim)

    def to_dense(self, *given: Any) -> NoReturn:
        """There is no array of all rows."""
        raise RuntimeError(
            f"a gradient of {self.rows} rows with {self.comm.size} ranks is no array: emb.local "
            "has the rows of this one, and coalesce() what this one passes to a step"
        )

    def by_owner(
        self, calls: Sequence[BackwardCall]
    ) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.int64], BackwardCall]:
        """Return what each rank gets of this rank's gradient.

        Returns
        -------
        rows, values : ndarray
            By rank, without this rank's own: the numbers of the rows there.
        counts : ndarray of int64, shape (size,)
            How many rows each rank gets, this one too.
        own : BackwardCall
            What this one keeps, which reads the calls' rows where they lie.
        """
        of = _core.coalesce_by_owner if self.sum_by == "rank" else _core.expand_by_owner
        return of(self.owners, calls, self.dtype, self.dim)

    def penalty(self, ids: ArrayLike | None = None) -> float:
        """Return the regularizer's loss over the table, or the distinct rows of all ranks' ids."""
        regularizer = self.regularizer
        if not isinstance(regularizer, regularizers.ElementwiseRegularizer):
            return 0.0
        asked = None if ids is None else self._asked(self.owners, ids)
        sums = agreement.agreed(
            self.comm, lambda: regularizer.sums(self.part.rows_as_they_are(asked))
        )
        return regularizer.of_sums(agreement.gathered(self.comm, sums).sum(axis=0))

    def checked(self, check: Callable[[], _Result]) -> _Result:
        """Return ``check()``; where it raises, all ranks do, in the lookup that they are in."""
        try:
            return check()
        except BaseException as error:
            agreement.refuse(self.comm, error)

    def agreed(self, body: Callable[[], _Result]) -> _Result:
        """Return ``body()`` once no rank's has raised; else raise that on all of them."""
        return agreement.agreed(self.comm, body)

    def added(self, loss: Callable[[], float]) -> float:
        """Return the sum of the ranks' losses."""
        own = np.array([self.agreed(loss)])
        return math.fsum(agreement.gathered(self.comm, own).ravel().tolist())

    def freeze(self, rows: ArrayLike) -> None:
        """Freeze the rows that any rank names; collective."""
        named = self._asked(self._strict_owners, rows)
        self.part.freeze(named)

    def unfreeze(self, rows: ArrayLike | None = None) -> None:
        """Unfreeze the rows that any rank names, or all where one names none; collective."""
        named = self._asked(self._strict_owners, [] if rows is None else rows)
        names_all = agreement.gathered(self.comm, np.array([rows is None])).any()
        self.part.unfreeze(None if names_all else named)

    def frozen_rows(self) -> NDArray[np.int64]:
        """Return those of the frozen rows that are here, by their numbers in the whole table."""
        return self.part.frozen_rows() * self.comm.size + self.comm.rank

    def _asked(self, owners: _core.Owners, ids: ArrayLike) -> NDArray[np.int64]:
        """Return the rows here of all ranks' ids, those of each rank once."""

        def ask() -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], NDArray[np.int64]]:
            _, wanted, counts = owners.partition(ids)
            return (wanted, counts), counts.reshape(-1, 1)

        doing = agreement.Doing("a call that names rows", self.number)
        (wanted, counts), received = agreement.exchanged(self.comm, ask, doing)
        sent, own = agreement.apart(self.comm, wanted, counts)
        asked_counts = agreement.of_others(self.comm, received[:, 0])
        asked = np.empty(asked_counts.sum(), np.int64)
        self.comm.alltoallv(sent, agreement.of_others(self.comm, counts), asked, asked_counts)
        return np.concatenate([asked, own])

    def grow_to(self, rows: int) -> None:
        """Have so many rows, the new ones by the initializer; collective."""

        def checked() -> dict[str, int]:
            return {"new_input_dim": _checks.integer(rows, "new_input_dim", self.rows)}

        agreement.agree_on(self.comm, "grow", checked)
        agreement.agreed(self.comm, functools.partial(self.part.grow_to, rows))
        self._set_rows(rows)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a layer with a comm cannot be copied or pickled: its rows are with several ranks"
        )


def _checked_by_row(arguments: Arguments) -> Arguments:
    """Return arguments that describe each row by itself, or raise ValueError."""
    regularizer, constraint = arguments.regularizer, arguments.constraint
    is_elementwise = type(regularizer) in (regularizers.L1, regularizers.L2, regularizers.L1L2)
    if regularizer is not None and not is_elementwise:
        raise ValueError(
            f"embeddings_regularizer={regularizer!r} may need all rows at once, which are with "
            "several ranks: with comm, L1, L2 and L1L2 serve"
        )
    is_by_row = constraints.is_builtin(constraint) and constraint.is_by_row
    if constraint is not None and not is_by_row:
        raise ValueError(
            f"embeddings_constraint={constraint!r} may need all rows at once, which are with "
            "several ranks: with comm, NonNeg and norms along axis=1 serve"
        )
    initializer = arguments.initializer
    in_parts = initializers.is_builtin(initializer) and initializer.in_parts
    if arguments.weights is None and not in_parts:
        raise ValueError(
            f"embeddings_initializer={initializer!r} cannot make some rows alone: with comm, give "
            "weights, the whole matrix or this rank's rows of it"
        )
    return arguments


def _with_common_seed(comm: Communicator, arguments: Arguments) -> tuple[int, Arguments]:
    """Return a number, and the arguments, with rank 0's seed where it was not given but drawn."""
    initializer = arguments.initializer
    random = initializer if isinstance(initializer, Random) and initializer.seed_is_drawn else None
    own = np.array([next(_numbers), 0 if random is None else random.seed])  # of 63 bits
    number, seed = agreement.gathered(comm, own)[0].tolist()
    if random is None:
        return number, arguments
    random = copy.copy(random)
    random.seed = seed
    return number, dataclasses.replace(arguments, initializer=random)


_numbers = itertools.count()

AnyTable: TypeAlias = Table | ShardedTable
