"""The bag layer: several rows pooled into one."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike, NDArray

from pyembed.layers.base import Delegated, TableLayer
from pyembed.regularizers import RegularizerLike
from pyembed.sparse_grad import SparseGrad


class EmbeddingBag(TableLayer):
    """A table whose rows are looked up and pooled bag by bag, with its gradient.

    The rows of a bag are summed in order of position, in one pass over the table: no array of one
    row an id is made, forward or backward.

    Parameters
    ----------
    *args, **kwargs
        As in `Embedding`. Ids that are `padding_idx`, or out of range under
        ``out_of_range='zero'``, are left out of the sum, its divisor and the maximum.
    mode : {'mean', 'sum', 'max', 'sqrtn'}
        ``Σ w x / Σ w``, ``Σ w x``, or ``Σ w x / √(Σ w²)`` over the rows x of a bag with weights w,
        which are 1 where none are given; or the largest element of each column, which takes no
        weights, and whose gradient goes to the first position that attains it. A bag without rows,
        or with a divisor of zero, gives zeros.
    include_last_offset : bool
        Whether offsets end with the number of ids, as in a CSR matrix.

    Raises
    ------
    ValueError
        If an argument's value is not allowed.
    TypeError
        If `dtype` is not a float dtype that tables have.

    Examples
    --------
    >>> import pyembed as pe
    >>> bag = pe.EmbeddingBag(3, 2, mode="sum", weights=[[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    >>> bag([2, 0, 1], offsets=[0, 2])
    array([[4., 6.],
           [2., 3.]], dtype=float32)
    """

    mode = Delegated[str]("_lookup", "mode")
    include_last_offset = Delegated[bool]("_lookup", "include_last_offset")

    def __init__(
        self,
        *args: Any,
        mode: str = "mean",
        include_last_offset: bool = False,
        **kwargs: Any,
    ) -> None:
        self._how = mode, include_last_offset
        super().__init__(*args, **kwargs)

    @classmethod
    def sharing(
        cls,
        emb: TableLayer,
        mode: str = "mean",
        include_last_offset: bool = False,
        *,
        mask_zero: bool | None = None,
        input_length: int | tuple[int, ...] | None = None,
        activity_regularizer: RegularizerLike | None = None,
        scale_grad_by_freq: bool = False,
        name: str | None = None,
    ) -> EmbeddingBag:
        """Make a bag layer on the table of another layer.

        Parameters
        ----------
        emb, mask_zero, input_length, activity_regularizer, scale_grad_by_freq, name
            As in `Embedding.sharing`.
        mode, include_last_offset
            The new layer's own.
        """
        how = mode, include_last_offset
        own = mask_zero, input_length, activity_regularizer, scale_grad_by_freq, name
        return cls._sharing(emb, how, *own)

    def __call__(
        self,
        ids: ArrayLike,
        offsets: ArrayLike | None = None,
        per_sample_weights: ArrayLike | None = None,
        *,
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Look up and pool bags of ids; with a `comm`, collective, as lookups of `Embedding` are.

        Parameters
        ----------
        ids : array_like of int, shape (n,) or (bags, length)
            With two axes, each row is a bag and `offsets` is None.
        offsets : array_like of int32 or int64, shape (bags,) or (bags + 1,)
            Where each bag starts in ids of one axis: the first at 0, ascending, none past n. With
            `include_last_offset`, one more: n.
        per_sample_weights : array_like, shape of ids, optional
            The weights w, of the table's dtype; not with ``mode='max'``.
        out : ndarray, shape (bags, output_dim), optional
            Where the result goes: the table's dtype, contiguous rows, apart from the table.

        Returns
        -------
        ndarray, shape (bags, output_dim)

        Raises
        ------
        IndexError
            If an id is outside the table and ``out_of_range='raise'``; nothing is written then.
        TypeError
            If a dtype is not as described.
        ValueError
            If a shape or an offset is not as described.
        """
        if self.input_length is not None:
            self._lookup.checked(lambda: self._check_length(ids))
        return self._lookup.gather(ids, offsets, per_sample_weights, out)

    def backward(
        self,
        ids: ArrayLike,
        grad_output: ArrayLike,
        offsets: ArrayLike | None = None,
        per_sample_weights: ArrayLike | None = None,
    ) -> SparseGrad:
        """Return the table's gradient for a lookup of bags.

        With a `comm`, this is the rank's own part of it, and takes no other rank; but where rows
        are looked up, with ``mode='max'`` or an `activity_regularizer`, it is collective.

        Parameters
        ----------
        ids, offsets, per_sample_weights
            As given to the lookup.
        grad_output : array_like, shape (bags, output_dim)
            Gradient of the loss by the lookup's result, of the table's dtype.

        Returns
        -------
        SparseGrad
            It borrows `ids`, `grad_output` and `per_sample_weights`: leave them alone until the
            step. Ids are checked when it is used; with ``mode='max'`` here, where the winners are
            found.

        Raises
        ------
        RuntimeError
            If the layer is not trainable.
        IndexError, TypeError, ValueError
            As the lookup; also if `grad_output` has another dtype or shape, or the activity
            regularizer has no gradient.
        """
        return self._backward(ids, grad_output, offsets, per_sample_weights)

    def backward_weights(
        self,
        ids: ArrayLike,
        grad_output: ArrayLike,
        offsets: ArrayLike | None = None,
        per_sample_weights: ArrayLike | None = None,
    ) -> NDArray[Any]:
        """Return the gradient of the per-sample weights of a lookup.

        With x a row, g its bag's upstream gradient and y its bag's result: ``g·x``;
        ``g·(x - y) / Σ w`` for a mean; ``g·x / √(Σ w²) - w g·y / Σ w²`` for sqrtn. Zero at padding
        and in bags whose divisor is zero. The activity regularizer's gradient is part of g. With a
        `comm`, collective.

        Parameters
        ----------
        ids, offsets, per_sample_weights
            As given to the lookup; without weights, the gradient at ones.
        grad_output : array_like, shape (bags, output_dim)
            Gradient of the loss by the lookup's result, of the table's dtype.

        Returns
        -------
        ndarray, shape of ids
            Of the table's dtype.

        Raises
        ------
        IndexError, TypeError, ValueError
            As the lookup; also if `grad_output` has another dtype or shape, or with
            ``mode='max'``.
        """
        if self.input_length is not None:
            self._table.checked(lambda: self._check_length(ids))
        bag = (offsets, per_sample_weights)
        if self.activity_regularizer is not None:
            self._table.checked(lambda: self._lookup.check_weight_gradient(ids, grad_output, *bag))
            output = self._lookup.gather_as_is(ids, *bag)
            grad_output = self._table.agreed(lambda: self._with_activity(grad_output, output))
        return self._lookup.weight_gradient(ids, grad_output, *bag)

    def regularization_loss(
        self,
        ids: ArrayLike | None = None,
        offsets: ArrayLike | None = None,
        per_sample_weights: ArrayLike | None = None,
    ) -> float:
        """Return the loss of the layer's regularizers, on the table as it is.

        `max_norm` rescales nothing here: that is for lookups. With a `comm`, collective, as that of
        `Embedding`.

        Parameters
        ----------
        ids, offsets, per_sample_weights
            Of one lookup: the embeddings regularizer then counts the distinct rows looked up, once
            each, and the activity regularizer's loss of the lookup, divided by the number of bags,
            is added. Without them, the embeddings regularizer alone counts, over the whole table.

        Returns
        -------
        float

        Raises
        ------
        IndexError, TypeError, ValueError
            As the lookup.
        """
        return self._loss(ids, offsets, per_sample_weights)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make a layer like this one; its values are not among them."""
        return {
            **super().get_config(),
            "mode": self.mode,
            "include_last_offset": self.include_last_offset,
        }
