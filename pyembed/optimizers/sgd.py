"""Stochastic gradient descent on the touched rows."""

from __future__ import annotations

from collections.abc import Sequence

from pyembed import _checks
from pyembed._core import SortedGradient
from pyembed.layer import TableLayer
from pyembed.optimizers.base import SparseOptimizer, TableState
from pyembed.schedules import LearningRate


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
        tables: TableLayer | Sequence[TableLayer],
        learning_rate: LearningRate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        *,
        weight_decay: float = 0.0,
    ) -> None:
        self.momentum = _checks.real(momentum, "momentum", 0.0, 1.0)
        self.nesterov = bool(nesterov)
        if self.nesterov and self.momentum == 0.0:
            raise ValueError("nesterov=True needs a momentum above 0")
        self._state_names = ("momentum",) if self.momentum > 0.0 else ()
        super().__init__(tables, learning_rate, weight_decay)

    def _apply(
        self, state: TableState, gradient: SortedGradient, learning_rate: float, decay: float
    ) -> None:
        if self.momentum == 0.0:
            gradient.step_sgd(learning_rate, decay)
        else:
            gradient.step_momentum(state.array, learning_rate, decay, self.momentum, self.nesterov)
