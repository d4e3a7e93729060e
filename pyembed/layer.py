"""What `Embedding` and `EmbeddingBag` share: the table and the arguments that describe it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from pyembed import _checks, _core, initializers
from pyembed._core import BackwardCall, Table
from pyembed._fixed import Fixed
from pyembed.sparse_grad import SparseGrad

_Layer = TypeVar("_Layer", bound="TableLayer")

# Keras's and PyTorch's arguments that this version knows but cannot honour yet, and what they are
# where they change nothing.
_NOT_YET = {
    "embeddings_regularizer": None,
    "activity_regularizer": None,
    "embeddings_constraint": None,
    "max_norm": None,
    "norm_type": 2.0,
    "scale_grad_by_freq": False,
}


class _Shared:
    """Marks a matrix that becomes the table itself, as `from_pretrained` without a copy wants."""

    def __init__(self, matrix: NDArray[Any]) -> None:
        self.matrix = matrix


class TableLayer(Fixed):
    """A table of rows with the arguments of `Embedding`; see there."""

    _fixed = frozenset({"input_dim", "output_dim", "dtype", "padding_idx", "out_of_range"})
    _counts: ClassVar[dict[str, itertools.count[int]]] = {}

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: initializers.InitializerLike = "uniform",
        embeddings_regularizer: None = None,
        activity_regularizer: None = None,
        embeddings_constraint: None = None,
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
        _refuse_not_yet(locals())
        self.input_dim = _checks.integer(input_dim, "input_dim", 1)
        self.output_dim = _checks.integer(output_dim, "output_dim", 0)
        self.dtype = _checks.float_dtype(dtype)
        self.mask_zero = bool(mask_zero)
        self.input_length = _length(input_length)
        self.padding_idx = self._row(padding_idx, "padding_idx")
        self.out_of_range = _checks.one_of(
            out_of_range, "out_of_range", ("raise", "clip", "zero", "wrap")
        )
        self.seed = None if seed is None else _checks.integer(seed, "seed", 0, 2**64 - 1)
        self.embeddings_initializer = initializers.get(embeddings_initializer, self.seed)
        self.name = self._default_name() if name is None else str(name)
        array = self._initial(weights)
        self._table = Table(
            array,
            out_of_range=self.out_of_range,
            padding_idx=self.padding_idx,
            writeable=array.flags.writeable,
        )
        self.trainable = trainable

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

    @property
    def embeddings(self) -> NDArray[Any]:
        """The live table, an ndarray view ``(input_dim, output_dim)``: what is written counts.

        It is written in place, as in ``emb.embeddings[:] = values`` or ``emb.embeddings *= 2``.
        """
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

    @classmethod
    def from_pretrained(
        cls: type[_Layer],
        matrix: NDArray[Any],
        *,
        trainable: bool = False,
        copy: bool = False,
        **kwargs: Any,
    ) -> _Layer:
        """Make a layer from a matrix of rows.

        Parameters
        ----------
        matrix : ndarray, shape (input_dim, output_dim)
            float32 or float64. Without a copy, rows must be contiguous; a read-only matrix (a
            memory map, say) serves a layer that is not trainable.
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
        if not copy and not isinstance(matrix, np.ndarray):
            raise TypeError(
                f"matrix must be a numpy.ndarray to share its memory, not "
                f"{type(matrix).__name__}; copy=True takes what numpy.asarray does"
            )
        array = np.asarray(matrix)
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
            "mask_zero": self.mask_zero,
            "input_length": self.input_length,
            "trainable": self.trainable,
            "padding_idx": self.padding_idx,
            "out_of_range": self.out_of_range,
            "dtype": self.dtype,
            "seed": self.seed,
            "name": self.name,
            **_NOT_YET,
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

    def _gradient(self, ids: Any, grad_output: Any, *bag: Any) -> SparseGrad:
        if not self.trainable:
            raise RuntimeError(
                f"{self.name} is not trainable (trainable=False): it has no gradient"
            )
        if self.input_length is not None:
            self._check_length(ids)
        call = BackwardCall(ids, grad_output, self.output_dim, self.dtype, *bag)
        return SparseGrad(self._table, (call,))

    def _row(self, row: int | None, name: str) -> int | None:
        """`row` counted from the start of the table."""
        if row is None:
            return None
        row = _checks.integer(row, name, -self.input_dim, self.input_dim - 1)
        return row % self.input_dim

    def _initial(self, weights: Any) -> NDArray[Any]:
        """Return the array that becomes the table."""
        if isinstance(weights, _Shared):
            # A view: whatever becomes of the caller's array object, the table keeps its shape.
            return weights.matrix.view(np.ndarray)
        if weights is None:
            return self._initialized(self.embeddings_initializer)
        if isinstance(weights, Sequence) and len(weights) == 1 and np.ndim(weights[0]) == 2:
            weights = weights[0]
        return self._copied(weights, "weights")

    def _initialized(self, initializer: Callable[..., Any]) -> NDArray[Any]:
        made = initializer((self.input_dim, self.output_dim), dtype=self.dtype)
        # Only our own are known to make what is asked, in memory that nobody else holds.
        if not initializers.is_builtin(initializer):
            made = self._copied(made, "the array that embeddings_initializer made")
        table: NDArray[Any] = made
        if self.padding_idx is not None:
            table[self.padding_idx] = 0.0
        return table

    def _copied(self, values: Any, name: str) -> NDArray[Any]:
        values = np.asarray(values)
        shape = (self.input_dim, self.output_dim)
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


def _refuse_not_yet(given: dict[str, Any]) -> None:
    for argument, neutral in _NOT_YET.items():
        value = given[argument]
        if value is not neutral and not (np.isscalar(value) and value == neutral):
            raise NotImplementedError(f"{argument}={value!r} is not supported by this version")


def _length(value: Any) -> int | tuple[int, ...] | None:
    """Return a checked `input_length`."""
    if value is None:
        return None
    if isinstance(value, (tuple, list)):
        return tuple(_checks.integer(length, "input_length", 0) for length in value)
    return _checks.integer(value, "input_length", 0)
