"""The embedding layer: rows of a table, looked up by id."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike, NDArray

from pyembed import _checks
from pyembed.layers.base import TableLayer
from pyembed.regularizers import RegularizerLike
from pyembed.sparse_grad import SparseGrad


class Embedding(TableLayer):
    """A table of rows, looked up by integer ids, with its gradient.

    Parameters
    ----------
    input_dim : int
        Number of rows, V > 0: ids run from 0 to ``input_dim - 1``.
    output_dim : int
        Length of a row, D >= 0.
    embeddings_initializer : str, Initializer, callable or array
        What the table starts from; see `pyembed.initializers`. Any callable of (shape, dtype). An
        array of the table's shape is copied into it, and kept; such a table cannot grow.
    embeddings_regularizer : str, dict, Regularizer or callable, optional
        Of the table; see `pyembed.regularizers`. `regularization_loss` is its loss. Its gradient is
        added by an optimizer's step, once for each row with a gradient, as it is: unscaled, after
        clipping. A callable without a ``gradient`` gives a loss only.
    activity_regularizer : str, dict, Regularizer or callable, optional
        Of the lookup's result: loss and gradient are divided by the batch size, the length of its
        first axis. `backward` looks the rows up again and adds the gradient.
    embeddings_constraint : str, dict, Constraint or callable, optional
        Applied by an optimizer's step; see `pyembed.constraints`. ``NonNeg``, and norms along
        ``axis=1`` (of a row), to the rows that it updates. Norms along ``axis=0`` (of a column,
        Keras's default) and callables to the whole table after each step, which takes time and
        memory as large as the table. Padding and frozen rows keep their values.
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
    max_norm : float, optional
        Before a lookup, each distinct row looked up whose norm is above this is scaled in place to
        it, but for padding and frozen rows. The gradient ignores that.
    norm_type : float
        The p of that norm, ``(Σ |x|^p)^(1/p)``: above 0, or inf.
    scale_grad_by_freq : bool
        Whether each row's gradient is divided by how often its id stands in that call's ids.
    out_of_range : {'raise', 'clip', 'zero', 'wrap'}
        What an id outside the table does: raise `IndexError`; stand for the first or last row;
        stand for a row of zeros without gradient; count modulo V.
    dtype : {'float32', 'float64'}
        Of the table, its outputs and its gradients.
    seed : int, optional
        For an initializer given by name.
    name : str, optional
    comm : communicator, optional
        Of processes that share the table: of mpi4py, or an object of the protocol
        `pyembed.sharding.Communicator`. Row r is then with rank r modulo their number, and making
        the layer, lookups, steps, norms, `freeze`, `unfreeze` and `grow` are collective: all ranks
        call them, in the same order, each with its own ids, perhaps none. An error on one rank is
        raised on all. `local` has a rank's own rows. The other arguments are the same on all
        ranks; `weights` may be the whole matrix or the rank's own rows; a seed that is not given is
        rank 0's.
    sum_by : {'rank', 'position'}
        With 'rank', a step is that of one process given each rank's gradients, coalesced, in the
        order of the ranks: ``opt.step(g0.coalesce(), g1.coalesce())``. With 'position', that of
        ``opt.step(g0, g1)``: every summand travels.

    Raises
    ------
    ValueError
        If an argument's value is not allowed, or not the same on all ranks.
    TypeError
        If `dtype` is not a float dtype that tables have, or `comm` no communicator.

    Examples
    --------
    >>> import numpy as np
    >>> import pyembed as pe
    >>> emb = pe.Embedding(3, 2, weights=[[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    >>> emb([2, 0])
    array([[4., 5.],
           [0., 1.]], dtype=float32)
    """

    @classmethod
    def sharing(
        cls,
        emb: TableLayer,
        *,
        mask_zero: bool | None = None,
        input_length: int | tuple[int, ...] | None = None,
        activity_regularizer: RegularizerLike | None = None,
        scale_grad_by_freq: bool = False,
        name: str | None = None,
    ) -> Embedding:
        """Make a second layer on the table of another one.

        An optimizer of either takes the gradients of both.

        Parameters
        ----------
        emb : Embedding or EmbeddingBag
            Its table, with all that belongs to it: padding, `out_of_range`, `max_norm`, regularizer
            and constraint of the embeddings, frozen rows.
        mask_zero, input_length, activity_regularizer, scale_grad_by_freq, name
            The new layer's own; mask_zero is `emb`'s where None.
        """
        own = mask_zero, input_length, activity_regularizer, scale_grad_by_freq, name
        return cls._sharing(emb, None, *own)

    def __call__(
        self,
        ids: ArrayLike,
        *,
        out: NDArray[Any] | None = None,
        dropout: float | None = None,
        key: int | None = None,
    ) -> NDArray[Any]:
        """Look up the rows of `ids`.

        With a `comm`, collective: each rank looks its own ids up. What `max_norm` scales down is
        what one lookup of all ranks' ids would.

        Parameters
        ----------
        ids : array_like of int, any shape
            int32 and int64 in C order are read in place.
        out : ndarray, shape ids.shape + (output_dim,), optional
            Where the result goes: the table's dtype, contiguous rows, apart from the table.
        dropout : float, optional
            From 0 to 1: the share of the table's rows to drop, each wherever it stands in `ids`
            (Gal & Ghahramani 2016, section 4.2). Their results are zeros, all others are divided by
            ``1 - dropout``.
        key : int, optional
            From 0 to 2**64 - 1, to be given with `dropout`: which rows are dropped depends on it
            and on the row alone. Take a new one for each batch, and the same in `backward`.

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
            unfit layout, or overlaps the table; or if `dropout` or `key` is not as described.
        """
        if self.input_length is not None:
            self._lookup.checked(lambda: self._check_length(ids))
        if dropout is None and key is None:
            return self._lookup.gather(ids, None, None, out)
        dropping = self._lookup.checked(lambda: _checks.dropout(dropout, key))
        assert dropping is not None
        return self._lookup.gather_dropping(ids, *dropping, out)

    def backward(
        self,
        ids: ArrayLike,
        grad_output: ArrayLike,
        *,
        dropout: float | None = None,
        key: int | None = None,
    ) -> SparseGrad:
        """Return the table's gradient for a lookup of `ids`.

        With a `comm`, this is the rank's own part of it, and takes no other rank; but with an
        `activity_regularizer`, which looks rows up, it is collective.

        Parameters
        ----------
        ids : array_like of int, any shape
            As given to the lookup.
        grad_output : array_like, shape ids.shape + (output_dim,)
            Gradient of the loss by the lookup's result, of the table's dtype.
        dropout, key
            As given to the lookup. Dropped rows have no gradient.

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
            If `ids` are not integers or `grad_output` has another dtype, or the activity
            regularizer has no gradient.
        ValueError
            If `grad_output` has another shape, or `dropout` or `key` is not as in the lookup.
        """
        return self._backward(ids, grad_output, dropping=(dropout, key))

    def regularization_loss(self, ids: ArrayLike | None = None) -> float:
        """Return the loss of the layer's regularizers, on the table as it is.

        `max_norm` rescales nothing here: that is for lookups. With a `comm`, collective: the whole
        table, or the distinct rows of all ranks' ids, and the sum of the ranks' losses of activity.

        Parameters
        ----------
        ids : array_like of int, optional
            Of one lookup: the embeddings regularizer then counts the distinct rows looked up, once
            each, and the activity regularizer's loss of the lookup, divided by the batch size, is
            added. Where None, the embeddings regularizer alone counts, over the whole table.

        Returns
        -------
        float

        Raises
        ------
        IndexError, TypeError, ValueError
            As the lookup.
        """
        return self._loss(ids)

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
