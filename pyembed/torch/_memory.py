"""Tensors as arrays: the same memory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pyembed import _core

_DTYPES = {getattr(torch, name): name for name in _core.elements}
_READABLE = {  # by NumPy, as ids and as gradients are
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8),
    *(torch.float64, torch.float32, torch.float16),
}


def can_be_table(tensor: torch.Tensor) -> bool:
    """Return whether a tensor's memory and dtype are those that tables have."""
    return tensor.device.type == "cpu" and tensor.dtype in _DTYPES


def dtype_name(dtype: torch.dtype) -> str:
    """Return NumPy's name of a dtype that tables have."""
    return _DTYPES[dtype]


# `torch.Tensor.numpy` would mark a tensor's memory as one that is never resized, for good.


class _Read:
    """A tensor, as NumPy asks for what is only read."""

    __slots__ = ("tensor",)

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor

    def __dlpack__(self, **_: Any) -> Any:
        return torch._C._to_dlpack(self.tensor)  # type: ignore[attr-defined]

    def __dlpack_device__(self) -> tuple[int, int]:
        return _CPU


_CPU = (1, 0)  # as DLPack names it


class _Written:
    """A tensor's memory, as NumPy asks for what may be written too."""

    __slots__ = ("__array_interface__", "storage")

    def __init__(
        self, tensor: torch.Tensor, shape: tuple[int, ...], strides: tuple[int, ...] | None
    ) -> None:
        _check_memory(tensor)
        self.storage = tensor.untyped_storage()
        self.__array_interface__ = {
            "version": 3,
            "shape": shape,
            "typestr": np.dtype(_DTYPES[tensor.dtype]).str,
            "data": (tensor.data_ptr(), False),
            "strides": strides,
        }


def array_of(tensor: torch.Tensor) -> NDArray[Any]:
    """Return a tensor to be read; copied only where it is the negative of what is in memory.

    To be kept only as long as nobody can give the tensor other memory, by ``tensor.data`` say.
    """
    if tensor.is_neg():
        tensor = tensor.resolve_neg()
    if not tensor.is_cpu or tensor.dtype not in _READABLE:
        array: NDArray[Any] = tensor.detach().numpy()  # or torch's error, which says why not
        return array
    if tensor.data_ptr() == 0:
        _check_memory(tensor)
    return np.from_dlpack(_Read(tensor))


def _check_memory(tensor: torch.Tensor) -> None:
    """Raise RuntimeError where a tensor has none, but elements."""
    if tensor.data_ptr() == 0 and tensor.numel() != 0:
        raise RuntimeError(
            f"a tensor of shape {tuple(tensor.shape)} cannot be read: its storage was freed"
        )


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
    shape = tensor.shape
    rows, dim = math.prod(shape[:leading]), math.prod(shape[leading:])
    strides = None
    if not tensor.is_contiguous():  # it has two axes, then
        strides = (tensor.stride(0) * tensor.element_size(), tensor.element_size())
    return np.asarray(_Written(tensor, (rows, dim), strides))
