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


class Laid:
    """The array that tensors of state are, as long as they lie where they did."""

    __slots__ = ("addresses", "array", "form", "tensors")

    def __init__(self, tensors: Sequence[torch.Tensor], form: Form, array: NDArray[Any]) -> None:
        self.tensors = tensors
        self.addresses = [tensor.data_ptr() for tensor in tensors]
        self.form = form
        self.array = array

    def is_of(self, held: Sequence[Any], form: Form) -> bool:
        """Return whether these are the tensors, in the memory that they had."""
        for tensor, own, address in zip(held, self.tensors, self.addresses, strict=True):
            if tensor is not own or tensor.data_ptr() != address:
                return False
        return self.form == form


def state_rows(
    state: dict[str, Any], starts: dict[str, float], form: Form
) -> tuple[NDArray[Any], dict[str, torch.Tensor]]:
    """Return state tensors as one array (rows, arrays, dim), where a row's state lies together.

    Those that lie otherwise, as torch's own do, are copied into such an array, and missing ones
    start from the values in `starts`: views of it, by name, are returned beside it, for `state` to
    have once the step is made.

    Raises
    ------
    ValueError
        If one has another shape.
    """
    held: list[Any] = [state.get(name) for name in starts]
    for name, old in zip(starts, held, strict=True):
        if old is not None and old.shape != form.shape:
            raise ValueError(
                f"{name} has shape {tuple(old.shape)}, but must have shape {tuple(form.shape)}"
            )
    shape = (form.rows, len(held), form.dim)
    if held and all(_lies_at(at, held, form) for at in range(len(held))):
        strides = (len(held) * form.dim, form.dim, 1)
        found: NDArray[Any] = held[0].as_strided(shape, strides).numpy()
        return found, {}
    array = _core.zeros(shape, dtype_name(form.dtype))
    made: dict[str, torch.Tensor] = {}
    if not held:
        return array, made
    tensor = torch.from_numpy(array)
    for at, (name, start) in enumerate(starts.items()):
        made[name] = tensor[:, at].view(form.shape)
        if held[at] is not None:
            made[name].copy_(held[at].to_dense())
        elif start != 0.0:
            made[name].fill_(start)
    return array, made


def apart(state: dict[Any, Any]) -> dict[Any, Any]:
    """Return the state of parameters with a copy of each tensor that shares its memory."""
    return {key: _each_apart(held) for key, held in state.items()}


def _each_apart(held: Any) -> Any:
    if not isinstance(held, dict):
        return held
    return {
        name: value.clone(memory_format=torch.contiguous_format) if _is_part(value) else value
        for name, value in held.items()
    }


def _is_part(value: Any) -> bool:
    if not isinstance(value, torch.Tensor) or value.layout is not torch.strided:
        return False
    return value.numel() * value.element_size() != value.untyped_storage().nbytes()


def moving(grad: torch.Tensor, lr: float) -> torch.Tensor:
    """Return a gradient, or an empty one in the place of dense zeros at a learning rate of 0.

    That is how `torch.distributed.checkpoint` has an optimizer make its state: nothing moves.
    """
    if lr != 0.0 or grad.layout is not torch.strided or bool(grad.any()):
        return grad
    return torch.sparse_coo_tensor(
        torch.empty((1, 0), dtype=torch.int64),
        grad.new_empty((0, *grad.shape[1:])),
        grad.shape,
        check_invariants=False,
    )


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
