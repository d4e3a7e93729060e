import functools

import keras
import numpy as np
import pytest

import pyembed as pe
from keras_layers.helpers import (
    DENSE,
    DIM,
    KINDS,
    ROWS,
    SGD,
    assert_close,
    data,
    fit,
    ids_of,
    regression,
    table_of,
    trains,
)
from pyembed.keras import Embedding


@trains
@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("embeddings_regularizer", keras.regularizers.L1(0.01)),
        ("embeddings_regularizer", keras.regularizers.L2(0.01)),
        ("embeddings_regularizer", "L1L2"),
        ("embeddings_constraint", keras.constraints.MaxNorm(0.5, axis=0)),
        ("embeddings_constraint", keras.constraints.UnitNorm(axis=1)),
        ("embeddings_constraint", "non_neg"),
        ("activity_regularizer", keras.regularizers.L2(0.1)),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_where_every_row_has_a_gradient_an_option_does_what_it_does_in_keras(rng, name, option):
    table, (ids, targets) = table_of(rng), data(rng)
    found = []
    for optimizer in (SGD, None):
        kind = functools.partial(Embedding, optimizer=SGD) if optimizer else DENSE
        layer = kind(ROWS, DIM, weights=[table], **{name: option})
        model = regression(layer)
        model.compile(keras.optimizers.SGD(0.5), "mse")
        fit(model, ids, targets)
        found.append(layer.get_weights()[0])
    assert_close(*found, rtol=1e-4, atol=1e-5)


@trains
def test_only_rows_that_were_looked_up_are_regularized(rng):
    table = table_of(rng)
    layer = Embedding(
        ROWS, DIM, "uniform", keras.regularizers.L2(0.1), weights=[table], optimizer=SGD
    )
    model = regression(layer)
    model.compile("sgd", "mse")
    ids = ids_of(rng) % 10
    fit(model, ids, np.zeros((len(ids), 1), "float32"))
    np.testing.assert_array_equal(layer.get_weights()[0][10:], table[10:])
    assert (layer.get_weights()[0][:10] != table[:10]).any(axis=1).all()


@KINDS
@pytest.mark.parametrize(
    "initializer",
    ["zeros", "glorot_normal", pe.initializers.RandomNormal(stddev=2.0, seed=5)],
    ids=lambda value: value if isinstance(value, str) else "pyembed's",
)
def test_initializers(kind, initializer):
    layer = kind(ROWS, DIM, initializer)
    layer.build()
    table = layer.get_weights()[0]
    assert table.dtype == np.float32
    again = type(layer).from_config(layer.get_config())
    again.build()
    if initializer != "glorot_normal":
        np.testing.assert_array_equal(again.get_weights()[0], table)
    if not isinstance(initializer, str):
        np.testing.assert_array_equal(table, initializer((ROWS, DIM), dtype="float32"))


def test_classes_of_the_user_s_own_are_refused_where_they_cannot_be_used():
    class Own(keras.regularizers.Regularizer):
        def __call__(self, x):
            return 0.0

    class Bound(keras.constraints.Constraint):
        def __call__(self, w):
            return w

    with pytest.raises(ValueError, match=r"is a class of its own.*pyembed.regularizers"):
        Embedding(ROWS, DIM, embeddings_regularizer=Own(), optimizer=SGD)
    with pytest.raises(ValueError, match=r"is a class of its own.*pyembed.constraints"):
        Embedding(ROWS, DIM, embeddings_constraint=Bound(), optimizer=SGD)
    Embedding(ROWS, DIM, embeddings_regularizer=Own(), embeddings_constraint=Bound()).build()


@trains
def test_frozen_rows_rest(rng):
    layer = Embedding(ROWS, DIM, optimizer=SGD)
    layer.table.freeze([3, 4])
    before = layer.get_weights()[0]
    model = regression(layer)
    model.compile("sgd", "mse")
    fit(model, *data(rng))
    same = (layer.get_weights()[0] == before).all(axis=1)
    np.testing.assert_array_equal(np.flatnonzero(same), [3, 4])
