"""Keras's embedding layer, with a table that its own optimizer may train."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from pyembed import _checks
from pyembed.keras import _ids, _options
from pyembed.keras._backend import IS_FUNCTIONAL, bridge
from pyembed.keras._clipping import NONE, Clipping
from pyembed.keras._compiled import check_order, check_sum, clipping_of
from pyembed.keras._optimizer import Choice, TableOptimizer
from pyembed.keras._scopes import in_symbolic_scope, is_rematerialized, model_around
from pyembed.keras._trained import Layer, TrainedTable
from pyembed.keras._variable import TableVariable
from pyembed.layers.embedding import Embedding as NumPyEmbedding
from pyembed.sharding.communicator import adapted

_options.register()
_STATE = "optimizer_"  # how names of state begin in a file


@keras.saving.register_keras_serializable(package="pyembed")
class Embedding(keras.layers.Embedding):
    """Keras's `Embedding`; with ``optimizer=``, over a table that is updated in place.

    Without ``optimizer=`` this is Keras's layer, with an ordinary gradient and all that Keras does
    with one: `compile`'s optimizer trains it.

    With ``optimizer=``, the table is ours. Whenever `compile`'s optimizer steps, so does the
    table's own, once, with all gradients of that step, however often the layer was called in it:
    only rows that were looked up are touched. Weights, files, callbacks and `summary` see it as
    they see a Keras variable; its optimizer's state is saved with it.

    Parameters
    ----------
    input_dim, output_dim, embeddings_initializer, embeddings_regularizer, embeddings_constraint
        As in `keras.layers.Embedding`. With ``optimizer=``, a regularizer's gradient is that of the
        rows looked up, and its loss is not part of Keras's; Keras's own classes and pyembed's
        serve.
    mask_zero, weights, lora_rank, lora_alpha, quantization_config
        As there; not LoRA or quantization with ``optimizer=``.
    optimizer : functools.partial, type or dict, optional
        ``functools.partial(pyembed.SparseAdam, learning_rate=1e-3)``, one of pyembed's optimizer
        classes, or the configuration of one. Its learning rate is a number, a callable of the
        step, or a `LearningRateSchedule`.
    input_length : int or tuple of int, optional
        The length that ids' last axes must have. In a `Sequential` model it also tells the input's
        shape, so that `Flatten` and `Dense` can follow.
    comm, sum_by
        With ``optimizer=``, as `pyembed.Embedding` has them: several processes share the table,
        each with its own data. All run the same program: they build the same layers, and call them
        in the same number of batches; a step takes the gradients of all. `weights` may be the whole
        matrix or the rank's own rows. Keras's files do not have such a table: `pyembed.save` saves
        ``layer.table`` and ``layer.optimizer.sparse``.
    **kwargs
        Further arguments of Keras's layers: name, dtype, trainable, activity_regularizer.

    Raises
    ------
    ValueError
        If an argument's value is not allowed, or cannot be used with ``optimizer=``.
    TypeError
        If `optimizer` is no optimizer, or `comm` no communicator.
    """

    built: bool

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: int | None = None,
        lora_alpha: int | None = None,
        quantization_config: Any = None,
        *,
        optimizer: Any = None,
        input_length: int | Sequence[int] | None = None,
        comm: Any = None,
        sum_by: str = "rank",
        **kwargs: Any,
    ) -> None:
        if comm is not None and optimizer is None:
            raise ValueError(
                "comm= needs optimizer=: without one Keras trains a variable of its own, of which "
                "each process has all. Give optimizer=functools.partial(pyembed.SparseAdam), say"
            )
        given = {
            "lora_rank": lora_rank,
            "lora_alpha": lora_alpha,
            "quantization_config": quantization_config,
        }
        # Not every version has all of them.
        kwargs |= {name: value for name, value in given.items() if value is not None}
        super().__init__(
            input_dim,
            output_dim,
            embeddings_initializer,
            embeddings_regularizer,
            embeddings_constraint,
            mask_zero,
            **kwargs,
        )
        self._lengths = _lengths(input_length)
        if self._lengths and not hasattr(self, "_input_shape_arg"):
            self._input_shape_arg = self._lengths  # which Sequential makes an input from
        self._choice = None if optimizer is None else Choice(optimizer)
        self._comm = None if comm is None else adapted(comm)
        self._sum_by = _checks.one_of(sum_by, "sum_by", ("rank", "position"))
        self._own_weights: Any = None  # until the table is made, where ranks share it
        self._model: Any = None  # the last compiled one that called the layer, weakly
        if self._choice is not None:
            self._check_table()
            self.supports_jit = bridge.supports_jit
        if weights is not None and self._comm is not None:
            self._own_weights = weights
            self.build()
            self._own_weights = None
        elif weights is not None:
            self.build()
            is_listed = isinstance(weights, (list, tuple)) and len(weights) == 1
            self.set_weights([np.asarray(weights[0] if is_listed else weights)])

    @property
    def optimizer(self) -> TableOptimizer | None:
        """What trains the table; its `learning_rate` is settable. None without ``optimizer=``."""
        return None if self._choice is None else self._trained.optimizer

    @property
    def table(self) -> Layer | None:
        """The table as a layer of NumPy's (`pyembed.Embedding`); None without ``optimizer=``."""
        return None if self._choice is None else self._trained.layer

    @property
    def input_length(self) -> int | tuple[int, ...] | None:
        """The length that ids' last axes must have, or None."""
        lengths = tuple(self._lengths)
        return (lengths[0] if len(lengths) == 1 else lengths) if lengths else None

    def step(self) -> None:
        """Apply all gradients that wait as one step of the table's optimizer.

        For training loops whose optimizer is not Keras's, such as `torch.optim`: `fit` and
        optimizers of Keras's do it themselves.

        Raises
        ------
        RuntimeError
            Without ``optimizer=``.
        ValueError
            If no rank has any, where several share the table: it is collective then.
        """
        if self._choice is None:
            raise RuntimeError(f"{self.name} has no optimizer=: its variable is yours to update")
        self._trained.step_all()

    @property
    def _trained(self) -> TrainedTable:
        if not self.built:
            self.build()
        return self._embeddings.trained

    def build(self, input_shape: Any = None) -> None:
        """Make the table."""
        if self._choice is None:
            super().build(input_shape)
            return
        if self.built:
            return
        why = bridge.why_unfit(self)
        if why is None and keras.distribution.distribution() is not None:
            why = f"it cannot be laid out by {type(keras.distribution.distribution()).__name__}"
        if why is not None:
            raise ValueError(f"{self.name} has an optimizer=, and its table one process: {why}")
        choice = self._choice
        variable = TableVariable(
            lambda initializer: TrainedTable(self._made_of(initializer), choice),
            self.input_dim,
            self.output_dim,
            initializer=self.embeddings_initializer,
            pools=self._pools,
            is_shared=self._comm is not None,
            dtype=self.variable_dtype,
            name="embeddings",
        )
        self._track_variable(variable)
        self._embeddings = variable
        self.built = True

    _pools = False

    def _made_of(self, initializer: Any) -> Layer:
        """Return the table, once Keras wants it."""
        return NumPyEmbedding(**self._table_arguments(initializer))

    def _table_arguments(self, initializer: Any) -> dict[str, Any]:
        ours, values = self._initial(initializer)
        return {
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": ours,
            "embeddings_regularizer": _options.regularizer_of(self.embeddings_regularizer),
            "embeddings_constraint": _options.constraint_of(self.embeddings_constraint),
            "weights": values,
            "dtype": self.variable_dtype,
            "name": self.name,
            "comm": self._comm,
            "sum_by": self._sum_by,
        }

    def _initial(self, initializer: Any) -> tuple[Any, Any]:
        """Return an initializer of ours, and the values to start from where it does not make them.

        Of a table that ranks share, each makes its own rows.
        """
        if self._comm is not None:
            return _options.initializer_by_row(initializer), self._own_weights
        shape = (self.input_dim, self.output_dim)
        return _options.initial_values(initializer, shape, self.variable_dtype)

    def _check_table(self) -> None:
        """Refuse what a table with an optimizer of its own cannot have."""
        if self.variable_dtype not in ("float32", "float64"):
            raise ValueError(
                f"dtype={self.dtype_policy.name!r} has variables of {self.variable_dtype}, but a "
                "table with optimizer= is float32 or float64: use a mixed policy"
            )
        for name in ("lora_rank", "quantization_config"):
            if getattr(self, name, None) is not None:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} cannot be used with optimizer=: the table is "
                    "not a variable of Keras's"
                )
        if getattr(self, "quantization_mode", None) is not None:
            raise ValueError(
                f"dtype={self.dtype_policy.name!r} cannot be used with optimizer=: the table is "
                "not a variable of Keras's"
            )
        if is_rematerialized(self):
            raise ValueError(
                f"{self.name} has an optimizer= and cannot be made in a RematScope that covers it: "
                "its lookup is a call into Python that is not made twice"
            )
        _options.regularizer_of(self.embeddings_regularizer)
        _options.constraint_of(self.embeddings_constraint)

    @property
    def variables(self) -> list[Any]:
        """All state of the layer, as train steps are given it."""
        variables = super().variables
        if self._choice is None or not IS_FUNCTIONAL:
            return variables
        return [v.anchor if isinstance(v, TableVariable) else v for v in variables]

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        """Look ids up; a mask of theirs changes nothing."""
        self._check_ids(inputs)
        if self._choice is None:
            return super().call(inputs)
        return self._look_up(inputs, None, training)

    def quantized_call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        """Look ids of a quantized table up."""
        return super().quantized_call(inputs)

    def _look_up(self, inputs: Any, mask: Any, training: bool | None) -> Any:
        ids = _ids.as_integers(inputs)
        rows = bridge.look_up(self._embeddings, ids, mask, self._clipping(training))
        return keras.ops.cast(rows, self.compute_dtype)

    def compute_output_spec(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the shape and dtype of a lookup."""
        self._check_ids(inputs)
        if self._choice is not None:
            self._clipping(None)
        return super().compute_output_spec(inputs)

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
        """Return the shape of a lookup of ids of this shape."""
        self._check_shape(tuple(input_shape))
        shape: tuple[Any, ...] = super().compute_output_shape(input_shape)
        return shape

    def _check_ids(self, ids: Any) -> None:
        self._check_shape(tuple(ids.shape))
        if getattr(ids, "ragged", False) or type(ids).__name__ == "RaggedTensor":
            if self._choice is not None:
                raise ValueError(
                    f"{self.name} has an optimizer= and takes no ragged ids: pad them, with "
                    "mask_zero=True"
                )
            return
        dtype = keras.backend.standardize_dtype(ids.dtype)
        if self._choice is not None:
            why = _ids.why_refused(dtype, self.input_dim)
            if why is not None:
                raise ValueError(f"{self.name}: {why}")
            return
        why = _ids.why_inexact(dtype, self.input_dim)
        if why is not None:
            warnings.warn(f"{self.name}: {why}", stacklevel=2)

    def _check_shape(self, shape: tuple[Any, ...]) -> None:
        lengths = tuple(self._lengths)
        ends = shape[len(shape) - len(lengths) :]
        fits = len(shape) >= len(lengths) and all(
            length in (None, axis) or axis is None
            for axis, length in zip(ends, lengths, strict=True)
        )
        if not fits:
            raise ValueError(
                f"ids have shape {shape}, but {self.name} has input_length={self.input_length}"
            )

    def _clipping(self, training: bool | None) -> Clipping:
        """Return what the model's optimizer does to gradients, where a model calls the layer."""
        model = model_around()
        if model is not None:
            self._model = weakref.ref(model)
        # Where a train step is given values, the model's own call was the one that inferred shapes.
        elif IS_FUNCTIONAL and self._model is not None:
            model = self._model()
        if model is not None and self._comm is not None:
            check_order(model, self.name)
        if model is None or not self.trainable or not (training or in_symbolic_scope()):
            return NONE
        clipping = clipping_of(model, self.name)
        if self._comm is not None:
            check_sum(clipping, self.name)
        return clipping

    def quantize(self, mode: Any = None, type_check: bool = True, **kwargs: Any) -> Any:
        """Quantize the layer as Keras's; not with ``optimizer=``."""
        self._refuse_with_optimizer("quantize")
        return super().quantize(mode, type_check=False, **kwargs)

    def enable_lora(self, *args: Any, **kwargs: Any) -> None:
        """Give the layer a low-rank adaptation as Keras's; not with ``optimizer=``."""
        self._refuse_with_optimizer("enable_lora")
        super().enable_lora(*args, **kwargs)

    def _refuse_with_optimizer(self, what: str) -> None:
        if self._choice is not None:
            raise ValueError(
                f"{what}() cannot be used on {self.name}, which has an optimizer=: make a layer "
                "without one from its get_weights()"
            )

    def save_own_variables(self, store: Any) -> None:
        """Save the table, and the state of its optimizer."""
        if self._choice is None:
            super().save_own_variables(store)
        elif self.built:
            store["0"] = self._embeddings.numpy()
            for name, value in self._trained.optimizer.state().items():
                store[_STATE + name] = value

    def load_own_variables(self, store: Any) -> None:
        """Load the table, and the state of its optimizer where there is one."""
        if self._choice is None:
            super().load_own_variables(store)
            return
        if not self.built:
            raise ValueError(f"{self.name} was never built: it has no table to load into")
        if self._comm is not None:
            raise RuntimeError(
                f"the rows of {self.name} are with several ranks, which do not load them from "
                "Keras's files: use pyembed.load(path, emb=layer.table, opt=layer.optimizer.sparse)"
            )
        names = list(store.keys())
        values = np.asarray(store["0"]) if "0" in names else None
        if values is None or values.shape != (self.input_dim, self.output_dim):
            raise ValueError(
                f"{self.name} has a table of shape {(self.input_dim, self.output_dim)}, but the "
                f"file has {'none' if values is None else values.shape}"
            )
        state = {
            name[len(_STATE) :]: np.asarray(store[name])
            for name in names
            if name.startswith(_STATE)
        }
        trained = self._trained
        if state:  # first: it brings all rows up to date
            trained.optimizer.load(state)
        trained.assign(values)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make a layer like this one, but for its comm."""
        config = {**super().get_config(), "input_length": self.input_length, "optimizer": None}
        if self._choice is not None:
            config["optimizer"] = (
                self._trained.optimizer.get_config() if self.built else self._choice.config()
            )
        return config


def _lengths(value: Any) -> tuple[int, ...]:
    """Return a checked `input_length`, as the lengths of the last axes."""
    if value is None:
        return ()
    listed = value if isinstance(value, (tuple, list)) else [value]
    return tuple(_checks.integer(length, "input_length", 0) for length in listed)
