"""An embedding layer that pools: one row for each bag of ids."""

from __future__ import annotations

from typing import Any

import keras

from pyembed import _checks, _core
from pyembed.keras._trained import Layer
from pyembed.keras.embedding import Embedding
from pyembed.layers.embedding_bag import EmbeddingBag as NumPyEmbeddingBag


@keras.saving.register_keras_serializable(package="pyembed")
class EmbeddingBag(Embedding):
    """`Embedding` and a pooling over the last axis of ids, in one.

    With ``optimizer=``, no array of one row an id is ever made.

    Parameters
    ----------
    input_dim, output_dim
        As in `Embedding`.
    mode : {'mean', 'sum', 'max', 'sqrtn'}
        What becomes of a bag's n rows: their mean, their sum, their maximum, or their sum divided
        by the root of n.
    mask_zero : bool
        Whether id 0 is padding, which does not count; a mask of the ids does the same. A bag of
        padding alone gives zeros.
    **kwargs
        Further arguments of `Embedding`, ``optimizer=`` among them.

    Raises
    ------
    TypeError, ValueError
        As `Embedding`; also if `mode` is none of those.
    """

    _pools = True

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        *,
        mode: str = "mean",
        **kwargs: Any,
    ) -> None:
        self.mode = _checks.one_of(mode, "mode", _core.modes)
        super().__init__(
            input_dim,
            output_dim,
            embeddings_initializer,
            embeddings_regularizer,
            embeddings_constraint,
            mask_zero,
            weights,
            **kwargs,
        )
        self.supports_masking = True  # though none is passed on: the pooling uses it up

    def _made_of(self, initializer: Any) -> Layer:
        arguments = self._table_arguments(initializer)
        if self.mask_zero:
            arguments["padding_idx"] = 0
        return NumPyEmbeddingBag(mode=self.mode, **arguments)

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        """Look bags up."""
        self._check_ids(inputs)
        if self._choice is not None:
            if mask is not None and self.mask_zero:
                mask = keras.ops.logical_and(mask, keras.ops.not_equal(inputs, 0))
            return self._look_up(inputs, mask, training)
        return self._pooled(keras.layers.Embedding.call(self, inputs), inputs, mask)

    def quantized_call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        """Look bags of a quantized table up."""
        return self._pooled(super().quantized_call(inputs), inputs, mask)

    def _pooled(self, rows: Any, ids: Any, mask: Any) -> Any:
        """Pool rows by operations of Keras's."""
        ops = keras.ops
        if self.mask_zero:
            counted = ops.not_equal(ids, 0)
            mask = counted if mask is None else ops.logical_and(mask, counted)
        if mask is None:
            mask = ops.ones(ops.shape(ids), "bool")
        if rows.shape[-2] == 0:  # of which there is no maximum
            return ops.sum(rows, axis=-2)
        weights = ops.expand_dims(ops.cast(mask, rows.dtype), -1)
        number = ops.sum(weights, axis=-2)
        if self.mode == "max":
            lowest = ops.where(ops.expand_dims(mask, -1), rows, float("-inf"))
            maxima = ops.max(lowest, axis=-2)
            return ops.where(number > 0, maxima, ops.zeros_like(maxima))
        pooled = ops.sum(rows * weights, axis=-2)
        if self.mode == "sum":
            return pooled
        number = ops.maximum(number, ops.ones_like(number))  # a bag of nothing is zeros already
        return pooled / (number if self.mode == "mean" else ops.sqrt(number))

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Return None: what was masked has been left out of the bags."""

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
        """Return the shape of a lookup of bags of ids of this shape."""
        shape = super().compute_output_shape(input_shape)
        return (*shape[:-2], shape[-1])

    def compute_output_spec(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the shape and dtype of a lookup."""
        if len(inputs.shape) == 0:
            raise ValueError(f"{self.name} pools the last axis of ids, which have none")
        return super().compute_output_spec(inputs)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make a layer like this one."""
        return {**super().get_config(), "mode": self.mode}
