"""Stochastic gradient descent on the touched rows."""

from __future__ import annotations

from pyembed import _checks
from pyembed._core import Rule
from pyembed.optimizers.base import SparseOptimizer, Tables, registered
from pyembed.schedules import LearningRate


@registered
class SparseSGD(SparseOptimizer):
    """Stochastic gradient descent, with momentum as PyTorch defines it.

    For every row with a gradient G (its summands added up in order of position):
    ``buf = momentum * buf + G`` and ``w -= learning_rate * buf``; with `nesterov`,
    ``w -= learning_rate * (G + momentum * buf)``. Rows without a gradient do not move.

    Parameters
    ----------
    tables : layer or sequence of layers
    learning_rate : float or callable
        A callable gets the table's step count t, from 1.
    momentum : float
        In [0, 1). 0 keeps no state.
    nesterov : bool
        Needs a momentum.
    weight_decay : float
        Decoupled: touched rows are multiplied by ``1 - learning_rate * weight_decay`` first.

    Raises
    ------
    ValueError
        If an argument's value is not allowed, or a layer is not trainable or in another optimizer.
    """

    _fixed = SparseOptimizer._fixed | {"momentum", "nesterov"}

    def __init__(
        self,
        tables: Tables,
        learning_rate: LearningRate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        *,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(tables, learning_rate, weight_decay, momentum, nesterov)

    def _set_own(self, momentum: float, nesterov: bool) -> None:
        self.momentum = _checks.real(momentum, "momentum", 0.0, 1.0)
        self.nesterov = bool(nesterov)
        if self.nesterov and self.momentum == 0.0:
            raise ValueError("nesterov=True needs a momentum above 0")
        self._state_names = ("momentum",) if self.momentum > 0.0 else ()

    def _rule(self, dtype: str) -> Rule:
        if self.momentum == 0.0:
            return Rule("sgd")
        return Rule("momentum", momentum=self.momentum, nesterov=float(self.nesterov))
