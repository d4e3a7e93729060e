"""Whole training steps. Keras moves, penalises and constrains every row at every step, and we those
with a gradient: so most batches here have every row."""

import numpy as np
import pytest

import pyembed as pe
from conformance.keras.peer import DIM, ROWS, TOLERANCE, assert_close, keras, layers, tf


def keras_step(layer, optimizer, ids, grad):
    """Take a step as `fit` does, the layer's losses added; return these."""
    variables = layer.trainable_weights
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(tf.constant(ids)) * grad)
        penalty = tf.add_n(layer.losses or [tf.zeros((), grad.dtype)])
        loss += penalty
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    optimizer.apply_gradients(zip(map(tf.convert_to_tensor, gradients), variables, strict=True))
    return penalty


def batch(rng, table):
    """Ids of every row, some again, in bags of 4, and an upstream gradient."""
    ids = np.concatenate([np.arange(ROWS), rng.integers(0, 9, 40)])
    ids = rng.permutation(ids).reshape(-1, 4)
    return ids, rng.standard_normal((*ids.shape, DIM)).astype(table.dtype)


@pytest.mark.parametrize("arguments", [{}, {"learning_rate": 0.05, "beta_1": 0.7, "epsilon": 0.1}])
def test_adam(table, rng, arguments):
    ours, theirs = layers(table)
    optimizer, keras_optimizer = (
        pe.SparseAdam(ours, **arguments),
        keras.optimizers.Adam(**arguments),
    )
    for _ in range(30):
        ids, grad = batch(rng, table)
        optimizer.step(ours.backward(ids, grad))
        keras_step(theirs, keras_optimizer, ids, grad)
    moved = ours.embeddings - table
    # Keras corrects the bias in float32, whatever the table's dtype.
    size = np.abs(moved).mean()
    assert size > 1e-3
    np.testing.assert_allclose(moved, theirs.get_weights()[0] - table, rtol=0, atol=2e-4 * size)


def configured(class_name, **config):
    return {"class_name": class_name, "config": config}


# Keras takes numbers for float32, whatever the table's dtype: here are some that it holds.
RATE = 0.0625
L2 = configured("L2", l2=float(np.float32(0.01)))  # what "l2" is, but in double
TRAINED = [
    {"embeddings_regularizer": L2},
    {"embeddings_regularizer": configured("L1L2", l1=0.5, l2=0.25)},
    {"embeddings_regularizer": configured("OrthogonalRegularizer", factor=0.5)},
    {"activity_regularizer": L2},
    {"activity_regularizer": configured("L1L2", l1=0.5, l2=0.25)},
    {"embeddings_constraint": configured("MaxNorm", max_value=2.0, axis=0)},
    {"embeddings_constraint": configured("MaxNorm", max_value=2.0, axis=1)},
    {"embeddings_constraint": "non_neg"},
    {"embeddings_constraint": "unit_norm"},
    {"embeddings_constraint": configured("UnitNorm", axis=1)},
    {"embeddings_constraint": configured("MinMaxNorm", min_value=3.0, max_value=4.0, rate=0.5)},
    {
        "embeddings_constraint": configured(
            "MinMaxNorm", min_value=3.0, max_value=4.0, rate=0.5, axis=1
        )
    },
    {
        "embeddings_regularizer": L2,
        "activity_regularizer": L2,
        "embeddings_constraint": configured("MaxNorm", max_value=2.0, axis=1),
    },
]


@pytest.mark.parametrize(
    "optimizer",
    [{}, {"momentum": 0.75}, {"momentum": 0.75, "nesterov": True}],
    ids=["sgd", "momentum", "nesterov"],
)
@pytest.mark.parametrize("arguments", TRAINED, ids=str)
def test_sgd(table, rng, arguments, optimizer):
    ours, theirs = layers(table, **arguments)
    regularizer = theirs.embeddings_regularizer
    if isinstance(regularizer, keras.regularizers.OrthogonalRegularizer):
        regularizer.factor = tf.cast(regularizer.factor, table.dtype)
    mine = pe.SparseSGD(ours, RATE, **optimizer)
    yours = keras.optimizers.SGD(RATE, **optimizer)
    for _ in range(4):
        ids, grad = batch(rng, table)
        loss = ours.regularization_loss(ids)
        penalty = keras_step(theirs, yours, ids, grad)
        mine.step(ours.backward(ids, grad))
        assert loss == pytest.approx(float(penalty), rel=TOLERANCE[ours.dtype]["rtol"])
        assert_close(ours.embeddings, theirs.get_weights()[0])
    assert (loss > 0) == any("regularizer" in name for name in arguments)


def test_rows_without_a_gradient(table, rng):
    """The one difference: Keras's penalty and its constraint move them, ours do not."""
    constraint = configured("MaxNorm", max_value=2.0, axis=1)
    ours, theirs = layers(table, embeddings_regularizer=L2, embeddings_constraint=constraint)
    ids = np.array([[4, 9, 4, 0]])
    grad = rng.standard_normal((1, 4, DIM)).astype(table.dtype)
    penalty = keras_step(theirs, keras.optimizers.SGD(RATE), ids, grad)
    expected = float(penalty)
    assert ours.regularization_loss() == pytest.approx(expected, rel=TOLERANCE[ours.dtype]["rtol"])
    assert 0 < ours.regularization_loss(ids) < expected / 5
    pe.SparseSGD(ours, RATE).step(ours.backward(ids, grad))
    trained = theirs.get_weights()[0]
    assert_close(ours.embeddings[[0, 4, 9]], trained[[0, 4, 9]])
    others = np.delete(np.arange(ROWS), [0, 4, 9])
    np.testing.assert_array_equal(ours.embeddings[others], table[others])
    assert (trained[others] != table[others]).any(axis=1).all()


def train(table, rng, ours, theirs, optimizer, keras_optimizer, every_row):
    for _ in range(200):
        ids = rng.integers(0, ROWS, 30) // 3  # many duplicates, and rows never seen
        if every_row:
            ids = rng.permutation(np.concatenate([np.arange(ROWS), ids]))
        grad = rng.standard_normal((len(ids), DIM)).astype(table.dtype)
        optimizer.step(ours.backward(ids, grad))
        dense = np.zeros_like(table)
        np.add.at(dense, ids, grad)
        keras_optimizer.apply_gradients(
            [(tf.convert_to_tensor(dense), theirs.trainable_variables[0])]
        )


# Keras keeps its numbers in float32, and corrects the bias there, even for a float64 table.
LOOSE = {"rtol": 1e-4, "atol": 5e-5}


@pytest.mark.parametrize("dtype", ["float32", "float64"], indirect=True)
def test_rmsprop_where_every_batch_has_every_row(table, rng):
    rule = {"learning_rate": 2**-7, "rho": 0.875, "epsilon": 2**-20}
    ours, theirs = layers(table)
    optimizer, keras_optimizer = pe.SparseRMSprop(ours, **rule), keras.optimizers.RMSprop(**rule)
    train(table, rng, ours, theirs, optimizer, keras_optimizer, every_row=True)
    np.testing.assert_allclose(ours.embeddings, theirs.get_weights()[0], **LOOSE)


@pytest.mark.parametrize(
    "penalties",
    [
        {},
        {"initial_accumulator_value": 0.0},
        {"l1_regularization_strength": 2.0},
        {"l2_regularization_strength": 0.5},
        {"l2_shrinkage_regularization_strength": 2**-4},
        {"beta": 2.0},
        {"learning_rate_power": -1.0},
        {"learning_rate_power": -0.25},
        {"learning_rate_power": 0.0},
        {
            "learning_rate_power": -0.75,
            "initial_accumulator_value": 0.25,
            "l1_regularization_strength": 1.0,
            "l2_regularization_strength": 0.25,
            "l2_shrinkage_regularization_strength": 2**-5,
            "beta": 0.5,
        },
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float32", "float64"], indirect=True)
def test_ftrl_where_every_batch_has_every_row(table, rng, penalties):
    ours, theirs = layers(table)
    optimizer = pe.SparseFTRL(ours, 2**-4, **penalties)
    keras_optimizer = keras.optimizers.Ftrl(2**-4, **penalties)
    train(table, rng, ours, theirs, optimizer, keras_optimizer, every_row=True)
    trained = theirs.get_weights()[0]
    np.testing.assert_allclose(ours.embeddings, trained, **LOOSE)
    assert np.abs(trained - table).mean() > 0.1
    if penalties.get("l1_regularization_strength"):
        zero = trained == 0
        assert 0 < zero.mean() < 1
        np.testing.assert_array_equal(ours.embeddings == 0, zero)


@pytest.mark.parametrize("decay", [0.0, 2**-4])
@pytest.mark.parametrize("betas", [(0.875, 1 - 2**-7), (0.5, 0.75)])
@pytest.mark.parametrize("dtype", ["float32", "float64"], indirect=True)
def test_lion_where_every_batch_has_every_row(table, rng, betas, decay):
    ours, theirs = layers(table)
    optimizer = pe.SparseLion(ours, 2**-7, *betas, weight_decay=decay)
    keras_optimizer = keras.optimizers.Lion(2**-7, *betas, weight_decay=decay)
    train(table, rng, ours, theirs, optimizer, keras_optimizer, every_row=True)
    np.testing.assert_allclose(ours.embeddings, theirs.get_weights()[0], **LOOSE)


@pytest.mark.parametrize(
    ("name", "arguments"), [("Ftrl", {"initial_accumulator_value": 0.125}), ("Lion", {})], ids=str
)
def test_rows_without_a_gradient_rest_here(table, rng, name, arguments):
    layer, keras_layer = layers(table)
    optimizer = {"Ftrl": pe.SparseFTRL, "Lion": pe.SparseLion}[name](layer, 2**-4, **arguments)
    keras_optimizer = getattr(keras.optimizers, name)(2**-4, **arguments)
    seen, unseen = np.arange(20), np.arange(20, ROWS)
    tables = []
    for ids in (np.arange(ROWS), seen):
        grad = rng.standard_normal((len(ids), DIM)).astype(table.dtype)
        optimizer.step(layer.backward(ids, grad))
        dense = np.zeros_like(table)
        dense[ids] = grad
        keras_optimizer.apply_gradients(
            [(tf.convert_to_tensor(dense), keras_layer.trainable_variables[0])]
        )
        tables.append((layer.embeddings.copy(), keras_layer.get_weights()[0]))
    (our_first, their_first), (our_second, their_second) = tables
    assert_close(our_second[seen], their_second[seen])
    np.testing.assert_array_equal(our_second[unseen], our_first[unseen])
    # Keras's Lion goes on with the moments; FTRL's weights follow from sums that a 0 leaves alone.
    assert (their_second[unseen] != their_first[unseen]).any() == (name == "Lion")


@pytest.mark.parametrize("decay", [0.0, 2**-4])
@pytest.mark.parametrize("dtype", ["float32", "float64"], indirect=True)
def test_exact_adam_where_few_rows_are_in_a_batch(table, rng, decay):
    # Dense Adam in Keras: rows without a gradient move too.
    rule = {"learning_rate": 2**-7, "beta_1": 0.875, "beta_2": 1 - 2**-10, "epsilon": 2**-20}
    ours, theirs = layers(table)
    optimizer = pe.SparseAdam(ours, **rule, weight_decay=decay, update="exact")
    if decay:
        keras_optimizer = keras.optimizers.AdamW(**rule, weight_decay=decay)
    else:
        keras_optimizer = keras.optimizers.Adam(**rule)
    train(table, rng, ours, theirs, optimizer, keras_optimizer, every_row=False)
    np.testing.assert_allclose(ours.embeddings, theirs.get_weights()[0], **LOOSE)
    lazy = pe.Embedding(ROWS, DIM, weights=table, dtype=table.dtype)
    train(table, rng, lazy, theirs, pe.SparseAdam(lazy, **rule), keras_optimizer, every_row=False)
    assert np.abs(lazy.embeddings - ours.embeddings).max() > 0.05
