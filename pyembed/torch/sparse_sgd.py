"""Stochastic gradient descent on the touched rows, with the arguments of `torch.optim.SGD`."""

from __future__ import annotations

from typing import Any

import torch

from pyembed.torch._optimizer import Params, SparseOptimizer, Update, check, check_rate


class SparseSGD(SparseOptimizer):
    """`torch.optim.SGD` on the rows with a gradient.

    Parameters
    ----------
    params : iterable of torch.Tensor, dict or (str, torch.Tensor)
        Parameters with sparse gradients, as those of ``nn.Embedding(sparse=True)``.
    lr : float or torch.Tensor
    momentum : float
        0 keeps no state. torch moves every row by its momentum in every step; here rows rest in a
        step that gives them no gradient.
    dampening : float
        The momentum takes ``1 - dampening`` of each gradient, but of a parameter's first.
    weight_decay : float
        Added to the gradient of each touched row, times the row.
    nesterov : bool
        Needs a momentum, and no dampening.
    maximize : bool
        Whether to go up the gradient.

    Raises
    ------
    ValueError
        If an argument's value is not allowed.
    """

    _dense_peer = "SGD"

    def __init__(
        self,
        params: Params,
        lr: float | torch.Tensor = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check_group(self, group: dict[str, Any]) -> None:
        check_rate(group)
        check(group, "momentum", "momentum value")
        check(group, "weight_decay", "weight_decay value")
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")

    def _state_names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("momentum_buffer",) if group["momentum"] > 0.0 else ()

    def _share(self, group: dict[str, Any], p: torch.Tensor) -> float:
        is_first = self.state.get(p, {}).get("momentum_buffer") is None
        return 1.0 if is_first or group["momentum"] == 0.0 else 1.0 - group["dampening"]

    def _apply(self, update: Update) -> None:
        group = update.group
        lr, momentum = float(group["lr"]), group["momentum"]
        if momentum == 0.0:
            update.gradient.step_sgd(lr, 1.0)
        else:
            buffer = self._state_rows(update)
            update.gradient.step_momentum(buffer, lr, 1.0, momentum, group["nesterov"])
