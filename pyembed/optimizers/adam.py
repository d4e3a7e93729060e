"""Adam at the cost of the touched rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyembed import _checks
from pyembed._core import Rule
from pyembed.layers.base import TableLayer
from pyembed.optimizers._exact import terms_and_horizon
from pyembed.optimizers.base import SparseOptimizer, Tables, registered
from pyembed.schedules import LearningRate
from pyembed.table import Table


@registered
class SparseAdam(SparseOptimizer):
    """Adam (Kingma & Ba 2015), lazy or exact, for which a step costs what its rows cost.

    For every row with a gradient G (its summands added up in order of position), with t the
    table's step count::

        m += (1 - beta_1) * (G - m)
        v += (1 - beta_2) * (G**2 - v)
        w -= learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (sqrt(v) + epsilon)

    With ``update="lazy"`` that is all, as `torch.optim.SparseAdam` and TensorFlow Addons'
    ``LazyAdam`` have it: the other rows stay as they are. Dense Adam moves them too, at every step,
    since their moments decay and still push. With ``update="exact"``, weights are those of dense
    Adam (`keras.optimizers.Adam`, AdamW): what a row has skipped is made up for when it is next
    looked up or updated, by a series whose terms depend on the steps skipped and not on the row.

    Parameters
    ----------
    tables : layer or sequence of layers
    learning_rate : float or callable
        A callable gets the table's step count t, from 1.
    beta_1, beta_2 : float
        In [0, 1). 'exact' needs beta_2 close to 1 beside beta_1: ValueError where the series would
        need more than 24 terms.
    epsilon : float
        Added to the root before the bias correction. With 0, an element whose gradients were all 0
        becomes nan, as 0 / 0 is; 'exact' needs more.
    weight_decay : float
        Decoupled: rows are multiplied by ``1 - learning_rate * weight_decay`` first; with 'lazy'
        the touched ones, with 'exact' all at every step.
    update : {'lazy', 'exact'}
        With 'exact', lookups read rows as they would be up to date, and write nothing;
        ``emb.embeddings``, saving, pickling, `state_dict`, ``emb.grow`` and `flush` bring all rows
        up to date first, which takes a pass over the table after a step. Padding and frozen rows
        stand still: no push, no decay. Not with an ``embeddings_constraint`` or
        ``step_bias="row"``. A regularizer's gradient is that of the touched rows alone.
    step_bias : {'global', 'row'}
        Whose steps t counts in the bias correction: the table's, or those in which the row had a
        gradient.

    Raises
    ------
    ValueError
        If an argument's value is not allowed, or a layer is not trainable or in another optimizer.
    """

    _state_names = ("m", "v")
    # Which rows stand still is the table's own to say; the others are up to date.
    _derived_names = frozenset({"stamp"})
    _fixed = SparseOptimizer._fixed | {"beta_1", "beta_2", "epsilon", "update", "step_bias"}

    def __init__(
        self,
        tables: Tables,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        *,
        weight_decay: float = 0.0,
        update: str = "lazy",
        step_bias: str = "global",
    ) -> None:
        super().__init__(
            tables, learning_rate, weight_decay, beta_1, beta_2, epsilon, update, step_bias
        )

    def _set_own(
        self, beta_1: float, beta_2: float, epsilon: float, update: str, step_bias: str
    ) -> None:
        self.beta_1 = _checks.real(beta_1, "beta_1", 0.0, 1.0)
        self.beta_2 = _checks.real(beta_2, "beta_2", 0.0, 1.0)
        self.epsilon = _checks.real(epsilon, "epsilon", 0.0)
        self.update = _checks.one_of(update, "update", ("lazy", "exact"))
        self.step_bias = _checks.one_of(step_bias, "step_bias", ("global", "row"))
        if self.update == "exact":
            self._check_exact()
        self._counts_rows = self.step_bias == "row"

    def _check_exact(self) -> None:
        if self.step_bias != "global":
            raise ValueError("update='exact' cannot be used with step_bias='row'")
        terms_and_horizon(self.beta_1, self.beta_2, "float64")

    def _check_layer(self, layer: TableLayer) -> None:
        if self.update != "exact":
            return
        if layer.embeddings_constraint is not None:
            raise ValueError(
                f"update='exact' cannot be used with the embeddings_constraint of {layer.name}"
            )
        # Rows that never had a gradient are settled too: their 0 / epsilon must not be 0 * inf.
        smallest = float(np.finfo(layer.dtype).tiny)
        if self.epsilon < smallest:
            raise ValueError(
                f"epsilon={self.epsilon!r} must be >= {smallest:g} for update='exact' in "
                f"{layer.dtype}"
            )

    def _rule(self, dtype: str) -> Rule:
        numbers = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        if self.update == "lazy":
            return Rule("adam", **numbers)
        terms, horizon = terms_and_horizon(self.beta_1, self.beta_2, dtype)
        return Rule("exact_adam", **numbers, terms=terms, horizon=horizon)

    def _arrays(self, table: Table) -> dict[str, NDArray[Any]]:
        arrays = super()._arrays(table)
        row_steps = self._states[table].row_steps
        if row_steps is not None:
            arrays["row_t"] = row_steps
        if self.update == "exact":
            arrays["stamp"] = table.stamps()
        return arrays

    def _checked(self, table: Table, given: dict[str, Any]) -> int:
        t = super()._checked(table, given)
        if self.update == "exact" and not np.isin(given["stamp"], (t, -1)).all():
            raise ValueError(f"stamp has rows that are behind t={t}: state_dict() has none")
        if self._counts_rows:
            row_t = np.asarray(given["row_t"])
            if not 0 <= row_t.min() <= row_t.max() <= t:
                raise ValueError(f"row_t has step counts that are not from 0 to t={t}")
        return t
