"""What `Embedding` and `EmbeddingBag` share: a table, and arguments that are the layer's own."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from pyembed import _arrays, _checks, _core, constraints, initializers, regularizers, sharding
from pyembed._core import BackwardCall
from pyembed.lookup import check_frequency
from pyembed.sharding import AnyLookup, AnyTable
from pyembed.sparse_grad import SparseGrad
from pyembed.table import Arguments, Shared

_Layer = TypeVar("_Layer", bound="TableLayer")
_Value = TypeVar("_Value")


class Delegated(Generic[_Value]):
    """An attribute that a part of the layer has, its table or its lookup.

    It was checked when that was made, and the compiled core may have its own copy: a new value
    would be half heard.
    """

    def __init__(self, part: str, name: str) -> None:
        self._part, self._name = part, name

    def __set_name__(self, owner: type, name: str) -> None:
        self._shown = name

    def __get__(self, layer: object, owner: type) -> _Value:
        if layer is None:
            return self  # type: ignore[return-value]
        value: _Value = getattr(getattr(layer, self._part), self._name)
        return value

    def __set__(self, layer: object, value: object) -> None:
        raise AttributeError(
            f"{self._shown} cannot be changed once the {type(layer).__name__} is made"
        )


class TableLayer:
    """A table of rows with the arguments of `Embedding`; see there."""

    _table: AnyTable
    _lookup: AnyLookup
    _how: tuple[str, bool] | None = None  # a bag's mode and include_last_offset, as given
    _counts: ClassVar[dict[str, itertools.count[int]]] = {}

    input_dim = Delegated[int]("_table", "rows")
    output_dim = Delegated[int]("_table", "dim")
    dtype = Delegated[str]("_table", "dtype")
    padding_idx = Delegated[int | None]("_table", "padding_idx")
    out_of_range = Delegated[str]("_table", "out_of_range")
    max_norm = Delegated[float | None]("_table", "max_norm")
    norm_type = Delegated[float]("_table", "norm_type")
    seed = Delegated[int | None]("_table", "seed")
    embeddings_initializer = Delegated[Callable[..., Any]]("_table", "initializer")
    embeddings_regularizer = Delegated[Callable[..., Any] | None]("_table", "regularizer")
    embeddings_constraint = Delegated[Callable[..., Any] | None]("_table", "constraint")
    scale_grad_by_freq = Delegated[bool]("_lookup", "by_frequency")

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: initializers.InitializerLike = "uniform",
        embeddings_regularizer: regularizers.RegularizerLike | None = None,
        activity_regularizer: regularizers.RegularizerLike | None = None,
        embeddings_constraint: constraints.ConstraintLike | None = None,
        mask_zero: bool = False,
        input_length: int | tuple[int, ...] | None = None,
        *,
        weights: Any = None,
        trainable: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        out_of_range: str = "raise",
        dtype: DTypeLike = "float32",
        seed: int | None = None,
        name: str | None = None,
        comm: Any = None,
        sum_by: str = "rank",
    ) -> None:
        ranks = sharding.ranks_of(comm)
        self._table = ranks.table(
            functools.partial(
                Arguments.checked,
                input_dim,
                output_dim,
                embeddings_initializer=embeddings_initializer,
                embeddings_regularizer=embeddings_regularizer,
                embeddings_constraint=embeddings_constraint,
                weights=weights,
                padding_idx=padding_idx,
                max_norm=max_norm,
                norm_type=norm_type,
                out_of_range=out_of_range,
                dtype=dtype,
                seed=seed,
            ),
            sum_by,
        )

        def set_own() -> None:
            self._set_own(mask_zero, input_length, activity_regularizer, scale_grad_by_freq, name)
            self.trainable = trainable

        ranks.agreed(set_own)
        ranks.agree_on(type(self).__name__, self._agreed_arguments)

    def _set_own(
        self,
        mask_zero: bool,
        input_length: int | tuple[int, ...] | None,
        activity_regularizer: regularizers.RegularizerLike | None,
        scale_grad_by_freq: bool,
        name: str | None,
    ) -> None:
        """Set what is not the table's: layers that share one may differ in it."""
        self.mask_zero = bool(mask_zero)
        self.input_length = _length(input_length)
        self.activity_regularizer = regularizers.get(activity_regularizer, "activity_regularizer")
        self._lookup = self._new_lookup(bool(scale_grad_by_freq))
        self.name = self._default_name() if name is None else str(name)

    def _new_lookup(self, by_frequency: bool) -> AnyLookup:
        if self._how is None:
            return sharding.lookup_of(self._table, None, False, by_frequency)
        mode, include_last_offset = self._how
        mode = _checks.pooling_mode(mode)
        check_frequency(mode, by_frequency)
        return sharding.lookup_of(self._table, mode, bool(include_last_offset), by_frequency)

    def _agreed_arguments(self) -> dict[str, Any]:
        """Return what must be the same on all ranks."""
        arguments = {**self.get_config(), "sum_by": self._table.sum_by}
        del arguments["name"]
        return arguments

    @classmethod
    def _sharing(
        cls: type[_Layer],
        emb: TableLayer,
        how: tuple[str, bool] | None,
        mask_zero: bool | None,
        *own: Any,
    ) -> _Layer:
        if not isinstance(emb, TableLayer):
            raise TypeError(
                f"emb must be a layer (Embedding, EmbeddingBag), not {type(emb).__name__}"
            )
        made = cls.__new__(cls)
        made._how = how
        made._table = emb._table
        made._set_own(emb.mask_zero if mask_zero is None else mask_zero, *own)
        return made

    @property
    def trainable(self) -> bool:
        """Whether the table has a gradient; settable, but to False alone where it is read-only.

        It is the table's: all layers that share one agree.
        """
        return self._table.trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._table.set_trainable(value, self.name)

    def freeze(self, rows: ArrayLike) -> None:
        """Keep rows as they are: no gradient, no update, no decay, no rescaling by `max_norm`.

        In a bag they count as before. The table's other layers keep them too.

        Parameters
        ----------
        rows : array_like of int
            With a `comm`, rows of the whole table; collective, and what any rank names is frozen.

        Raises
        ------
        IndexError
            If one is outside the table; nothing is frozen then.
        TypeError
            If `rows` are not integers.
        """
        self._table.freeze(rows)

    def unfreeze(self, rows: ArrayLike | None = None) -> None:
        """Let frozen rows have gradients again.

        Parameters
        ----------
        rows : array_like of int, optional
            Frozen or not; all where None. With a `comm`, collective, as in `freeze`.

        Raises
        ------
        IndexError, TypeError
            As `freeze`.
        """
        self._table.unfreeze(rows)

    @property
    def frozen_rows(self) -> NDArray[np.int64]:
        """The rows that `freeze` keeps, ascending; with a `comm`, those of them that are here."""
        return self._table.frozen_rows()

    def grow(self, new_input_dim: int) -> None:
        """Add rows to the table, and to the state of its optimizer.

        The initializer makes the new rows: those that a table of `new_input_dim` rows has there.
        (One that cannot make a range of rows alone makes all of that table.) They have no optimizer
        state; step counts go on. With a `comm`, collective.

        The table moves into new memory, so `embeddings` is another view from now on; a matrix that
        it shared by `from_pretrained` is no longer part of it. There must be memory for the old and
        the new table while rows are copied.

        Parameters
        ----------
        new_input_dim : int
            At least `input_dim`.

        Raises
        ------
        ValueError
            If it is none; nothing has changed then.
        """
        self._table.grow_to(new_input_dim)

    @property
    def embeddings(self) -> NDArray[Any]:
        """The live table, an ndarray view ``(input_dim, output_dim)``: what is written counts.

        It is written in place, as in ``emb.embeddings[:] = values`` or ``emb.embeddings *= 2``.
        With an optimizer ``SparseAdam(update="exact")``, all rows are brought up to date first:
        take a fresh view after a step, and write only through that.

        Raises
        ------
        RuntimeError
            If the layer has a `comm`: `local` has the rows that are here.
        """
        self._table.settle()
        return self._table.array.view(np.ndarray)

    @embeddings.setter
    def embeddings(self, value: NDArray[Any]) -> None:
        # Python assigns the result of ``emb.embeddings *= 2``: the table itself, written already.
        table = self._table.array
        if not isinstance(value, np.ndarray) or (
            value.__array_interface__["data"] != table.__array_interface__["data"]
            or value.shape != table.shape
        ):
            raise AttributeError(
                "a table never moves: write into it with emb.embeddings[:] = values"
            )

    @property
    def local(self) -> NDArray[Any]:
        """The rows of the live table that are in this process, a view as `embeddings` is.

        Without a `comm`, all of them; with one, an array ``(rows, output_dim)`` of the rows rank,
        rank + size, rank + 2 size, …, which may be none. (With ``SparseAdam(update="exact")`` it
        brings these up to date, so that the bits are those of one process only where all ranks
        read it between the same steps.)
        """
        part = self._table.part
        part.settle()
        return part.array.view(np.ndarray)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Return `embeddings`, by NumPy's rules: ``numpy.asarray(emb)`` is the live table."""
        table = self.embeddings
        if dtype is None or np.dtype(dtype) == table.dtype:
            return table.copy() if copy else table
        if copy is False:
            raise ValueError(f"a {np.dtype(dtype)} array of a {table.dtype} table is a copy")
        return table.astype(dtype)

    @classmethod
    def from_pretrained(
        cls: type[_Layer],
        matrix: Any,
        *,
        trainable: bool = False,
        copy: bool = False,
        **kwargs: Any,
    ) -> _Layer:
        """Make a layer from a matrix of rows.

        Parameters
        ----------
        matrix : ndarray, shape (input_dim, output_dim)
            float32 or float64; or an array of another library on the CPU, such as a tensor of
            PyTorch, by DLPack or the buffer protocol. Without a copy, rows must be contiguous; a
            read-only matrix (a memory map, say) serves a layer that is not trainable.
        trainable : bool
        copy : bool
            False: `matrix` becomes the table, sharing its memory. True: it is copied, and cast
            where `dtype` is given.
        **kwargs
            Further arguments of the layer. With `comm`, the matrix is the whole one on all ranks;
            each rank's table is its own rows of it.

        Raises
        ------
        TypeError
            If `matrix` is no array of the dtype wanted and cannot be cast without a copy.
        ValueError
            If its shape or layout does not allow sharing, or it is read-only and trainable.
        """
        ranks = sharding.ranks_of(kwargs.get("comm"))
        array, dtype = ranks.agreed(lambda: _pretrained(matrix, copy, kwargs.get("dtype")))
        weights = array if copy else Shared(array)
        return cls(*array.shape, weights=weights, trainable=trainable, **{**kwargs, "dtype": dtype})

    @classmethod
    def from_config(cls: type[_Layer], config: dict[str, Any]) -> _Layer:
        """Make a new layer, freshly initialised, from what `get_config` returned."""
        return cls(**config)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make a layer like this one.

        Its values are not among them, nor is its comm.
        """
        return {
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": regularizers.serialize(self.embeddings_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "embeddings_constraint": constraints.serialize(self.embeddings_constraint),
            "mask_zero": self.mask_zero,
            "input_length": self.input_length,
            "trainable": self.trainable,
            "padding_idx": self.padding_idx,
            "max_norm": self.max_norm,
            "norm_type": self.norm_type,
            "scale_grad_by_freq": self.scale_grad_by_freq,
            "out_of_range": self.out_of_range,
            "dtype": self.dtype,
            "seed": self.seed,
            "name": self.name,
        }

    def prefetch(self, ids: ArrayLike) -> None:
        """Begin the next lookup, where its rows are with other ranks; collective.

        With a `comm`, the ids of the next batch are sent while this one is worked on. The next
        lookup is then to be of these ids, without dropout, on all ranks: if it is not, it is made
        as if nothing had been begun. Its values are those of the table when it is made. Without a
        `comm`, nothing happens.

        Parameters
        ----------
        ids : array_like of int
            As will be given to the lookup; they may change until then.

        Raises
        ------
        IndexError, TypeError
            As the lookup.
        """
        self._lookup.prefetch(ids)

    def compute_mask(self, ids: ArrayLike) -> NDArray[np.bool_] | None:
        """Return ``ids != 0`` where `mask_zero` is set, else None."""
        if not self.mask_zero:
            return None
        ids = _arrays.as_array(ids, "ids")
        if ids.dtype.kind not in "iu" and ids.size:
            raise TypeError(f"ids must be integers, not {ids.dtype}")
        return np.asarray(ids != 0)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(input_dim={self.input_dim}, output_dim={self.output_dim}, "
            f"dtype={self.dtype!r}, name={self.name!r})"
        )

    @property
    def _lengths(self) -> tuple[int, ...]:
        """The lengths that ids' last axes must have."""
        if self.input_length is None:
            return ()
        return self.input_length if isinstance(self.input_length, tuple) else (self.input_length,)

    def _check_length(self, ids: ArrayLike) -> None:
        if self.input_length is None:
            return
        shape = np.shape(ids)
        lengths = self._lengths
        if len(shape) < len(lengths) or shape[len(shape) - len(lengths) :] != lengths:
            axes = "axis" if len(lengths) == 1 else "axes"
            raise ValueError(
                f"ids have shape {shape}, but their last {axes} must be "
                f"input_length={self.input_length}"
            )

    def _backward(
        self,
        ids: ArrayLike,
        grad_output: ArrayLike,
        *bag: Any,
        dropping: tuple[Any, Any] = (None, None),
    ) -> SparseGrad:
        """Return the table's gradient for a lookup, of bags or with dropout."""
        looks_up = self._lookup.needs_table or self.activity_regularizer is not None

        def check() -> tuple[float, int] | None:
            if not self._table.trainable:
                raise RuntimeError(
                    f"{self.name} is not trainable (trainable=False): it has no gradient"
                )
            self._check_length(ids)
            if self.activity_regularizer is not None:
                self._lookup.check_call(ids, grad_output, *bag)
            return _checks.dropout(*dropping)

        dropout = self._table.checked(check) if looks_up else check()
        if self.activity_regularizer is not None:
            output = self._lookup.gather_as_is(ids, *(bag or (None, None)), *(dropout or ()))
            grad_output = self._table.agreed(lambda: self._with_activity(grad_output, output))
        return SparseGrad(self._table, (self._call(ids, grad_output, bag, dropout),))

    def _call(
        self,
        ids: ArrayLike,
        grad_output: ArrayLike,
        bag: tuple[Any, ...],
        dropping: tuple[float, int] | None,
    ) -> BackwardCall:
        if dropping is not None:
            return self._lookup.call_dropping(ids, grad_output, *dropping)
        return self._lookup.call(ids, grad_output, *bag)

    def _with_activity(self, grad_output: ArrayLike, output: NDArray[Any]) -> NDArray[Any]:
        """Return the upstream gradient with that of the activity regularizer."""
        regularizer = self.activity_regularizer
        added = regularizers.gradient_of(regularizer, "activity_regularizer", output)
        batch_size = output.dtype.type(max(_batch_size(output), 1))
        return np.asarray(np.asarray(grad_output) + added / batch_size)

    def _loss(self, ids: ArrayLike | None, *bag: Any) -> float:
        """Return the loss of both regularizers for one lookup; of the table's alone without ids."""
        if ids is None:
            return self._table.penalty()
        if self.input_length is not None:
            self._table.checked(lambda: self._check_length(ids))
        output = self._lookup.gather_as_is(ids, *bag)
        loss = self._table.penalty(ids)
        activity = self.activity_regularizer
        if activity is None:
            return loss

        def of_output() -> float:
            return float(activity(output)) / _batch_size(output) if output.size > 0 else 0.0

        return loss + self._table.added(of_output)

    @classmethod
    def _default_name(cls) -> str:
        """Return a name numbered within the class, as Keras gives them: embedding, embedding_1."""
        base = "".join("_" + c.lower() if c.isupper() else c for c in cls.__name__).lstrip("_")
        number = next(TableLayer._counts.setdefault(base, itertools.count()))
        return f"{base}_{number}" if number else base


def _pretrained(matrix: Any, copy: bool, dtype: DTypeLike | None) -> tuple[NDArray[Any], str]:
    """Return a matrix as `from_pretrained` takes it, and the dtype of its table."""
    read = _arrays.as_array if copy else _arrays.shared_array
    array = read(matrix, "matrix")
    if array.ndim != 2:
        raise ValueError(f"matrix must have two axes (rows, dim), not shape {array.shape}")
    if dtype is None and str(array.dtype) not in _core.elements:
        raise TypeError(
            f"matrix has dtype {array.dtype}: say which the table shall have, as in "
            f"{'' if copy else 'copy=True, '}dtype={_core.elements[0]!r}"
        )
    name = _checks.float_dtype(array.dtype if dtype is None else dtype)
    if not copy and array.dtype != name:
        raise TypeError(f"matrix is {array.dtype}: a {name} table of it needs copy=True")
    return array, name


def _batch_size(output: NDArray[Any]) -> int:
    return len(output) if output.ndim > 1 else 1


def _length(value: Any) -> int | tuple[int, ...] | None:
    """Return a checked `input_length`."""
    if value is None:
        return None
    if isinstance(value, (tuple, list)):
        return tuple(_checks.integer(length, "input_length", 0) for length in value)
    return _checks.integer(value, "input_length", 0)
