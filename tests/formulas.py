"""Every optimizer beside its formula in reference.py.

Of each, make(layer) and update(rows, state, gradient, t).
"""

import numpy as np

import pyembed as pe
import reference

ADAM = {"learning_rate": 0.03, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-6}
FTRL = {
    "learning_rate": 0.1,
    "initial_accumulator_value": 0.0,
    "l1_regularization_strength": 0.02,
    "l2_regularization_strength": 0.3,
    "l2_shrinkage_regularization_strength": 0.05,
    "beta": 0.7,
}


def adam_reference(w, state, g, t, decay=0.0):
    reference.adam(w, state[0], state[1], g, t, 0.03, 0.8, 0.95, 1e-6, decay)


def row_wise_adagrad_reference(w, state, g):
    # The accumulators of all rows are kept in the first column.
    accumulator = state[:, 0].copy() if state.shape[1] else np.zeros(len(w), w.dtype)
    reference.row_wise_adagrad(w, accumulator, g, 0.1, 1e-6, 0.25)
    state[:, :1] = accumulator[:, None]


OPTIMIZERS = {
    "adam": (lambda e: pe.SparseAdam(e, **ADAM), adam_reference),
    "adam with decay": (
        lambda e: pe.SparseAdam(e, **ADAM, weight_decay=0.5),
        lambda w, state, g, t: adam_reference(w, state, g, t, 0.5),
    ),
    "sgd": (lambda e: pe.SparseSGD(e, 0.1), lambda w, s, g, t: reference.sgd(w, s[0], g, 0.1)),
    "sgd with decay": (
        lambda e: pe.SparseSGD(e, 0.1, weight_decay=0.25),
        lambda w, s, g, t: reference.sgd(w, s[0], g, 0.1, decay=0.25),
    ),
    "momentum": (
        lambda e: pe.SparseSGD(e, 0.1, 0.9),
        lambda w, s, g, t: reference.sgd(w, s[0], g, 0.1, 0.9),
    ),
    "nesterov": (
        lambda e: pe.SparseSGD(e, 0.1, 0.9, True, weight_decay=0.25),
        lambda w, s, g, t: reference.sgd(w, s[0], g, 0.1, 0.9, True, 0.25),
    ),
    "adagrad": (
        lambda e: pe.SparseAdagrad(e, 0.1, 0.0, 1e-6),
        lambda w, s, g, t: reference.adagrad(w, s[0], g, 0.1, 1e-6),
    ),
    "adagrad with decay": (
        lambda e: pe.SparseAdagrad(e, 0.1, 0.0, 1e-6, weight_decay=0.25),
        lambda w, s, g, t: reference.adagrad(w, s[0], g, 0.1, 1e-6, 0.25),
    ),
    "row-wise adagrad": (
        lambda e: pe.SparseRowWiseAdagrad(e, 0.1, 0.0, 1e-6, weight_decay=0.25),
        lambda w, s, g, t: row_wise_adagrad_reference(w, s[0], g),
    ),
    "rmsprop": (
        lambda e: pe.SparseRMSprop(e, 0.1, 0.8, 1e-6),
        lambda w, s, g, t: reference.rms_prop(w, s[0], g, 0.1, 0.8, 1e-6),
    ),
    "rmsprop with decay": (
        lambda e: pe.SparseRMSprop(e, 0.1, 0.8, 1e-6, weight_decay=0.25),
        lambda w, s, g, t: reference.rms_prop(w, s[0], g, 0.1, 0.8, 1e-6, 0.25),
    ),
    "ftrl": (
        lambda e: pe.SparseFTRL(e, 0.1, initial_accumulator_value=0.0),
        lambda w, s, g, t: reference.ftrl(w, *s, g, 0.1),
    ),
    "ftrl with penalties": (
        lambda e: pe.SparseFTRL(e, **FTRL),
        lambda w, s, g, t: reference.ftrl(w, *s, g, 0.1, -0.5, 0.02, 0.3, 0.05, 0.7),
    ),
    "lion": (
        lambda e: pe.SparseLion(e, 0.1, 0.8, 0.95),
        lambda w, s, g, t: reference.lion(w, s[0], g, 0.1, 0.8, 0.95),
    ),
    "lion with decay": (
        lambda e: pe.SparseLion(e, 0.1, 0.8, 0.95, weight_decay=0.25),
        lambda w, s, g, t: reference.lion(w, s[0], g, 0.1, 0.8, 0.95, 0.25),
    ),
}


class Reference:
    """A table trained in plain NumPy: the same sums, the same formula, row by row."""

    def __init__(self, table, update):
        self.table = table.copy()
        self.state = np.zeros((2, *table.shape), table.dtype)
        self.update = update
        self.t = 0

    def step(self, ids, values):
        self.t += 1
        rows, sums = reference.coalesce(ids, values)
        w, state = self.table[rows], self.state[:, rows]
        self.update(w, state, sums, self.t)
        self.table[rows], self.state[:, rows] = w, state
