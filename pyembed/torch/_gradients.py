"""Sparse gradients, read where they lie."""

from __future__ import annotations

import math
from typing import Any

import torch
from numpy.typing import NDArray

from pyembed._core import BackwardCall
from pyembed.torch._memory import array_of, dtype_name


def call_of(grad: torch.Tensor) -> BackwardCall:
    """Return a sparse gradient as a backward call, coalesced or not; its values are not copied."""
    indices, values = array_of(grad._indices()), array_of(grad._values())
    dim = math.prod(grad.shape[grad.sparse_dim() :])
    rows = values.reshape(indices.shape[1], dim)
    return BackwardCall(_row_ids(indices, grad.shape), rows, dim, dtype_name(grad.dtype))


def _row_ids(indices: NDArray[Any], shape: torch.Size) -> NDArray[Any]:
    """Return the row of each index (axes, n) where the leading axes of `shape` count rows."""
    ids: NDArray[Any] = indices[0]
    for axis in range(1, len(indices)):
        ids = ids * shape[axis] + indices[axis]
    return ids
