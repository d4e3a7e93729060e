"""The state of a parameter: torch's tensors, laid out as the kernels want it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray

from pyembed import _core
from pyembed.torch._memory import dtype_name


class Form(NamedTuple):
    """What each tensor of state looks like: (rows, dim) to a kernel, `shape` to the user."""

    rows: int
    dim: int
    shape: torch.Size
    dtype: torch.dtype


def check_state(state: dict[str, Any], names: Sequence[str], form: Form) -> None:
    """Raise ValueError where a tensor of state has another shape."""
    for name in names:
        old = state.get(name)
        if old is not None and old.shape != form.shape:
            raise ValueError(
                f"{name} has shape {tuple(old.shape)}, but must have shape {tuple(form.shape)}"
            )


def state_rows(
    state: dict[str, Any], names: Sequence[str], form: Form, initial: float = 0.0
) -> NDArray[Any]:
    """Return state tensors as one array (rows, len(names), dim), where a row's state lies together.

    Those that lie otherwise, as torch's own do, are copied into such an array, and missing ones
    start from `initial`: `state` then has views of it.
    """
    held: list[Any] = [state.get(name) for name in names]
    if all(_lies_at(at, held, form) for at in range(len(held))):
        size = (form.rows, len(names), form.dim)
        strides = (len(names) * form.dim, form.dim, 1)
        found: NDArray[Any] = held[0].as_strided(size, strides).numpy()
        return found
    array = _core.zeros((form.rows, len(names), form.dim), dtype_name(form.dtype))
    tensor = torch.from_numpy(array)
    for at, (name, old) in enumerate(zip(names, held, strict=True)):
        state[name] = tensor[:, at].view(form.shape)
        if old is not None:
            state[name].copy_(old.to_dense())
        elif initial != 0.0:
            state[name].fill_(initial)
    return array


def _lies_at(at: int, held: Sequence[Any], form: Form) -> bool:
    """Return whether tensor `at` lies where `state_rows` puts it beside the first one."""
    first, tensor = held[0], held[at]
    if tensor is None or tensor.layout is not torch.strided or tensor.device.type != "cpu":
        return False
    if tensor.shape != form.shape or tensor.dtype != form.dtype:
        return False
    if tensor.untyped_storage().data_ptr() != first.untyped_storage().data_ptr():
        return False
    if tensor.storage_offset() != first.storage_offset() + at * form.dim:
        return False
    try:
        matrix = tensor.view(form.rows, form.dim)
    except RuntimeError:  # no strides give that shape
        return False
    row, column = matrix.stride()
    return (form.rows < 2 or row == len(held) * form.dim) and (form.dim < 2 or column == 1)
