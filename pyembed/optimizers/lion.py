"""Lion on the touched rows."""

from __future__ import annotations

from pyembed import _checks
from pyembed._core import Rule
from pyembed.optimizers.base import SparseOptimizer, Tables, registered
from pyembed.schedules import LearningRate


@registered
class SparseLion(SparseOptimizer):
    """Lion (Chen et al. 2023) that moves only the rows with a gradient, each element by one length.

    For every row with a gradient G (its summands added up in order of position)::

        w -= learning_rate * sign(beta_1 * m + (1 - beta_1) * G)
        m = beta_2 * m + (1 - beta_2) * G

    with ``sign(0) = 0``, as `keras.optimizers.Lion`: Chen et al., "Symbolic Discovery of
    Optimization Algorithms". Dense Lion moves all rows at every step, by the sign of their
    momentum; here rows without a gradient rest, and so do their momenta. The result is dense
    Lion's only where every row has a gradient at every step.

    Parameters
    ----------
    tables, learning_rate, weight_decay
        As in `SparseSGD`. Every element of a touched row moves by the learning rate, however small
        its gradient: it is to be some 3 to 10 times smaller than Adam's.
    beta_1 : float
        How much of the momentum is in the direction of a step, in [0, 1).
    beta_2 : float
        How much of the momentum stays, in [0, 1).

    Raises
    ------
    ValueError
        If an argument's value is not allowed, or a layer is not trainable or in another optimizer.
    """

    _state_names = ("m",)
    _fixed = SparseOptimizer._fixed | {"beta_1", "beta_2"}

    def __init__(
        self,
        tables: Tables,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        *,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(tables, learning_rate, weight_decay, beta_1, beta_2)

    def _set_own(self, beta_1: float, beta_2: float) -> None:
        self.beta_1 = _checks.real(beta_1, "beta_1", 0.0, 1.0)
        self.beta_2 = _checks.real(beta_2, "beta_2", 0.0, 1.0)

    def _rule(self, dtype: str) -> Rule:
        return Rule("lion", beta_1=self.beta_1, beta_2=self.beta_2)
