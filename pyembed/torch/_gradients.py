"""Gradients as the core takes them, read where they lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pyembed import _core
from pyembed._core import BackwardCall
from pyembed.torch._memory import array_of, dtype_name


def call_of(grad: torch.Tensor) -> BackwardCall:
    """Return a sparse gradient as a backward call, coalesced or not; its values are not copied."""
    indices, values = array_of(grad._indices()), array_of(grad._values())
    dim = math.prod(grad.shape[grad.sparse_dim() :])
    rows = values.reshape(indices.shape[1], dim)
    return BackwardCall(_row_ids(indices, grad.shape), rows, dim, dtype_name(grad.dtype))


def call_of_all(grad: torch.Tensor) -> BackwardCall:
    """Return a dense gradient (rows, dim) as a backward call of every row; it is not copied."""
    rows, dim = grad.shape
    return BackwardCall(np.arange(rows), array_of(grad), dim, dtype_name(grad.dtype))


def call_of_sum(table: _core.Table, calls: Sequence[BackwardCall]) -> BackwardCall:
    """Return the sum of calls as one, in memory of its own."""
    ids, rows = _core.coalesce(table, calls)
    return BackwardCall(ids, rows, rows.shape[1], rows.dtype.name)


def _row_ids(indices: NDArray[Any], shape: torch.Size) -> NDArray[Any]:
    """Return the row of each index (axes, n) where the leading axes of `shape` count rows."""
    ids: NDArray[Any] = indices[0]
    for axis in range(1, len(indices)):
        ids = ids * shape[axis] + indices[axis]
    return ids
