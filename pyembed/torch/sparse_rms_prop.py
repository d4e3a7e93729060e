"""RMSprop on the touched rows, with the arguments of `torch.optim.RMSprop`."""

from __future__ import annotations

from typing import Any

import torch

from pyembed.torch._optimizer import (
    Params,
    SparseOptimizer,
    Update,
    check,
    check_rate,
    next_step,
)


class SparseRMSprop(SparseOptimizer):
    """`torch.optim.RMSprop` on the rows with a gradient; torch has none for sparse gradients.

    There is no momentum, and it is not centered.

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
    maximize : bool
        Whether to go up the gradient.

    Raises
    ------
    ValueError
        If an argument's value is not allowed.
    """

    _dense_peer = "RMSprop"

    def __init__(
        self,
        params: Params,
        lr: float | torch.Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check_group(self, group: dict[str, Any]) -> None:
        check_rate(group)
        check(group, "alpha", "alpha value", below=1.0)
        check(group, "eps", "epsilon value")
        check(group, "weight_decay", "weight_decay value")

    def _state_names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("square_avg",)

    def _apply(self, update: Update) -> None:
        group = update.group
        squares = self._state_rows(update)
        next_step(self.state[update.p])
        update.gradient.step_rms_prop(
            squares, float(group["lr"]), 1.0, group["alpha"], 0.0, group["eps"]
        )
