"""Adam at the cost of the touched rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyembed import _checks
from pyembed._core import SortedGradient, Table
from pyembed.layer import TableLayer
from pyembed.optimizers._bias import bias_correction
from pyembed.optimizers._exact import terms_and_horizon
from pyembed.optimizers.base import SparseOptimizer, TableState, writeable
from pyembed.schedules import LearningRate


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
        tables: TableLayer | Sequence[TableLayer],
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        *,
        weight_decay: float = 0.0,
        update: str = "lazy",
        step_bias: str = "global",
    ) -> None:
        self.beta_1 = _checks.real(beta_1, "beta_1", 0.0, 1.0)
        self.beta_2 = _checks.real(beta_2, "beta_2", 0.0, 1.0)
        self.epsilon = _checks.real(epsilon, "epsilon", 0.0)
        self.update = _checks.one_of(update, "update", ("lazy", "exact"))
        self.step_bias = _checks.one_of(step_bias, "step_bias", ("global", "row"))
        if self.update == "exact":
            self._check_exact()
        self._row_corrections = np.empty(0)
        self._row_steps: dict[Table, NDArray[np.int64]] = {}
        super().__init__(tables, learning_rate, weight_decay)

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

    def _new_state(self, layer: TableLayer) -> TableState:
        state = super()._new_state(layer)
        if self.step_bias == "row":
            self._row_steps[state.table] = np.zeros(len(state.array), np.int64)
        return state

    def _attach(self, state: TableState) -> None:
        if self.update == "exact":
            series = terms_and_horizon(self.beta_1, self.beta_2, state.layer.dtype)
            state.table.attach_moments(
                state.array, self.beta_1, self.beta_2, self.epsilon, *series, state.t
            )

    def release(self) -> None:
        """Give the tables up for another optimizer to take; this one cannot step any more."""
        super().release()
        self._row_steps = {}

    def _arrays(self, state: TableState) -> dict[str, NDArray[Any]]:
        arrays = super()._arrays(state)
        if state.table in self._row_steps:
            arrays["row_t"] = self._row_steps[state.table]
        if self.update == "exact":
            # Rows are up to date, so theirs is t: also where a Ctrl-C came after t was counted and
            # before the table made the step.
            stamps = state.table.stamps()
            arrays["stamp"] = np.where(stamps < 0, stamps, state.t)
        return arrays

    def _checked(self, state: TableState, given: dict[str, Any]) -> int:
        t = super()._checked(state, given)
        if self.update == "exact" and not np.isin(given["stamp"], (t, -1)).all():
            raise ValueError(f"stamp has rows that are behind t={t}: state_dict() has none")
        if state.table in self._row_steps:
            row_t = np.asarray(given["row_t"])
            if not 0 <= row_t.min() <= row_t.max() <= t:
                raise ValueError(f"row_t has step counts that are not from 0 to t={t}")
        return t

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for table, steps in self._row_steps.items():
            self._row_steps[table] = writeable(steps)

    def _grow(self, table: Table, array: NDArray[Any]) -> None:
        with self._lock:
            steps = self._row_steps.get(table)
            if steps is None:
                super()._grow(table, array)
                return
            grown = np.pad(steps, (0, len(array) - len(steps)))
            try:
                super()._grow(table, array)
            finally:
                if len(table.array) == len(grown):
                    self._row_steps[table] = grown

    def _apply(
        self, state: TableState, gradient: SortedGradient, learning_rate: float, decay: float
    ) -> None:
        rule = (learning_rate, decay, self.beta_1, self.beta_2, self.epsilon)
        row_steps = self._row_steps.get(state.table)
        if self.update == "exact":
            gradient.step_exact_adam(*rule, self._correction(state.t))
        elif row_steps is None:
            gradient.step_adam(state.array, *rule, np.array([self._correction(state.t)]))
        else:
            corrections = self._corrections_up_to(state.t)
            gradient.step_adam(state.array, *rule, corrections, row_steps)

    def _correction(self, t: int) -> float:
        return bias_correction(self.beta_1, self.beta_2, t)

    def _corrections_up_to(self, t: int) -> NDArray[np.float64]:
        """Return the bias corrections at 1 … t, or at fewer: the last stands for all after it."""
        slowest = max(self.beta_1, self.beta_2)
        horizon = 1 if slowest == 0.0 else math.ceil(-54.0 * math.log(2.0) / math.log(slowest))
        have = len(self._row_corrections)
        if have < min(t, horizon):
            enough = min(horizon, max(t, 2 * have))
            further = [self._correction(step) for step in range(have + 1, enough + 1)]
            self._row_corrections = np.append(self._row_corrections, further)
        return self._row_corrections
