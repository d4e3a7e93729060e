"""Sparse gradients, read where they lie."""

from __future__ import annotations

import math

import torch

from pyembed._core import BackwardCall
from pyembed.torch._memory import array_of, dtype_name


def call_of(grad: torch.Tensor) -> BackwardCall:
    """Return a sparse gradient as a backward call, coalesced or not; its values are not copied."""
    indices, values = grad._indices(), grad._values()
    ids, count = _row_ids(indices, grad.shape), indices.shape[1]
    dim = math.prod(grad.shape[grad.sparse_dim() :])
    values = values.reshape(count, dim)
    return BackwardCall(array_of(ids), array_of(values), dim, dtype_name(values.dtype))


def _row_ids(indices: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Return the row of each index (axes, n) where the leading axes of `shape` count rows."""
    ids = indices[0]
    for axis in range(1, len(indices)):
        ids = ids * shape[axis] + indices[axis]
    return ids
