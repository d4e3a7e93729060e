"""Adagrad on the touched rows, with the arguments of `torch.optim.Adagrad`."""

from __future__ import annotations

from typing import Any

import torch

from pyembed._core import Table
from pyembed.torch._optimizer import (
    Params,
    SparseOptimizer,
    Update,
    check,
    check_rate,
    next_step,
)
from pyembed.torch._state import Form


class SparseAdagrad(SparseOptimizer):
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
    maximize : bool
        Whether to go up the gradient.

    Raises
    ------
    ValueError
        If an argument's value is not allowed.
    """

    _dense_peer = "Adagrad"

    def __init__(
        self,
        params: Params,
        lr: float | torch.Tensor = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "eps": eps,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check_group(self, group: dict[str, Any]) -> None:
        check_rate(group)
        check(group, "lr_decay", "lr_decay value")
        check(group, "weight_decay", "weight_decay value")
        check(group, "initial_accumulator_value", "initial_accumulator_value value")
        check(group, "eps", "epsilon value")

    def _state_names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("sum",)

    def _apply(self, update: Update) -> None:
        sums = self._state_rows(update, update.group["initial_accumulator_value"])
        update.gradient.step_adagrad(sums, self._rate(update), 1.0, update.group["eps"])

    def _rate(self, update: Update) -> float:
        step = next_step(self.state[update.p])
        return float(update.group["lr"]) / (1.0 + (step - 1) * update.group["lr_decay"])


class SparseRowWiseAdagrad(SparseAdagrad):
    """Adagrad with one sum for a row, of its mean squared gradients: FBGEMM's row-wise Adagrad.

    Parameters
    ----------
    params, lr, lr_decay, weight_decay, initial_accumulator_value, eps, maximize
        As in `SparseAdagrad`. A parameter's state `sum` has one element a row.

    Raises
    ------
    ValueError
        If an argument's value is not allowed.
    """

    def _form(self, p: torch.Tensor, table: Table) -> Form:
        rows = table.array.shape[0]
        return Form(rows, 1, torch.Size([rows]), p.dtype)

    def _apply(self, update: Update) -> None:
        sums = self._state_rows(update, update.group["initial_accumulator_value"])
        update.gradient.step_row_wise_adagrad(sums, self._rate(update), 1.0, update.group["eps"])
