"""The bag layer: several rows pooled into one."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike, NDArray

from pyembed import _checks
from pyembed.layer import TableLayer
from pyembed.sparse_grad import SparseGrad


class EmbeddingBag(TableLayer):
    """A table whose rows are looked up and pooled bag by bag, with its gradient.

    The rows of a bag are summed in order of position, in one pass over the table: no array of one
    row an id is made, forward or backward.

    Parameters
    ----------
    input_dim, output_dim, embeddings_initializer, mask_zero, weights, trainable, padding_idx, \
out_of_range, dtype, seed, name
        As in `Embedding`. Ids that are `padding_idx`, or out of range under
        ``out_of_range='zero'``, are left out of the sum and of its divisor.
    mode : {'mean', 'sum', 'sqrtn'}
        ``Σ w x / Σ w``, ``Σ w x``, or ``Σ w x / √(Σ w²)`` over the rows x of a bag with weights w,
        which are 1 where none are given. A bag without rows, or with a divisor of zero, gives
        zeros. ('max' is not supported by this version.)
    include_last_offset : bool
        Whether offsets end with the number of ids, as in a CSR matrix.
    **kwargs
        Further arguments of `Embedding`.

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

    def __init__(
        self,
        *args: Any,
        mode: str = "mean",
        include_last_offset: bool = False,
        **kwargs: Any,
    ) -> None:
        self.mode = _checks.pooling_mode(mode)
        self.include_last_offset = bool(include_last_offset)
        super().__init__(*args, **kwargs)

    def __call__(
        self,
        ids: ArrayLike,
        offsets: ArrayLike | None = None,
        per_sample_weights: ArrayLike | None = None,
        *,
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Look up and pool bags of ids.

        Parameters
        ----------
        ids : array_like of int, shape (n,) or (bags, length)
            With two axes, each row is a bag and `offsets` is None.
        offsets : array_like of int32 or int64, shape (bags,) or (bags + 1,)
            Where each bag starts in ids of one axis: the first at 0, ascending, none past n. With
            `include_last_offset`, one more: n.
        per_sample_weights : array_like, shape of ids, optional
            The weights w, of the table's dtype.
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
            self._check_length(ids)
        return self._table.gather_bag(
            ids, offsets, per_sample_weights, self.mode, self.include_last_offset, out
        )

    def backward(
        self,
        ids: ArrayLike,
        grad_output: ArrayLike,
        offsets: ArrayLike | None = None,
        per_sample_weights: ArrayLike | None = None,
    ) -> SparseGrad:
        """Return the table's gradient for a lookup of bags.

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
            step. Ids are checked when it is used.

        Raises
        ------
        RuntimeError
            If the layer is not trainable.
        TypeError, ValueError
            As the lookup; also if `grad_output` has another dtype or shape.
        """
        return self._gradient(
            ids, grad_output, offsets, per_sample_weights, self.mode, self.include_last_offset
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make a layer like this one; its values are not among them."""
        return {
            **super().get_config(),
            "mode": self.mode,
            "include_last_offset": self.include_last_offset,
        }
