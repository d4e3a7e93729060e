"""Stochastic gradient descent on the touched rows, with the arguments of `torch.optim.SGD`."""

from __future__ import annotations

from typing import Any

import torch

from pyembed._core import Rule
from pyembed.torch._optimizer import Params, SparseOptimizer


class SparseSGD(SparseOptimizer, torch.optim.Optimizer):
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
    foreach : bool, optional
        Ignored: torch's choice among its own implementations.
    differentiable, fused : bool, optional
        As torch has them, but not True.

    Raises
    ------
    ValueError
        If an argument's value is not allowed.
    """

    _dense_peer = "SGD"
    _nonnegative = ("momentum", "weight_decay")
    _torchs = ("foreach", "differentiable", "fused")

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
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
            maximize=maximize,
            foreach=foreach,
            differentiable=differentiable,
            fused=fused,
        )

    def _check_group(self, group: dict[str, Any]) -> None:
        super()._check_group(group)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")

    def _starts(self, group: dict[str, Any]) -> dict[str, float]:
        return {"momentum_buffer": 0.0} if group["momentum"] > 0.0 else {}

    def _factor(self, group: dict[str, Any], p: torch.Tensor) -> float:
        is_first = self.state.get(p, {}).get("momentum_buffer") is None
        return 1.0 if is_first or group["momentum"] == 0.0 else 1.0 - group["dampening"]

    def _rule(self, group: dict[str, Any], dtype: str) -> Rule:
        if group["momentum"] == 0.0:
            return Rule("sgd")
        return Rule("momentum", momentum=group["momentum"], nesterov=group["nesterov"])
