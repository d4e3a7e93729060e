"""Tensors as arrays: the same memory."""

from __future__ import annotations

import math
from typing import Any

import torch
from numpy.typing import NDArray

from pyembed import _core

_DTYPES = {getattr(torch, name): name for name in _core.elements}


def can_be_table(tensor: torch.Tensor) -> bool:
    """Return whether a tensor's memory and dtype are those that tables have."""
    return tensor.device.type == "cpu" and tensor.dtype in _DTYPES


def dtype_name(dtype: torch.dtype) -> str:
    """Return NumPy's name of a dtype that tables have."""
    return _DTYPES[dtype]


def array_of(tensor: torch.Tensor) -> NDArray[Any]:
    """Return a tensor to be read; copied only where it is the negative of what is in memory."""
    array: NDArray[Any] = tensor.detach().resolve_neg().numpy()
    return array


def why_unfit(tensor: torch.Tensor) -> str | None:
    """Return why a tensor cannot be a table where it lies, or None."""
    if tensor.device.type != "cpu":
        return f"it is on device {tensor.device}, not on the CPU"
    if tensor.layout is not torch.strided:
        return f"its layout is {tensor.layout}"
    if tensor.dtype not in _DTYPES:
        return f"its dtype is {tensor.dtype}, not {' or '.join(_core.elements)}"
    if tensor.dim() == 0 or not _has_contiguous_rows(tensor):
        return "its rows are not contiguous"
    return None


def _has_contiguous_rows(tensor: torch.Tensor) -> bool:
    if tensor.is_contiguous():
        return True
    _, *inner = tensor.shape
    return tensor.dim() == 2 and tensor.stride(1) == 1 and tensor.stride(0) >= inner[0]


def rows_of(tensor: torch.Tensor, leading: int = 1) -> NDArray[Any]:
    """Return a fit tensor's memory as a matrix: the first `leading` axes count the rows."""
    detached = tensor.detach()
    if tensor.dim() == 2 and leading == 1:
        array: NDArray[Any] = detached.numpy()
        return array
    shape = tensor.shape
    rows: NDArray[Any] = detached.view(
        math.prod(shape[:leading]), math.prod(shape[leading:])
    ).numpy()
    return rows
