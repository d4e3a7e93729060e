"""What `Embedding` and `EmbeddingBag` share: the table and the arguments that describe it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from pyembed import _arrays, _checks, _claims, _core, constraints, initializers, regularizers
from pyembed._core import BackwardCall, Table
from pyembed._fixed import Fixed
from pyembed._regularization import gradient_of

_Layer = TypeVar("_Layer", bound="TableLayer")


class _Shared:
    """Marks a matrix that becomes the table itself, as `from_pretrained` without a copy wants."""

    def __init__(self, matrix: NDArray[Any]) -> None:
        self.matrix = matrix


class TableLayer(Fixed):
    """A table of rows with the arguments of `Embedding`; see there."""

    # What belongs to the table, and to every layer that shares it.
    _of_table: ClassVar[tuple[str, ...]] = (
        "output_dim",
        "dtype",
        "padding_idx",
        "out_of_range",
        "max_norm",
        "norm_type",
        "seed",
        "embeddings_initializer",
        "embeddings_regularizer",
        "embeddings_constraint",
        "_table",
        "_trainable",
    )
    _fixed = frozenset({*_of_table, "input_dim"}) - {"_trainable"}
    _counts: ClassVar[dict[str, itertools.count[int]]] = {}

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
    ) -> None:
        input_dim = _checks.integer(input_dim, "input_dim", 1)
        self.output_dim = _checks.integer(output_dim, "output_dim", 0)
        self.dtype = _checks.float_dtype(dtype)
        self.padding_idx = _row(padding_idx, "padding_idx", input_dim)
        self.out_of_range = _checks.one_of(
            out_of_range, "out_of_range", ("raise", "clip", "zero", "wrap")
        )
        self.seed = None if seed is None else _checks.integer(seed, "seed", 0, 2**64 - 1)
        self.max_norm = None if max_norm is None else _checks.positive(max_norm, "max_norm")
        self.norm_type = _checks.positive(norm_type, "norm_type", or_inf=True)
        self.embeddings_initializer = initializers.get(embeddings_initializer, self.seed)
        self.embeddings_regularizer = regularizers.get(
            embeddings_regularizer, "embeddings_regularizer"
        )
        self.embeddings_constraint = constraints.get(embeddings_constraint, "embeddings_constraint")
        self._set_own(mask_zero, input_length, activity_regularizer, scale_grad_by_freq, name)
        array = self._initial(weights, input_dim)
        if self.max_norm is not None and not array.flags.writeable:
            raise ValueError(
                f"max_norm={max_norm!r} scales rows in place: the matrix must be writeable, or "
                "copied"
            )
        self._table = Table(
            array,
            out_of_range=self.out_of_range,
            padding_idx=self.padding_idx,
            max_norm=self.max_norm,
            norm_type=self.norm_type,
            writeable=array.flags.writeable,
        )
        self.trainable = trainable

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
        self.scale_grad_by_freq = bool(scale_grad_by_freq)
        self.name = self._default_name() if name is None else str(name)

    @classmethod
    def _sharing(cls: type[_Layer], emb: TableLayer, mask_zero: bool | None, **own: Any) -> _Layer:
        if not isinstance(emb, TableLayer):
            raise TypeError(
                f"emb must be a layer (Embedding, EmbeddingBag), not {type(emb).__name__}"
            )
        made = cls.__new__(cls)
        made.__dict__.update({name: emb.__dict__[name] for name in cls._of_table})
        made._set_own(emb.mask_zero if mask_zero is None else mask_zero, **own)
        return made

    @property
    def input_dim(self) -> int:
        """The table's number of rows; `grow` adds some."""
        rows: int = self._table.array.shape[0]
        return rows

    @property
    def trainable(self) -> bool:
        """Whether the table has a gradient; settable, but to False alone where it is read-only."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        if value and not self._table.array.flags.writeable:
            raise ValueError(
                f"the table of {self.name} is read-only and cannot be trained: "
                f"trainable={value!r} needs a writeable matrix, or a copy"
            )
        self._trainable = bool(value)

    def freeze(self, rows: ArrayLike) -> None:
        """Keep rows as they are: no gradient, no update, no decay, no rescaling by `max_norm`.

        In a bag they count as before. The table's other layers keep them too.

        Parameters
        ----------
        rows : array_like of int

        Raises
        ------
        IndexError
            If one is outside the table; nothing is frozen then.
        TypeError
            If `rows` are not integers.
        """
        with _claims.no_step(self._table):
            self._table.freeze(rows)

    def unfreeze(self, rows: ArrayLike | None = None) -> None:
        """Let frozen rows have gradients again.

        Parameters
        ----------
        rows : array_like of int, optional
            Frozen or not; all where None.

        Raises
        ------
        IndexError, TypeError
            As `freeze`.
        """
        with _claims.no_step(self._table):
            self._table.unfreeze(rows)

    @property
    def frozen_rows(self) -> NDArray[np.int64]:
        """The rows that `freeze` keeps, ascending."""
        return self._table.frozen_rows()

    def grow(self, new_input_dim: int) -> None:
        """Add rows to the table, and to the state of its optimizer.

        The initializer makes the new rows: those that a table of `new_input_dim` rows has there.
        (One that cannot make a range of rows alone makes all of that table.) They have no optimizer
        state; step counts go on.

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
        with _claims.no_step(self._table):
            rows = _checks.integer(new_input_dim, "new_input_dim", self.input_dim)
            if rows == self.input_dim:
                return
            array = _core.zeros((rows, self.output_dim), self.dtype)
            array[self.input_dim :] = self._made_rows(self.input_dim, rows)
            optimizer = _claims.owner(self._table)
            if optimizer is None:
                self._table.grow(array)
            else:
                optimizer._grow(self._table, array)

    @property
    def embeddings(self) -> NDArray[Any]:
        """The live table, an ndarray view ``(input_dim, output_dim)``: what is written counts.

        It is written in place, as in ``emb.embeddings[:] = values`` or ``emb.embeddings *= 2``.
        With an optimizer ``SparseAdam(update="exact")``, all rows are brought up to date first:
        take a fresh view after a step, and write only through that.
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
            Further arguments of the layer.

        Raises
        ------
        TypeError
            If `matrix` is no array of the dtype wanted and cannot be cast without a copy.
        ValueError
            If its shape or layout does not allow sharing, or it is read-only and trainable.
        """
        read = _arrays.as_array if copy else _arrays.shared_array
        array = read(matrix, "matrix")
        if array.ndim != 2:
            raise ValueError(f"matrix must have two axes (rows, dim), not shape {array.shape}")
        dtype = kwargs.pop("dtype", None) if copy else kwargs.get("dtype")
        kwargs["dtype"] = _checks.float_dtype(array.dtype if dtype is None else dtype)
        if not copy and array.dtype != kwargs["dtype"]:
            raise TypeError(
                f"matrix is {array.dtype}: a {kwargs['dtype']} table of it needs copy=True"
            )
        weights = array if copy else _Shared(array)
        return cls(*array.shape, weights=weights, trainable=trainable, **kwargs)

    @classmethod
    def from_config(cls: type[_Layer], config: dict[str, Any]) -> _Layer:
        """Make a new layer, freshly initialised, from what `get_config` returned."""
        return cls(**config)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make a layer like this one; its values are not among them."""
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

    def compute_mask(self, ids: ArrayLike) -> NDArray[np.bool_] | None:
        """Return ``ids != 0`` where `mask_zero` is set, else None."""
        if not self.mask_zero:
            return None
        ids = np.asarray(ids)
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
        shape = np.shape(ids)
        lengths = self._lengths
        if len(shape) < len(lengths) or shape[len(shape) - len(lengths) :] != lengths:
            axes = "axis" if len(lengths) == 1 else "axes"
            raise ValueError(
                f"ids have shape {shape}, but their last {axes} must be "
                f"input_length={self.input_length}"
            )

    def _call(self, ids: Any, grad_output: Any, *bag: Any, **lookup: Any) -> BackwardCall:
        """Return what a step needs of one backward call, checked."""
        if not self.trainable:
            raise RuntimeError(
                f"{self.name} is not trainable (trainable=False): it has no gradient"
            )
        if self.input_length is not None:
            self._check_length(ids)
        return BackwardCall(
            ids,
            grad_output,
            self.output_dim,
            self.dtype,
            *bag,
            table=self._table,
            by_frequency=self.scale_grad_by_freq,
            **lookup,
        )

    def _with_activity(self, grad_output: Any, output: NDArray[Any], batch_size: int) -> Any:
        """Return the upstream gradient with that of the activity regularizer."""
        added = gradient_of(self.activity_regularizer, "activity_regularizer", output)
        return np.asarray(grad_output) + added / output.dtype.type(max(batch_size, 1))

    def _loss_of_rows(self, ids: ArrayLike | None) -> float:
        """Return the regularizer's loss over the distinct rows of ids, or over the table."""
        if self.embeddings_regularizer is None:
            return 0.0
        if ids is None:
            return float(self.embeddings_regularizer(self.embeddings))
        rows = np.unique(self._table.resolve(ids))
        looked_up = self._table.gather(rows[rows >= 0], renormalise=False)
        return float(self.embeddings_regularizer(looked_up))

    def _loss(self, ids: ArrayLike, output: NDArray[Any], batch_size: int) -> float:
        """Return the loss of both regularizers for one lookup and its result."""
        loss = self._loss_of_rows(ids)
        if self.activity_regularizer is not None and output.size > 0:
            loss += float(self.activity_regularizer(output)) / batch_size
        return loss

    def _initial(self, weights: Any, rows: int) -> NDArray[Any]:
        """Return the array that becomes the table."""
        if isinstance(weights, _Shared):
            # A view: whatever becomes of the caller's array object, the table keeps its shape.
            return weights.matrix.view(np.ndarray)
        if weights is None:
            table = self._made_rows(0, rows)
            if self.padding_idx is not None:
                table[self.padding_idx] = 0.0
            return table
        if isinstance(weights, Sequence) and len(weights) == 1 and np.ndim(weights[0]) == 2:
            weights = weights[0]
        return self._copied(weights, rows, "weights")

    def _made_rows(self, begin: int, end: int) -> NDArray[Any]:
        """Return the rows [begin, end) that the initializer makes of a table of `end` rows."""
        initializer = self.embeddings_initializer
        # Only our own are known to make what is asked, in memory that nobody else holds.
        if not initializers.is_builtin(initializer):
            made = initializer((end, self.output_dim), dtype=self.dtype)
            name = "the array that embeddings_initializer made"
            return self._copied(made, end, name)[begin:]
        if not initializer.in_parts:
            return initializer((end, self.output_dim), dtype=self.dtype)[begin:]
        shape = (end - begin, self.output_dim)
        return initializer(shape, dtype=self.dtype, first_row=begin, total_rows=end)

    def _copied(self, values: Any, rows: int, name: str) -> NDArray[Any]:
        values = _arrays.as_array(values, name)
        shape = (rows, self.output_dim)
        if values.shape != shape:
            raise ValueError(f"{name} has shape {values.shape}, but must have shape {shape}")
        if values.dtype.kind not in "fiu":
            raise TypeError(f"{name} must be real numbers, not {values.dtype}")
        table = _core.zeros(shape, self.dtype)
        np.copyto(table, values, casting="same_kind" if values.dtype.kind == "f" else "unsafe")
        return table

    @classmethod
    def _default_name(cls) -> str:
        """Return a name numbered within the class, as Keras gives them: embedding, embedding_1."""
        base = "".join("_" + c.lower() if c.isupper() else c for c in cls.__name__).lstrip("_")
        number = next(TableLayer._counts.setdefault(base, itertools.count()))
        return f"{base}_{number}" if number else base


def _row(row: int | None, name: str, rows: int) -> int | None:
    """Return a checked row, counted from the start of a table of `rows` rows."""
    return None if row is None else _checks.integer(row, name, -rows, rows - 1) % rows


def _length(value: Any) -> int | tuple[int, ...] | None:
    """Return a checked `input_length`."""
    if value is None:
        return None
    if isinstance(value, (tuple, list)):
        return tuple(_checks.integer(length, "input_length", 0) for length in value)
    return _checks.integer(value, "input_length", 0)
