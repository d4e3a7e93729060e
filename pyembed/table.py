"""The table: rows in memory, and all that belongs to them whichever layer looks them up."""

from __future__ import annotations

import copy
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
    """

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
    ) -> None:
        super().__init__(
            array,
            out_of_range=out_of_range,
            padding_idx=padding_idx,
            max_norm=max_norm,
            norm_type=norm_type,
            writeable=writeable,
        )
        self.out_of_range = out_of_range
        self.padding_idx = padding_idx
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.trainable = writeable
        self.mutex = Mutex()  # see `at_rest`
        self._owner: weakref.ref[Any] | None = None

    @classmethod
    def create(
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
    ) -> Table:
        """Return the table that a layer's arguments describe, which `Embedding` explains.

        Raises
        ------
        ValueError
            If an argument's value is not allowed.
        TypeError
            If `dtype`, or that of `weights`, is none that tables have.
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
        initializer = initializers.get(embeddings_initializer, seed)
        regularizer = regularizers.get(embeddings_regularizer, "embeddings_regularizer")
        constraint = constraints.get(embeddings_constraint, "embeddings_constraint")
        if isinstance(weights, Shared):
            # A view: whatever becomes of the caller's array object, the table keeps its shape.
            array = weights.matrix.view(np.ndarray)
        elif weights is not None:
            is_listed = isinstance(weights, Sequence) and len(weights) == 1
            array = _copied(
                weights[0] if is_listed and np.ndim(weights[0]) == 2 else weights,
                (rows, dim),
                dtype,
                "weights",
            )
        else:
            array = _initial_rows(initializer, 0, (rows, dim), dtype)
            if padding_idx is not None:
                array[padding_idx] = 0.0
        if max_norm is not None and not array.flags.writeable:
            raise ValueError(
                f"max_norm={max_norm!r} scales rows in place: the matrix must be writeable, or "
                "copied"
            )
        table = cls(
            array,
            out_of_range=out_of_range,
            padding_idx=padding_idx,
            max_norm=max_norm,
            norm_type=norm_type,
            writeable=array.flags.writeable,
        )
        table.initializer, table.seed = initializer, seed
        table.regularizer, table.constraint = regularizer, constraint
        return table

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

        Raises
        ------
        ValueError
            If they are fewer than there are; nothing has changed then.
        """
        at_rest([self], functools.partial(self._grow_to, rows))

    def _grow_to(self, rows: int) -> None:
        old = self.rows
        rows = _checks.integer(rows, "new_input_dim", old)
        if rows == old:
            return
        array = _core.zeros((rows, self.dim), self.dtype, promised=True)
        array[old:] = _initial_rows(self.initializer, old, array.shape, self.dtype)
        owner = self.owner
        if owner is None:
            self.grow(array)
        else:
            owner._grow(self, array)

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
    initializer: Callable[..., Any] | None, begin: int, shape: tuple[int, ...], dtype: str
) -> NDArray[Any]:
    """Return the rows from `begin` on that the initializer makes of a table of `shape`."""
    end, dim = shape
    # Only our own are known to make what is asked, in memory that nobody else holds.
    if not initializers.is_builtin(initializer):
        if initializer is None:
            raise TypeError("a table without an initializer cannot grow")
        made = initializer(shape, dtype=dtype)
        return _copied(made, shape, dtype, "the array that embeddings_initializer made")[begin:]
    if not initializer.in_parts:
        return initializer(shape, dtype=dtype)[begin:]
    return initializer((end - begin, dim), dtype=dtype, first_row=begin, total_rows=end)


def _copied(values: Any, shape: tuple[int, ...], dtype: str, name: str) -> NDArray[Any]:
    values = _arrays.as_array(values, name)
    if values.shape != shape:
        raise ValueError(f"{name} has shape {values.shape}, but must have shape {shape}")
    if values.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be real numbers, not {values.dtype}")
    table = _core.zeros(shape, dtype, promised=True)
    np.copyto(table, values, casting="same_kind" if values.dtype.kind == "f" else "unsafe")
    return table
