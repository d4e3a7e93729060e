"""Lion on the touched rows."""

from __future__ import annotations

from typing import Any

import torch

from pyembed._core import Rule
from pyembed.torch._optimizer import Params, SparseOptimizer, check_betas


class SparseLion(SparseOptimizer, torch.optim.Optimizer):
    """Lion (Chen et al. 2023) on the rows with a gradient: `pyembed.SparseLion`.

    torch has none. Rows without a gradient rest, and so do their momenta.

    Parameters
    ----------
    params : iterable of torch.Tensor, dict or (str, torch.Tensor)
        Parameters with sparse gradients, as those of ``nn.Embedding(sparse=True)``.
    lr : float or torch.Tensor
        How far each element of a touched row moves, however small its gradient.
    betas : (float, float)
        How much of the momentum is in the direction of a step, and how much of it stays; each in
        [0, 1).
    weight_decay : float
        Decoupled, as in `torch.optim.AdamW`: touched rows are multiplied by
        ``1 - lr * weight_decay`` first.
    maximize : bool
        Whether to go up the gradient.

    Raises
    ------
    ValueError
        If an argument's value is not allowed.
    """

    _dense_peer = "a dense Lion"
    _nonnegative = ("weight_decay",)
    _decays_rows = True

    def __init__(
        self,
        params: Params,
        lr: float | torch.Tensor = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, weight_decay=weight_decay, maximize=maximize)

    def _check_group(self, group: dict[str, Any]) -> None:
        super()._check_group(group)
        check_betas(group)

    def _starts(self, group: dict[str, Any]) -> dict[str, float]:
        return {"exp_avg": 0.0}

    def _rule(self, group: dict[str, Any], dtype: str) -> Rule:
        beta_1, beta_2 = group["betas"]
        return Rule("lion", beta_1=beta_1, beta_2=beta_2)
