"""What an optimizer is made with."""

import numpy as np
import pytest

import pyembed as pe


def test_what_was_checked_together_cannot_be_changed_alone():
    adam, sgd = pe.SparseAdam(pe.Embedding(3, 2)), pe.SparseSGD(pe.Embedding(3, 2))
    ftrl, lion = pe.SparseFTRL(pe.Embedding(3, 2)), pe.SparseLion(pe.Embedding(3, 2))
    for opt, name in [
        (adam, "beta_1"),
        (adam, "weight_decay"),
        (sgd, "momentum"),
        (ftrl, "beta"),
        (ftrl, "learning_rate_power"),
        (lion, "beta_2"),
    ]:
        with pytest.raises(AttributeError, match=f"{name} cannot be changed"):
            setattr(opt, name, 0.5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda e: pe.SparseAdam(e, -0.1), "learning_rate=-0.1 must be"),
        (lambda e: pe.SparseAdam(e, np.nan), "learning_rate=nan must be"),
        (lambda e: pe.SparseAdam(e, "0.1"), "learning_rate='0.1' must be"),
        (lambda e: pe.SparseAdam(e, beta_1=1.0), "beta_1=1.0 must be .* >= 0 and < 1"),
        (lambda e: pe.SparseAdam(e, beta_2=-0.1), "beta_2=-0.1 must be"),
        (lambda e: pe.SparseAdam(e, epsilon=-1e-9), "epsilon=-1e-09 must be"),
        (lambda e: pe.SparseAdam(e, weight_decay=-1), "weight_decay=-1 must be"),
        (lambda e: pe.SparseAdam(e, 0.5, weight_decay=2.0), "learning_rate=0.5 must be .* < 0.5"),
        (lambda e: pe.SparseAdam(e, update="eager"), "update='eager' is none of 'lazy', 'exact'"),
        (lambda e: pe.SparseAdam(e, step_bias="t"), "step_bias='t' is none of 'global', 'row'"),
        (lambda e: pe.SparseSGD(e, momentum=1.0), "momentum=1.0 must be"),
        (lambda e: pe.SparseSGD(e, nesterov=True), "nesterov=True needs a momentum"),
        (lambda e: pe.SparseFTRL(e, 0.0), "learning_rate=0.0 must be a finite number > 0"),
        (lambda e: pe.SparseFTRL(e, -0.1), "learning_rate=-0.1 must be a finite number > 0"),
        (lambda e: pe.SparseFTRL(e, np.inf), "learning_rate=inf must be a finite number > 0"),
        (
            lambda e: pe.SparseFTRL(e, learning_rate_power=0.5),
            "learning_rate_power=0.5 must be a finite number <= 0",
        ),
        (
            lambda e: pe.SparseFTRL(e, learning_rate_power=np.nan),
            "learning_rate_power=nan must be a finite number <= 0",
        ),
        *(
            (
                lambda e, name=name, value=value: pe.SparseFTRL(e, **{name: value}),
                f"{name}={value!r} must be a finite number >= 0",
            )
            for name in (
                "initial_accumulator_value",
                "l1_regularization_strength",
                "l2_regularization_strength",
                "l2_shrinkage_regularization_strength",
                "beta",
            )
            for value in (-1.0, float("inf"), "1")
        ),
        (lambda e: pe.SparseLion(e, -0.1), "learning_rate=-0.1 must be a finite number >= 0"),
        (lambda e: pe.SparseLion(e, beta_1=1.0), "beta_1=1.0 must be .* >= 0 and < 1"),
        (lambda e: pe.SparseLion(e, beta_2=-0.5), "beta_2=-0.5 must be .* >= 0 and < 1"),
        (lambda e: pe.SparseLion(e, weight_decay=-1), "weight_decay=-1 must be"),
        (lambda e: pe.SparseLion(e, 0.5, weight_decay=2.0), "learning_rate=0.5 must be .* < 0.5"),
        (lambda e: pe.SparseSGD([]), "tables is empty"),
        (lambda e: pe.SparseSGD([e, e]), "stands in tables twice: name it once"),
    ],
)
def test_unusable_arguments(make, message):
    emb = pe.Embedding(3, 2)
    with pytest.raises(ValueError, match=message):
        make(emb)
    pe.SparseSGD(emb)  # the refused one holds no claim


def test_refused_types():
    with pytest.raises(TypeError, match="unexpected keyword argument 'lr'"):
        pe.SparseAdam(pe.Embedding(3, 2), lr=0.1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'weight_decay'"):
        pe.SparseFTRL(pe.Embedding(3, 2), weight_decay=0.1)
    with pytest.raises(TypeError, match="positional argument"):
        pe.SparseLion(pe.Embedding(3, 2), 0.1, 0.9, 0.99, 0.5)
    with pytest.raises(TypeError, match="tables must be layers"):
        pe.SparseAdam([np.zeros((3, 2))])
