"""`torch.nn.EmbeddingBag` over this library's kernels."""

from __future__ import annotations

from typing import Any

import torch

from pyembed import _checks
from pyembed.torch._module import MakeOptimizer, TableModule


class EmbeddingBag(TableModule, torch.nn.EmbeddingBag):
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

    Raises
    ------
    TypeError
        In a lookup, if the weight or the ids cannot be read where they lie.
    IndexError
        In a lookup, if an id is outside the table.
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
    ) -> None:
        _checks.pooling_mode(mode)
        if scale_grad_by_freq and mode == "max":
            raise ValueError("scale_grad_by_freq=True cannot be used with mode='max'")
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
        return self._look_up(
            per_sample_weights, input, offsets, self.mode, self.include_last_offset
        )
