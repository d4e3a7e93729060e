"""Adagrad on the touched rows, with the arguments of `torch.optim.Adagrad`."""

from __future__ import annotations

from typing import Any

import torch

from pyembed._core import Rule
from pyembed.torch._optimizer import Params, SparseOptimizer


class SparseAdagrad(SparseOptimizer, torch.optim.Optimizer):
    """`torch.optim.Adagrad` on parameters with sparse gradients: the same results.

    Parameters
    ----------
    params : iterable of torch.Tensor, dict or (str, torch.Tensor)
        Parameters with sparse gradients, as those of ``nn.Embedding(sparse=True)``.
    lr : float or torch.Tensor
    lr_decay : float
        The learning rate of step t is ``lr / (1 + (t - 1) * lr_decay)``.
    weight_decay : float
        Added to the gradient of each touched row, times the row; torch refuses it beside sparse
        gradients.
    initial_accumulator_value : float
        What the sums of squared gradients start from.
    eps : float
        Added to the root.
    foreach : bool, optional
        Ignored: torch's choice among its own implementations.
    maximize : bool
        Whether to go up the gradient.
    differentiable, fused : bool, optional
        As torch has them, but not True.

    Raises
    ------
    ValueError
        If an argument's value is not allowed.
    """

    _dense_peer = "Adagrad"
    _nonnegative = ("lr_decay", "weight_decay", "initial_accumulator_value", "eps")
    _steps_are = torch.Tensor
    _torchs = ("foreach", "differentiable", "fused")

    def __init__(
        self,
        params: Params,
        lr: float | torch.Tensor = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
            foreach=foreach,
            maximize=maximize,
            differentiable=differentiable,
            fused=fused,
        )

    def _starts(self, group: dict[str, Any]) -> dict[str, float]:
        return {"sum": group["initial_accumulator_value"]}

    def _rate(self, group: dict[str, Any], done: int) -> float:
        return float(group["lr"]) / (1.0 + done * group["lr_decay"])

    def _rule(self, group: dict[str, Any], dtype: str) -> Rule:
        return Rule("adagrad", epsilon=group["eps"])


class SparseRowWiseAdagrad(SparseAdagrad):
    """Adagrad with one sum for a row, of its mean squared gradients: FBGEMM's row-wise Adagrad.

    Parameters
    ----------
    params, lr, lr_decay, weight_decay, initial_accumulator_value, eps, foreach, maximize
    differentiable, fused
        As in `SparseAdagrad`. A parameter's state `sum` has one element a row.

    Raises
    ------
    ValueError
        If an argument's value is not allowed.
    """

    _is_row_wise = True

    def _rule(self, group: dict[str, Any], dtype: str) -> Rule:
        return Rule("row_wise_adagrad", epsilon=group["eps"])
