"""RMSprop on the touched rows."""

from __future__ import annotations

from pyembed import _checks
from pyembed._core import Rule
from pyembed.optimizers.base import SparseOptimizer, Tables, registered
from pyembed.schedules import LearningRate


@registered
class SparseRMSprop(SparseOptimizer):
    """RMSprop (Hinton 2012) that moves only the rows with a gradient.

    For every row with a gradient G (its summands added up in order of position)::

        v = rho * v + (1 - rho) * G**2
        w -= learning_rate * G / sqrt(v + epsilon)

    as `keras.optimizers.RMSprop` (PyTorch adds epsilon to the root). The running means of the other
    rows stay as they are.

    Parameters
    ----------
    tables, learning_rate, weight_decay
        As in `SparseSGD`.
    rho : float
        In [0, 1).
    epsilon : float
        With 0, an element whose gradients were all 0 becomes nan, as 0 / 0 is.

    Raises
    ------
    ValueError
        If an argument's value is not allowed, or a layer is not trainable or in another optimizer.
    """

    _state_names = ("v",)
    _fixed = SparseOptimizer._fixed | {"rho", "epsilon"}

    def __init__(
        self,
        tables: Tables,
        learning_rate: LearningRate = 0.001,
        rho: float = 0.9,
        epsilon: float = 1e-7,
        *,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(tables, learning_rate, weight_decay, rho, epsilon)

    def _set_own(self, rho: float, epsilon: float) -> None:
        self.rho = _checks.real(rho, "rho", 0.0, 1.0)
        self.epsilon = _checks.real(epsilon, "epsilon", 0.0)

    def _rule(self, dtype: str) -> Rule:
        return Rule("rms_prop", rho=self.rho, epsilon=self.epsilon, epsilon_outside=0.0)
