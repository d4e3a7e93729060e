"""FTRL-Proximal on the touched rows."""

from __future__ import annotations

import math
from typing import Any

import torch

from pyembed._core import Rule
from pyembed.torch._optimizer import Params, SparseOptimizer, check_rate


class SparseFTRL(SparseOptimizer, torch.optim.Optimizer):
    """FTRL-Proximal (McMahan et al. 2013) on the rows with a gradient: `pyembed.SparseFTRL`.

    torch has none. Results are those of `keras.optimizers.Ftrl`, but for rows without a gradient,
    which rest.

    Parameters
    ----------
    params : iterable of torch.Tensor, dict or (str, torch.Tensor)
        Parameters with sparse gradients, as those of ``nn.Embedding(sparse=True)``.
    lr : float or torch.Tensor
        Above 0.
    lr_power : float
        At most 0; 0 keeps the learning rate as it is.
    initial_accumulator_value : float
        What the accumulators start from.
    l1, l2 : float
        Strengths of the penalties on the weights that a step makes; l1 makes weights exactly 0.
    l2_shrinkage : float
        Strength of a penalty on the weights as they are, added to the gradient of touched rows.
    beta : float
        Adds ``beta / (2 * lr)`` to l2.
    maximize : bool
        Whether to go up the gradient.

    Raises
    ------
    ValueError
        If an argument's value is not allowed.
    """

    _dense_peer = "a dense FTRL"
    _nonnegative = ("initial_accumulator_value", "l1", "l2", "l2_shrinkage", "beta")

    def __init__(
        self,
        params: Params,
        lr: float | torch.Tensor = 1e-3,
        lr_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1: float = 0.0,
        l2: float = 0.0,
        l2_shrinkage: float = 0.0,
        beta: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            lr_power=lr_power,
            initial_accumulator_value=initial_accumulator_value,
            l1=l1,
            l2=l2,
            l2_shrinkage=l2_shrinkage,
            beta=beta,
            maximize=maximize,
        )

    def _check_group(self, group: dict[str, Any]) -> None:
        super()._check_group(group)
        check_rate(group["lr"])
        if not -math.inf < group["lr_power"] <= 0.0:
            raise ValueError(f"Invalid lr_power value: {group['lr_power']}")

    def _check_step(self, group: dict[str, Any], p: torch.Tensor) -> None:
        check_rate(group["lr"])  # a scheduler may have changed it

    def _starts(self, group: dict[str, Any]) -> dict[str, float]:
        return {"accumulator": group["initial_accumulator_value"], "linear": 0.0}

    def _rule(self, group: dict[str, Any], dtype: str) -> Rule:
        return Rule(
            "ftrl",
            learning_rate_power=group["lr_power"],
            l1=group["l1"],
            l2=group["l2"],
            l2_shrinkage=group["l2_shrinkage"],
            beta=group["beta"],
        )
