"""Gradients of fused weights that are not of their lookups."""

from __future__ import annotations

import weakref
from typing import Any, Protocol

import torch

from pyembed.torch._optimizer import SparseOptimizer


class Fused(Protocol):
    """A module whose rows may be updated in the backward pass."""

    weight: torch.Tensor
    optimizer: SparseOptimizer | None


def watch(module: Fused) -> None:
    """Give what else has a module's weight in a pass, a tied layer, say, to its fused step too."""
    hooks: Any = module.weight._backward_hooks
    found = [hook for hook in (hooks or {}).values() if isinstance(hook, _Watch)]
    if found:
        found[0].modules.add(module)
    elif module.weight.requires_grad:
        module.weight.register_hook(_Watch(module))


class _Watch:
    """A weight's hook, which takes its gradient before it is accumulated."""

    __torch_unserializable__ = True  # it is made anew with the module

    def __init__(self, module: Fused) -> None:
        self.modules: weakref.WeakSet[Fused] = weakref.WeakSet((module,))

    def __call__(self, grad: torch.Tensor | None) -> None:
        if grad is None:  # all is of lookups, which their step has
            return
        for module in list(self.modules):
            if module.optimizer is not None:
                _take(module.weight, grad, module.optimizer)
                return


def is_reached(node: Any) -> bool | None:
    """Return whether the running pass reaches a node; None where it is to return its gradient.

    ``backward()`` reaches all weights, or those given as ``inputs``; `torch.autograd.grad` none.
    """
    will_run: Any = torch._C._will_engine_execute_node  # type: ignore[attr-defined]
    try:
        return bool(will_run(node))
    except RuntimeError:  # which it raises for what torch.autograd.grad is to return
        return None


def _take(p: torch.Tensor, grad: torch.Tensor, optimizer: SparseOptimizer) -> None:
    if is_reached(torch.autograd.graph.get_gradient_edge(p).node) is None:
        return
    optimizer._take_other(p, grad.detach())
    before, p.grad = p.grad, None

    def restore(p: torch.Tensor) -> None:
        p.grad = before
        handle.remove()

    handle = p.register_post_accumulate_grad_hook(restore)
