"""`torch.nn.EmbeddingBag` over this library's kernels."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F
from torch.nn.modules import sparse  # as it is there, whatever torch.nn is made to have

from pyembed import _checks
from pyembed.lookup import check_frequency
from pyembed.sharding import ranks_of
from pyembed.torch._module import MakeOptimizer, TableModule


class EmbeddingBag(TableModule, sparse.EmbeddingBag):
    """`torch.nn.EmbeddingBag`, but faster, and able to update its rows in the backward pass.

    Parameters
    ----------
    num_embeddings, embedding_dim, max_norm, norm_type, scale_grad_by_freq, mode, sparse
        As torch has them; also ``mode="sqrtn"``, and ``mode="max"`` with sparse gradients.
    _weight, include_last_offset, padding_idx, device, dtype
        As torch has them. The last offset must be the number of ids: torch drops ids after it.
    optimizer : callable or optimizer, optional
        What makes an optimizer of `pyembed.torch` of parameters: rows are updated in the backward
        pass, and the weight gets no gradient. See `fuse`.
    comm, sum_by
        As `pyembed.Embedding` has them: the weight is this process's rows of a table that several
        processes share, and each lookup and its backward pass is one of all of them. `_weight` is
        then all of the table, or this process's rows of it.

    Raises
    ------
    TypeError
        In a lookup, if the ids are no tensor of integers, or weights are not of the weight's dtype.
    IndexError
        In a lookup, if an id is outside the table.
    ValueError
        In a lookup, if offsets or weights do not go with the ids. All are a RuntimeError too, as
        torch's are.
    RuntimeError
        Where torch traces what it cannot do: ``mode="sqrtn"``, say.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: torch.Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
        *,
        optimizer: MakeOptimizer | None = None,
        comm: Any = None,
        sum_by: str = "rank",
    ) -> None:
        ranks_of(comm).agreed(
            lambda: check_frequency(_checks.pooling_mode(mode), scale_grad_by_freq)
        )
        super().__init__(
            num_embeddings,
            embedding_dim,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            mode=mode,
            sparse=sparse,
            _weight=_weight,
            include_last_offset=include_last_offset,
            padding_idx=padding_idx,
            device=device,
            dtype=dtype,
            optimizer=optimizer,
            comm=comm,
            sum_by=sum_by,
        )

    def forward(
        self,
        input: torch.Tensor,
        offsets: torch.Tensor | None = None,
        per_sample_weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Look bags of ids up, and pool their rows.

        Parameters
        ----------
        input : torch.Tensor
            Integers, of shape (n,) or (bags, length); with two axes, each row is a bag and
            `offsets` is None.
        offsets : torch.Tensor, optional
            Where each bag starts in ids of one axis.
        per_sample_weights : torch.Tensor, optional
            Of the shape of `input`; not with ``mode='max'``.

        Returns
        -------
        torch.Tensor
            Of shape (bags, embedding_dim).
        """
        if torch.jit.is_scripting():
            return F.embedding_bag(
                input,
                self.weight,
                offsets,
                self.max_norm,
                self.norm_type,
                self.scale_grad_by_freq,
                self.mode,
                self.sparse,
                per_sample_weights,
                self.include_last_offset,
                self.padding_idx,
            )
        else:  # noqa: RET505 -- TorchScript compiles what comes after an if, but not its else
            return self._look_up(
                per_sample_weights, input, offsets, self.mode, self.include_last_offset
            )

    def _forward_of_torch(
        self, ids: torch.Tensor, offsets: torch.Tensor | None, weights: torch.Tensor | None
    ) -> torch.Tensor:
        return super().forward(ids, offsets, weights)

    def _why_not_torchs(self, weights: torch.Tensor | None) -> str | None:
        if self.mode == "sqrtn":
            return "torch has no mode='sqrtn'"
        if self.mode == "max" and self.sparse:
            return "torch has no sparse gradients with mode='max'"
        if self.mode != "sum" and weights is not None:
            return f"torch has no per_sample_weights with mode={self.mode!r}"
        return super()._why_not_torchs(weights)
