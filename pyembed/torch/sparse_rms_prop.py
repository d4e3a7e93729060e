"""RMSprop on the touched rows, with the arguments of `torch.optim.RMSprop`."""

from __future__ import annotations

from typing import Any

import torch

from pyembed._core import Rule
from pyembed.torch._optimizer import Params, SparseOptimizer


class SparseRMSprop(SparseOptimizer, torch.optim.Optimizer):
    """`torch.optim.RMSprop` on the rows with a gradient; torch has none for sparse gradients.

    Parameters
    ----------
    params : iterable of torch.Tensor, dict or (str, torch.Tensor)
        Parameters with sparse gradients, as those of ``nn.Embedding(sparse=True)``.
    lr : float or torch.Tensor
    alpha : float
        The running mean of squared gradients keeps this share of itself, in [0, 1). That of a row
        without a gradient stays as it is.
    eps : float
        Added to the root.
    weight_decay : float
        Added to the gradient of each touched row, times the row.
    momentum, centered, capturable
        As torch has them, but not other than 0 and False.
    foreach : bool, optional
        Ignored: torch's choice among its own implementations.
    maximize : bool
        Whether to go up the gradient.
    differentiable : bool
        As torch has it, but not True.

    Raises
    ------
    ValueError
        If an argument's value is not allowed.
    """

    _dense_peer = "RMSprop"
    _nonnegative = ("alpha", "eps", "weight_decay")
    _steps_are = torch.Tensor
    _torchs = ("momentum", "centered", "capturable", "foreach", "differentiable")

    def __init__(
        self,
        params: Params,
        lr: float | torch.Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            momentum=momentum,
            alpha=alpha,
            eps=eps,
            centered=centered,
            weight_decay=weight_decay,
            capturable=capturable,
            foreach=foreach,
            maximize=maximize,
            differentiable=differentiable,
        )

    def _check_group(self, group: dict[str, Any]) -> None:
        super()._check_group(group)
        if not group["alpha"] < 1.0:
            raise ValueError(f"Invalid alpha value: {group['alpha']}")

    def _starts(self, group: dict[str, Any]) -> dict[str, float]:
        return {"square_avg": 0.0}

    def _rule(self, group: dict[str, Any], dtype: str) -> Rule:
        return Rule("rms_prop", rho=group["alpha"], epsilon=0.0, epsilon_outside=group["eps"])
