"""RMSprop on the touched rows."""

from __future__ import annotations

from collections.abc import Sequence

from pyembed import _checks
from pyembed._core import SortedGradient
from pyembed.layer import TableLayer
from pyembed.optimizers.base import SparseOptimizer, TableState
from pyembed.schedules import LearningRate


class SparseRMSprop(SparseOptimizer):
    """RMSprop (Hinton 2012) that moves only the rows with a gradient.

    For every row with a gradient G (its summands added up in order of position)::

        v = rho * v + (1 - rho) * G**2
        w -= learning_rate * G / sqrt(v + epsilon)

    as `keras.optimizers.RMSprop` (PyTorch adds epsilon to the root). The running means of the other
    rows stay as they are.

    Parameters
    ----------
    tables : layer or sequence of layers
    learning_rate : float or callable
        A callable gets the table's step count t, from 1.
    rho : float
        In [0, 1).
    epsilon : float
        With 0, an element whose gradients were all 0 becomes nan, as 0 / 0 is.
    weight_decay : float
        Decoupled: touched rows are multiplied by ``1 - learning_rate * weight_decay`` first.

    Raises
    ------
    ValueError
        If an argument's value is not allowed, or a layer is not trainable or in another optimizer.
    """

    _state_names = ("v",)
    _fixed = SparseOptimizer._fixed | {"rho", "epsilon"}

    def __init__(
        self,
        tables: TableLayer | Sequence[TableLayer],
        learning_rate: LearningRate = 0.001,
        rho: float = 0.9,
        epsilon: float = 1e-7,
        *,
        weight_decay: float = 0.0,
    ) -> None:
        self.rho = _checks.real(rho, "rho", 0.0, 1.0)
        self.epsilon = _checks.real(epsilon, "epsilon", 0.0)
        super().__init__(tables, learning_rate, weight_decay)

    def _apply(
        self, state: TableState, gradient: SortedGradient, learning_rate: float, decay: float
    ) -> None:
        gradient.step_rms_prop(state.array, learning_rate, decay, self.rho, self.epsilon)
