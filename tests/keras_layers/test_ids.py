import warnings

import keras
import numpy as np
import pytest

from keras_layers.helpers import (
    BACKEND,
    BATCH,
    DIM,
    OURS,
    ROWS,
    SGD,
    TRAINED,
    data,
    fit,
    regression,
    steps,
    trains,
)
from pyembed.keras import Embedding, EmbeddingBag

NAMED = r'keras.Input\(shape, dtype="int64"\)'
WIDE = (1 << 24) + 2


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_ids_are_refused_by_a_table_with_an_optimizer(dtype):
    with pytest.raises(ValueError, match=f"ids are {dtype}.*{NAMED}"):
        TRAINED(ROWS, DIM)(keras.Input((3,), dtype=dtype))
    with pytest.raises(ValueError, match=f"ids are {dtype}.*{NAMED}"):
        TRAINED(ROWS, DIM)(keras.ops.zeros((2, 3), dtype))


def test_float32_ids_are_refused_where_they_cannot_name_each_row():
    with pytest.raises(ValueError, match=f"float32.* above 16777216, but the table has.*{NAMED}"):
        TRAINED(WIDE, 1)(keras.Input((3,), dtype="float32"))
    TRAINED(WIDE, 1)(keras.Input((3,), dtype="int32"))
    TRAINED(1 << 24, 1)(keras.Input((3,), dtype="float32"))


@pytest.mark.parametrize(("policy", "rows"), [("float32", WIDE), ("mixed_float16", 4096)])
def test_a_sequential_model_that_would_cast_ids_is_refused(policy, rows):
    ids = np.zeros((2, 3), "int64")
    for kind in (Embedding, EmbeddingBag):
        layer = kind(rows, 1, dtype=policy, optimizer=SGD)
        with pytest.raises(ValueError, match=NAMED):
            keras.Sequential([layer]).predict(ids, verbose=0)
        model = keras.Sequential([keras.Input((3,), dtype="int64"), layer])
        assert len(model.predict(ids, verbose=0)) == 2


@pytest.mark.parametrize(("policy", "rows"), [("float32", WIDE), ("mixed_float16", 4096)])
def test_without_an_optimizer_there_is_a_warning(policy, rows):
    layer = OURS(rows, 1, dtype=policy)
    dtype = "float16" if policy == "mixed_float16" else "float32"
    with pytest.warns(UserWarning, match=f"ids are {dtype}.*{NAMED}"):
        layer(keras.Input((3,), dtype=dtype))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer(keras.Input((3,), dtype="int64"))


def wrong(ids):
    """The ids of three batches, with one outside the table in the second."""
    ids = ids.copy()
    ids[BATCH + 2, 3] = 1000
    return ids


@trains
@pytest.mark.parametrize("eager", [False, True])
def test_a_wrong_id_in_the_middle_of_fit_is_named_and_changes_nothing(rng, eager):
    ids, targets = data(rng)
    layer = TRAINED(ROWS, DIM)
    model = regression(layer)
    model.compile("sgd", "mse", run_eagerly=eager)
    tables = []
    remember = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: tables.append(layer.get_weights()[0])
    )
    named = r"id 1000 at position \(2, 3\) is outside a table of 40 rows"
    with pytest.raises(Exception, match=named):
        fit(model, wrong(ids), targets, callbacks=[remember])
    assert len(tables) == 1
    np.testing.assert_array_equal(layer.get_weights()[0], tables[0])
    assert steps(layer) == 1
    if BACKEND == "jax":  # Keras gave the memory of the model's other weights to the failed step
        model = regression(layer)
        model.compile("sgd", "mse")
    fit(model, ids, targets)
    assert steps(layer) == 4
    assert layer._trained.waiting == 0


@trains
def test_a_step_that_fails_in_a_later_layer_leaves_no_gradient_behind(rng):
    ids, targets = data(rng)
    good, bad = TRAINED(ROWS, DIM), TRAINED(ROWS, DIM)
    inputs = keras.Input((7,), dtype="int64"), keras.Input((7,), dtype="int64")
    x = keras.layers.Flatten()(good(inputs[0]) + bad(inputs[1]))
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    model.compile("sgd", "mse")
    before = good.get_weights()[0], bad.get_weights()[0]
    with pytest.raises(Exception, match=r"id -1 at position \(0, 0\)"):
        fit(model, [ids[:BATCH], np.full((BATCH, 7), -1)], targets[:BATCH])
    assert steps(good) == steps(bad) == 0
    np.testing.assert_array_equal(good.get_weights()[0], before[0])
    np.testing.assert_array_equal(bad.get_weights()[0], before[1])


@pytest.mark.parametrize("wrong", [-1, ROWS])
def test_a_wrong_id_of_a_prediction_is_named(wrong):
    model = regression(TRAINED(ROWS, DIM))
    ids = np.zeros((4, 7), "int64")
    ids[1, 2] = wrong
    with pytest.raises(Exception, match=rf"id {wrong} at position \(1, 2\)"):
        model.predict(ids, verbose=0)
    # Keras on JAX forgets a model's other weights when a prediction fails.
    model = regression(model.layers[1])
    assert model.predict(np.zeros((4, 7), "int64"), verbose=0).shape == (4, 1)


def test_ragged_ids_are_refused():
    if BACKEND != "tensorflow":
        pytest.skip("TensorFlow's alone")
    import tensorflow as tf

    with pytest.raises(ValueError, match="takes no ragged ids: pad them"):
        TRAINED(ROWS, DIM)(tf.ragged.constant([[1], [2, 3]]))
