"""Adagrad on the touched rows, with an accumulator for each element or for each row."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from pyembed import _checks
from pyembed._core import Rule
from pyembed.optimizers.base import SparseOptimizer, Tables, registered
from pyembed.schedules import LearningRate
from pyembed.table import Table


@registered
class SparseAdagrad(SparseOptimizer):
    """Adagrad (Duchi, Hazan & Singer 2011).

    For every row with a gradient G (its summands added up in order of position)::

        accumulator += G**2
        w -= learning_rate * G / (sqrt(accumulator) + epsilon)

    which is dense Adagrad's result, as `torch.optim.Adagrad` has it: rows without a gradient would
    not move there either (but by weight decay).

    Parameters
    ----------
    tables, learning_rate, weight_decay
        As in `SparseSGD`.
    initial_accumulator_value : float
        What every accumulator starts from, at least 0.
    epsilon : float
        Added to the root. With 0, and accumulators that start from 0, an element whose gradients
        were all 0 becomes nan, as 0 / 0 is.

    Raises
    ------
    ValueError
        If an argument's value is not allowed, or a layer is not trainable or in another optimizer.
    """

    _state_names = ("accumulator",)
    _fixed = SparseOptimizer._fixed | {"initial_accumulator_value", "epsilon"}

    def __init__(
        self,
        tables: Tables,
        learning_rate: LearningRate = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        *,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(tables, learning_rate, weight_decay, initial_accumulator_value, epsilon)

    def _set_own(self, initial_accumulator_value: float, epsilon: float) -> None:
        self.initial_accumulator_value = _checks.real(
            initial_accumulator_value, "initial_accumulator_value", 0.0
        )
        self.epsilon = _checks.real(epsilon, "epsilon", 0.0)
        self._initial_values = (self.initial_accumulator_value,)

    def _rule(self, dtype: str) -> Rule:
        return Rule("adagrad", epsilon=self.epsilon)


@registered
class SparseRowWiseAdagrad(SparseAdagrad):
    """Adagrad with one accumulator for a row: a D-th of the state.

    For every row with a gradient G: ``accumulator += mean(G**2)`` and
    ``w -= learning_rate * G / (sqrt(accumulator) + epsilon)``, as FBGEMM's row-wise Adagrad, which
    recommender systems train large tables with.

    Parameters
    ----------
    tables, learning_rate, initial_accumulator_value, epsilon, weight_decay
        As in `SparseAdagrad`.

    Raises
    ------
    ValueError
        If an argument's value is not allowed, or a layer is not trainable or in another optimizer.
    """

    def _arrays(self, table: Table) -> dict[str, NDArray[Any]]:
        return {"accumulator": self._states[table].array[:, 0, 0]}

    def _rule(self, dtype: str) -> Rule:
        return Rule("row_wise_adagrad", epsilon=self.epsilon)
