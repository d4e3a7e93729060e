"""The table: rows in memory, and all that belongs to them whichever layer looks them up."""

from __future__ import annotations

import copy
import dataclasses
import functools
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from pyembed import _arrays, _checks, _core, constraints, initializers, regularizers
from pyembed._mutex import Mutex

_Result = TypeVar("_Result")


class Shared:
    """Marks a matrix that becomes the table itself, as `from_pretrained` without a copy wants."""

    def __init__(self, matrix: NDArray[Any]) -> None:
        self.matrix = matrix


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What a table is made with, checked; `Embedding` explains the arguments."""

    rows: int
    dim: int
    dtype: str
    padding_idx: int | None
    out_of_range: str
    max_norm: float | None
    norm_type: float
    initializer: Callable[..., Any]
    regularizer: Callable[..., Any] | None
    constraint: Callable[..., Any] | None
    seed: int | None
    weights: Any

    @classmethod
    def checked(
        cls,
        input_dim: int,
        output_dim: int,
        *,
        embeddings_initializer: initializers.InitializerLike,
        embeddings_regularizer: regularizers.RegularizerLike | None,
        embeddings_constraint: constraints.ConstraintLike | None,
        weights: Any,
        padding_idx: int | None,
        max_norm: float | None,
        norm_type: float,
        out_of_range: str,
        dtype: DTypeLike,
        seed: int | None,
    ) -> Arguments:
        """Return a layer's arguments.

        Raises
        ------
        ValueError
            If an argument's value is not allowed.
        TypeError
            If `dtype` is none that tables have.
        """
        rows = _checks.integer(input_dim, "input_dim", 1)
        dim = _checks.integer(output_dim, "output_dim", 0)
        dtype = _checks.float_dtype(dtype)
        if padding_idx is not None:
            padding_idx = _checks.integer(padding_idx, "padding_idx", -rows, rows - 1) % rows
        out_of_range = _checks.one_of(out_of_range, "out_of_range", _core.policies)
        seed = None if seed is None else _checks.integer(seed, "seed", 0, 2**64 - 1)
        max_norm = None if max_norm is None else _checks.positive(max_norm, "max_norm")
        norm_type = _checks.positive(norm_type, "norm_type", or_inf=True)
        return cls(
            rows,
            dim,
            dtype,
            padding_idx,
            out_of_range,
            max_norm,
            norm_type,
            initializers.get(embeddings_initializer, seed),
            regularizers.get(embeddings_regularizer, "embeddings_regularizer"),
            constraints.get(embeddings_constraint, "embeddings_constraint"),
            seed,
            weights,
        )

    def array(self, numbers: range) -> NDArray[Any]:
        """Return what a table with these rows of the described one starts from."""
        if isinstance(self.weights, Shared):
            # A view: whatever becomes of the caller's array object, the table keeps its shape.
            matrix = self.weights.matrix.view(np.ndarray)
            return matrix[numbers.start :: numbers.step]
        if self.weights is None:
            return _initial_rows(self.initializer, numbers, (self.rows, self.dim), self.dtype)
        is_listed = isinstance(self.weights, Sequence) and len(self.weights) == 1
        is_matrix_listed = is_listed and np.ndim(self.weights[0]) == 2
        weights = _arrays.as_array(self.weights[0] if is_matrix_listed else self.weights, "weights")
        whole, own = (self.rows, self.dim), (len(numbers), self.dim)
        if weights.shape == whole:
            weights = weights[numbers.start :: numbers.step]
        elif numbers.step > 1 and weights.shape != own:
            raise ValueError(
                f"weights has shape {weights.shape}, but must have shape {whole}, or {own} for the "
                "rows of this rank alone"
            )
        return _copied(weights, own, self.dtype, "weights")


class Table(_core.Table):
    """Rows of one matrix, how ids name them, and what an optimizer must know of them.

    Layers and modules share a table by sharing this object.

    Parameters
    ----------
    array : ndarray, shape (V, D)
        Becomes the table: float32 or float64, with contiguous rows.
    out_of_range, padding_idx, max_norm, norm_type
        As in `Embedding`; padding_idx counts from the start.
    writeable : bool
        Whether the array must be.
    share : tuple of int, optional
        (rank, ranks, rows): this is what a rank has of a table of so many rows.
    """

    share: tuple[int, int, int]
    sum_by = "position"  # one process sums a row's gradient in one go
    initializer: Callable[..., Any] | None = None  # makes the rows that `grow_to` adds
    seed: int | None = None
    regularizer: Callable[..., Any] | None = None
    constraint: Callable[..., Any] | None = None

    def __init__(
        self,
        array: NDArray[Any],
        *,
        out_of_range: str = "raise",
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        writeable: bool = True,
        share: tuple[int, int, int] | None = None,
    ) -> None:
        super().__init__(
            array,
            out_of_range=out_of_range,
            padding_idx=padding_idx,
            max_norm=max_norm,
            norm_type=norm_type,
            writeable=writeable,
            share=share,
        )
        self.share = (0, 1, len(array)) if share is None else share
        self.out_of_range = out_of_range
        self.padding_idx = padding_idx
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.trainable = writeable
        self.mutex = Mutex()  # see `at_rest`
        self._owner: weakref.ref[Any] | None = None

    @classmethod
    def create(cls, arguments: Arguments, rank: int = 0, ranks: int = 1) -> Table:
        """Return the table that arguments describe, or one rank's rows of it.

        Those are row `rank` and each `ranks`-th after it; padding_idx is then that of the rank's
        own rows, which are all that there is to their table.

        Raises
        ------
        ValueError
            If `weights` have another shape, or rows of a read-only matrix would have to be scaled.
        TypeError
            If the dtype of `weights` is none that tables have.
        """
        given = arguments
        numbers = range(rank, given.rows, ranks)
        padding = given.padding_idx
        if padding is not None:
            padding = numbers.index(padding) if padding in numbers else None
        array = given.array(numbers)
        if given.weights is None and padding is not None:
            array[padding] = 0.0
        if given.max_norm is not None and not array.flags.writeable:
            raise ValueError(
                f"max_norm={given.max_norm!r} scales rows in place: the matrix must be writeable, "
                "or copied"
            )
        table = cls(
            array,
            out_of_range=given.out_of_range if ranks == 1 else "raise",
            padding_idx=padding,
            max_norm=given.max_norm,
            norm_type=given.norm_type,
            writeable=array.flags.writeable,
            share=(rank, ranks, given.rows),
        )
        table.initializer, table.seed = given.initializer, given.seed
        table.regularizer, table.constraint = given.regularizer, given.constraint
        return table

    @property
    def part(self) -> Table:
        """The rows that are in this process: all of them."""
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """(V, D)."""
        rows, dim = self.array.shape
        return rows, dim

    @property
    def rows(self) -> int:
        """How many there are, V."""
        rows: int = self.array.shape[0]
        return rows

    @property
    def dim(self) -> int:
        """The length of each, D."""
        dim: int = self.array.shape[1]
        return dim

    @property
    def dtype(self) -> str:
        """Their dtype's name."""
        return str(self.array.dtype.name)

    def expanded(
        self, calls: Sequence[_core.BackwardCall]
    ) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Return the row and the values of each summand of a gradient, in order of position."""
        return _core.expand(self, calls)

    def coalesced(
        self, calls: Sequence[_core.BackwardCall]
    ) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Return the rows of a gradient, ascending, and their summed values."""
        return _core.coalesce(self, calls)

    def to_dense(
        self, calls: Sequence[_core.BackwardCall], out: NDArray[Any] | None, method: str
    ) -> NDArray[Any]:
        """Return a gradient as an array of the table's shape."""
        return _core.to_dense(self, calls, out, method)

    def penalty(self, ids: ArrayLike | None = None) -> float:
        """Return the regularizer's loss over the table, or over the distinct rows of ids."""
        if self.regularizer is None:
            return 0.0
        return float(self.regularizer(self.rows_as_they_are(ids)))

    def checked(self, check: Callable[[], _Result]) -> _Result:
        """Return ``check()``, before a lookup."""
        return check()

    def agreed(self, body: Callable[[], _Result]) -> _Result:
        """Return ``body()``, once no rank's that shares the table has raised."""
        return body()

    def added(self, loss: Callable[[], float]) -> float:
        """Return what all ranks that share the table have of a loss."""
        return loss()

    def rows_as_they_are(self, ids: ArrayLike | None = None) -> NDArray[Any]:
        """Return all rows, up to date, or the distinct ones of ids; not scaled to max_norm."""
        if ids is None:
            self.settle()
            return self.array.view(np.ndarray)
        rows = np.unique(self.resolve(ids))
        return _core.Lookup(self).gather_as_is(rows[rows >= 0])

    def set_trainable(self, value: bool, name: str) -> None:
        """Say whether the table has a gradient; `name` is that of the layer that errors name.

        Raises
        ------
        ValueError
            If a read-only table is to be trained.
        """
        if value and not self.array.flags.writeable:
            raise ValueError(
                f"the table of {name} is read-only and cannot be trained: "
                f"trainable={value!r} needs a writeable matrix, or a copy"
            )
        self.trainable = bool(value)

    @property
    def owner(self) -> Any:
        """The live optimizer that updates the table, or None.

        Two would each hold half of the truth about its state.
        """
        owner = self._owner
        return None if owner is None else owner()

    def take(self, owner: object, mutex: Mutex | None = None) -> None:
        """Have the table updated by an optimizer, to which only a weak reference is kept.

        Rows are settled first, where a former owner's steps are pending. With a `mutex`, that of
        all the owner's tables, the table is at rest under it from now on.
        """
        self.detach()
        self._owner = weakref.ref(owner)
        if mutex is not None:
            self.mutex = mutex

    def let_go(self) -> None:
        """Have the table updated by nobody; rows are settled first."""
        self.detach()
        self._owner = None

    def freeze(self, rows: ArrayLike) -> None:
        """Freeze rows between two steps."""
        at_rest([self], functools.partial(super().freeze, rows))

    def unfreeze(self, rows: ArrayLike | None = None) -> None:
        """Unfreeze rows, or all, between two steps."""
        at_rest([self], functools.partial(super().unfreeze, rows))

    def grow_to(self, rows: int) -> None:
        """Move to new memory with so many rows, the new ones by the initializer.

        Of a share, these are the rows of the whole table.

        Raises
        ------
        ValueError
            If they are fewer than there are; nothing has changed then.
        """
        at_rest([self], functools.partial(self._grow_to, rows))

    def _grow_to(self, rows: int) -> None:
        rank, ranks, old = self.share
        rows = _checks.integer(rows, "new_input_dim", old)
        if rows == old:
            return
        numbers = range(rank, rows, ranks)
        array = _core.zeros((len(numbers), self.dim), self.dtype, promised=True)
        array[self.rows :] = _initial_rows(
            self.initializer, numbers[self.rows :], (rows, self.dim), self.dtype
        )
        share = (rank, ranks, rows)
        owner = self.owner
        if owner is None:
            self.grow(array, share=share)
        else:
            owner._grow(self, array, share)
        self.share = share

    def __reduce__(self) -> tuple[Any, ...]:
        self.settle()
        return self._reduced(self.array)

    def __deepcopy__(self, memo: dict[int, Any]) -> Table:
        """Return a copy of whole rows, as they are between two steps."""
        restored, made_from, state = at_rest([self], self._reduced_apart)
        copied: Table = restored(*made_from)
        memo[id(self)] = copied
        copied.__dict__.update(copy.deepcopy(state, memo))
        return copied

    def _reduced_apart(self) -> tuple[Any, ...]:
        """Return what `__reduce__` does, with a copy of the rows."""
        self.settle()
        with _core.Holding((self,), alone=False):  # lookups with a max_norm write rows
            array = self.array.copy()
        return self._reduced(array)

    def _reduced(self, array: NDArray[Any]) -> tuple[Any, ...]:
        # Objects of the user's go into the state, where they may lead back to the table.
        options = (self.out_of_range, self.padding_idx, self.max_norm, self.norm_type)
        made_from = (array, self.array.flags.writeable, self.frozen_rows(), options)
        state = dict(self.__dict__)
        del state["mutex"], state["_owner"]
        return _restored, (type(self), *made_from), state


def at_rest(tables: Iterable[Table], body: Callable[[], _Result]) -> _Result:
    """Return ``body()``, while no other thread steps, grows, freezes or takes any of the tables."""
    tables = list(tables)
    # Always in one order: no two calls block each other.
    return _at_rest(tables, sorted({table.mutex for table in tables}, key=id), 0, body)


def _at_rest(
    tables: list[Table], mutexes: list[Mutex], taken: int, body: Callable[[], _Result]
) -> _Result:
    """Take the mutexes from number `taken` on, and return ``body()``.

    By a plain `with` each: no signal comes between its taking a lock and its giving it back, as
    there is room for in a context manager or a stack of them.
    """
    if taken < len(mutexes):
        with mutexes[taken].held:
            return _at_rest(tables, mutexes, taken + 1, body)
    if set(mutexes) != {table.mutex for table in tables}:  # one was taken by an optimizer meanwhile
        return at_rest(tables, body)
    return body()


def _restored(
    cls: type[Table],
    array: NDArray[Any],
    writeable: bool,
    frozen_rows: NDArray[np.int64],
    options: tuple[Any, ...],
) -> Table:
    """Return the table that was pickled, without what goes into its state."""
    if writeable:
        array = _arrays.writeable(array)
    else:
        array.flags.writeable = False
    names = ("out_of_range", "padding_idx", "max_norm", "norm_type")
    table = cls(array, writeable=writeable, **dict(zip(names, options, strict=True)))
    table.freeze(frozen_rows)
    return table


def _initial_rows(
    initializer: Callable[..., Any] | None, numbers: range, shape: tuple[int, int], dtype: str
) -> NDArray[Any]:
    """Return those rows that the initializer makes of a table of `shape`."""
    total_rows, dim = shape
    # Only our own are known to make what is asked, in memory that nobody else holds.
    if not initializers.is_builtin(initializer):
        if initializer is None:
            raise TypeError("a table without an initializer cannot grow")
        made = initializer(shape, dtype=dtype)
        made = _copied(made, shape, dtype, "the array that embeddings_initializer made")
        return made[numbers.start : numbers.stop : numbers.step]
    if not initializer.in_parts:
        return initializer(shape, dtype=dtype)[numbers.start : numbers.stop : numbers.step]
    return initializer(
        (len(numbers), dim),
        dtype=dtype,
        first_row=numbers.start,
        row_step=numbers.step,
        total_rows=total_rows,
    )


def _copied(values: Any, shape: tuple[int, ...], dtype: str, name: str) -> NDArray[Any]:
    values = _arrays.as_array(values, name)
    if values.shape != shape:
        raise ValueError(f"{name} has shape {values.shape}, but must have shape {shape}")
    if values.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be real numbers, not {values.dtype}")
    table = _core.zeros(shape, dtype, promised=True)
    np.copyto(table, values, casting="same_kind" if values.dtype.kind == "f" else "unsafe")
    return table
