"""FTRL-Proximal on the touched rows."""

from __future__ import annotations

from typing import Any

from pyembed import _checks
from pyembed._core import Rule
from pyembed.optimizers.base import SparseOptimizer, Tables, registered
from pyembed.schedules import LearningRate


@registered
class SparseFTRL(SparseOptimizer):
    """FTRL-Proximal (McMahan et al. 2013), whose L1 penalty makes weights exactly 0.

    For every row with a gradient G (its summands added up in order of position), with n the
    `accumulator`, z the `linear` part, ``p = -learning_rate_power``, and l1, l2, l2_shrinkage the
    strengths of that regularization::

        N = n + G**2
        z += G + 2 * l2_shrinkage * w - (N**p - n**p) / learning_rate * w
        n = N
        w = (clip(z, -l1, l1) - z) / (n**p / learning_rate + 2 * l2 + beta / learning_rate)

    as `keras.optimizers.Ftrl`, after McMahan et al., "Ad Click Prediction: a View from the
    Trenches". A step makes the row's weights anew from n and z, which hold all gradients before
    it. Of the weights that a row starts from, its first step keeps the share ``1 - (n / N)**p``:
    next to nothing where G**2 is small beside `initial_accumulator_value`.

    Parameters
    ----------
    tables : layer or sequence of layers
    learning_rate : float or callable
        Above 0. A callable gets the table's step count t, from 1.
    learning_rate_power : float
        At most 0; 0 keeps the learning rate as it is.
    initial_accumulator_value : float
        What every accumulator starts from, at least 0.
    l1_regularization_strength, l2_regularization_strength : float
        At least 0.
    l2_shrinkage_regularization_strength : float
        At least 0: a penalty on the weights as they are, added to the gradient of touched rows.
    beta : float
        At least 0: adds ``beta / (2 * learning_rate)`` to l2.

    Raises
    ------
    ValueError
        If an argument's value is not allowed, or a layer is not trainable or in another optimizer.

    Notes
    -----
    Rows without a gradient stay as they are. Dense FTRL makes their weights anew too, at every
    step: as 0 where there never was a gradient, and by the present learning rate. So the result is
    that of dense FTRL only where every row has had a gradient, at a constant learning rate and
    without shrinkage.
    """

    _state_names = ("accumulator", "linear")
    _fixed = SparseOptimizer._fixed | {
        "learning_rate_power",
        "initial_accumulator_value",
        "l1_regularization_strength",
        "l2_regularization_strength",
        "l2_shrinkage_regularization_strength",
        "beta",
    }

    def __init__(
        self,
        tables: Tables,
        learning_rate: LearningRate = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
    ) -> None:
        super().__init__(
            tables,
            learning_rate,
            0.0,
            learning_rate_power,
            initial_accumulator_value,
            l1_regularization_strength,
            l2_regularization_strength,
            l2_shrinkage_regularization_strength,
            beta,
        )

    def _set_own(
        self,
        learning_rate_power: float,
        initial_accumulator_value: float,
        l1_regularization_strength: float,
        l2_regularization_strength: float,
        l2_shrinkage_regularization_strength: float,
        beta: float,
    ) -> None:
        self.learning_rate_power = _checks.nonpositive(learning_rate_power, "learning_rate_power")
        self.initial_accumulator_value = _checks.real(
            initial_accumulator_value, "initial_accumulator_value", 0.0
        )
        self.l1_regularization_strength = _checks.real(
            l1_regularization_strength, "l1_regularization_strength", 0.0
        )
        self.l2_regularization_strength = _checks.real(
            l2_regularization_strength, "l2_regularization_strength", 0.0
        )
        self.l2_shrinkage_regularization_strength = _checks.real(
            l2_shrinkage_regularization_strength, "l2_shrinkage_regularization_strength", 0.0
        )
        self.beta = _checks.real(beta, "beta", 0.0)
        self._initial_values = (self.initial_accumulator_value, 0.0)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of this optimizer, but for its tables."""
        config = super().get_config()
        del config["weight_decay"]  # no argument of this one
        return config

    def _checked_rate(self, value: Any) -> float:
        return _checks.positive(value, "learning_rate")

    def _rule(self, dtype: str) -> Rule:
        return Rule(
            "ftrl",
            learning_rate_power=self.learning_rate_power,
            l1=self.l1_regularization_strength,
            l2=self.l2_regularization_strength,
            l2_shrinkage=self.l2_shrinkage_regularization_strength,
            beta=self.beta,
        )
