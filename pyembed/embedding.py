"""The embedding layer: rows of a table, looked up by id."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike, NDArray

from pyembed.layer import TableLayer
from pyembed.sparse_grad import SparseGrad


class Embedding(TableLayer):
    """A table of rows, looked up by integer ids, with its gradient.

    Parameters
    ----------
    input_dim : int
        Number of rows, V > 0: ids run from 0 to ``input_dim - 1``.
    output_dim : int
        Length of a row, D >= 0.
    embeddings_initializer : str, Initializer or callable
        What the table starts from; see `pyembed.initializers`. Any callable of (shape, dtype).
    embeddings_regularizer, activity_regularizer, embeddings_constraint : None
        Not supported by this version.
    mask_zero : bool
        Whether id 0 stands for no input: `compute_mask` is then ``ids != 0``. Row 0 is looked up
        as it is.
    input_length : int or tuple of int, optional
        The length of ids' last axis, or the lengths of the last axes, where they are fixed.
    weights : array_like, optional
        The table's values (V, D), or a list of one such matrix: copied, and cast to `dtype`.
    trainable : bool
        False: `backward` and optimizers refuse the layer.
    padding_idx : int, optional
        A row that gets no gradient and no update, ever; negative counts from the end. It starts as
        zeros where an initializer made it.
    max_norm, norm_type, scale_grad_by_freq
        Not supported by this version.
    out_of_range : {'raise', 'clip', 'zero', 'wrap'}
        What an id outside the table does: raise `IndexError`; stand for the first or last row;
        stand for a row of zeros without gradient; count modulo V.
    dtype : {'float32', 'float64'}
        Of the table, its outputs and its gradients.
    seed : int, optional
        For an initializer given by name.
    name : str, optional

    Raises
    ------
    ValueError
        If an argument's value is not allowed.
    TypeError
        If `dtype` is not a float dtype that tables have.

    Examples
    --------
    >>> import numpy as np
    >>> import pyembed as pe
    >>> emb = pe.Embedding(3, 2, weights=[[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    >>> emb([2, 0])
    array([[4., 5.],
           [0., 1.]], dtype=float32)
    """

    def __call__(self, ids: ArrayLike, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Look up the rows of `ids`.

        Parameters
        ----------
        ids : array_like of int, any shape
            int32 and int64 in C order are read in place.
        out : ndarray, shape ids.shape + (output_dim,), optional
            Where the result goes: the table's dtype, contiguous rows, apart from the table.

        Returns
        -------
        ndarray, shape ids.shape + (output_dim,)

        Raises
        ------
        IndexError
            If an id is outside the table and ``out_of_range='raise'``; nothing is written then.
        TypeError
            If `ids` are not integers, or `out` has another dtype.
        ValueError
            If ids' last axes are not `input_length`, or `out` is of another shape, read-only, of an
            unfit layout, or overlaps the table.
        """
        if self.input_length is not None:
            self._check_length(ids)
        return self._table.gather(ids, out)

    def backward(self, ids: ArrayLike, grad_output: ArrayLike) -> SparseGrad:
        """Return the table's gradient for a lookup of `ids`.

        Parameters
        ----------
        ids : array_like of int, any shape
            As given to the lookup.
        grad_output : array_like, shape ids.shape + (output_dim,)
            Gradient of the loss by the lookup's result, of the table's dtype.

        Returns
        -------
        SparseGrad
            It borrows `ids` and `grad_output`: leave them alone until the step. Ids are checked
            when it is used.

        Raises
        ------
        RuntimeError
            If the layer is not trainable.
        TypeError
            If `ids` are not integers or `grad_output` has another dtype.
        ValueError
            If `grad_output` has another shape.
        """
        return self._gradient(ids, grad_output)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Return the shape of the result for ids of `input_shape`; None stands for any length.

        Raises
        ------
        ValueError
            If the last axes are neither None nor `input_length`, where that is set.
        """
        shape = tuple(None if axis is None else operator.index(axis) for axis in input_shape)
        lengths = self._lengths
        ends = shape[len(shape) - len(lengths) :]
        fits = len(shape) >= len(lengths) and all(
            axis in (None, length) for axis, length in zip(ends, lengths, strict=True)
        )
        if not fits:
            raise ValueError(f"input_shape={shape} must end with input_length={self.input_length}")
        return (*shape[: len(shape) - len(lengths)], *lengths, self.output_dim)
