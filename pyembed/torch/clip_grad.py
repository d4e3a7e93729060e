"""Clipping gradients by their norm, sparse ones among them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from pyembed import _core
from pyembed.torch._gradients import call_of
from pyembed.torch._memory import can_be_table
from pyembed.torch._threads import follow_torch


def clip_grad_norm_(
    parameters: torch.Tensor | Iterable[torch.Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> torch.Tensor:
    """Scale gradients together so that their joint norm is at most `max_norm`.

    `torch.nn.utils.clip_grad_norm_`, which raises on sparse gradients, with the same formula: each
    is multiplied by ``min(1, max_norm / (norm + 1e-6))``. The norm of a sparse gradient is that of
    its coalesced values. Where it is scaled, the parameter's ``grad`` is a new, coalesced one.

    Parameters
    ----------
    parameters : torch.Tensor or iterable of torch.Tensor
        Those without a gradient are passed over.
    max_norm : float
    norm_type : float
        The p of the p-norm; inf for the largest magnitude.
    error_if_nonfinite : bool
        Whether a norm that is nan or inf is an error; nothing has changed then.
    foreach : bool, optional
        Ignored: torch's choice among its own implementations.

    Returns
    -------
    torch.Tensor
        The norm before, of no axes.

    Raises
    ------
    RuntimeError
        If the norm is nan or inf and `error_if_nonfinite`.
    """
    given: Any = [parameters] if isinstance(parameters, torch.Tensor) else parameters
    params = [p for p in given if p.grad is not None]
    if not params:
        return torch.tensor(0.0)
    follow_torch()
    with torch.no_grad():
        grads = [_coalesced(p.grad) if p.grad.is_sparse else p.grad for p in params]
        norms = [torch.linalg.vector_norm(_values(grad), norm_type) for grad in grads]
        device = norms[0].device
        norm = torch.linalg.vector_norm(torch.stack([n.to(device) for n in norms]), norm_type)
        if error_if_nonfinite and not torch.isfinite(norm):
            raise RuntimeError(
                f"The total norm of order {norm_type} for gradients from `parameters` is "
                "non-finite, so it cannot be clipped"
            )
        factor = max_norm / (norm + 1e-6)
        if not factor >= 1.0:  # nan must reach the gradients
            for p, grad in zip(params, grads, strict=True):
                _values(grad).mul_(factor.to(grad.device))
                p.grad = grad
    return norm


def _values(grad: torch.Tensor) -> torch.Tensor:
    return grad._values() if grad.is_sparse else grad


def _coalesced(grad: torch.Tensor) -> torch.Tensor:
    """Return a sparse gradient with each index once, in memory of its own."""
    values = grad._values()
    if not can_be_table(values) or grad.sparse_dim() != 1:
        return grad.clone().coalesce()
    ids, sums = _core.coalesce_rows(call_of(grad), grad.shape[0])
    summed = torch.from_numpy(sums).view(len(ids), *grad.shape[1:])
    return torch.sparse_coo_tensor(
        torch.from_numpy(ids)[None], summed, grad.shape, check_invariants=False, is_coalesced=True
    )
