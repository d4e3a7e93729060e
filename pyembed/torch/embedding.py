"""`torch.nn.Embedding` over this library's kernels."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F
from torch.nn.modules import sparse  # as it is there, whatever torch.nn is made to have

from pyembed.torch._module import MakeOptimizer, TableModule


class Embedding(TableModule, sparse.Embedding):
    """`torch.nn.Embedding`, but faster, and able to update its rows in the backward pass.

    Parameters
    ----------
    num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse
        As torch has them; `scale_grad_by_freq` works with sparse gradients too. The padding row is
        never written: `max_norm` leaves it alone.
    _weight, _freeze, device, dtype
        As torch has them. A weight that is not float32 or float64, or not on the CPU, is looked up
        by torch's own functions; so is any where torch traces, exports or transforms.
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
        In a lookup, if the ids are no tensor of integers.
    IndexError
        In a lookup, if an id is outside the table; a RuntimeError too, as torch's are.
    RuntimeError
        Where torch traces a lookup whose `optimizer` would update rows.

    Examples
    --------
    >>> import torch
    >>> from pyembed.torch import Embedding, SparseAdam
    >>> emb = Embedding(1000, 4, optimizer=lambda params: SparseAdam(params, lr=0.01))
    >>> emb(torch.tensor([[3, 1], [3, 2]])).pow(2).sum().backward()  # rows 1, 2 and 3 have moved
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: torch.Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        optimizer: MakeOptimizer | None = None,
        comm: Any = None,
        sum_by: str = "rank",
    ) -> None:
        super().__init__(
            num_embeddings,
            embedding_dim,
            padding_idx=padding_idx,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            sparse=sparse,
            _weight=_weight,
            _freeze=_freeze,
            device=device,
            dtype=dtype,
            optimizer=optimizer,
            comm=comm,
            sum_by=sum_by,
        )

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Look the rows of ids up.

        Parameters
        ----------
        input : torch.Tensor
            Integers, of any shape.

        Returns
        -------
        torch.Tensor
            Of shape ``input.shape + (embedding_dim,)``.
        """
        if torch.jit.is_scripting():
            return F.embedding(
                input,
                self.weight,
                self.padding_idx,
                self.max_norm,
                self.norm_type,
                self.scale_grad_by_freq,
                self.sparse,
            )
        else:  # noqa: RET505 -- TorchScript compiles what comes after an if, but not its else
            return self._look_up(None, input, None)

    def _forward_of_torch(
        self, ids: torch.Tensor, offsets: torch.Tensor | None, weights: torch.Tensor | None
    ) -> torch.Tensor:
        return super().forward(ids)
