import functools

import keras
import numpy as np
import pytest

import pyembed as pe
from keras_layers.helpers import (
    BAGS,
    DIM,
    ROWS,
    SGD,
    array,
    assert_close,
    fit,
    gradient_of,
    steps,
    table_of,
    trains,
)
from pyembed.keras import EmbeddingBag

MODES = pytest.mark.parametrize("mode", ["mean", "sum", "max", "sqrtn"])
MASKED = pytest.mark.parametrize("mask_zero", [False, True])


def expected(table, ids, mode, counted):
    """Each bag's rows, pooled one by one."""
    pooled = np.zeros((*ids.shape[:-1], table.shape[1]), "float32")
    for at in np.ndindex(ids.shape[:-1]):
        rows = table[ids[at][counted[at]]]
        if len(rows) == 0:
            continue
        if mode == "max":
            pooled[at] = rows.max(axis=0)
        else:
            by = {"mean": len(rows), "sum": 1, "sqrtn": np.sqrt(len(rows))}[mode]
            pooled[at] = rows.sum(axis=0) / by
    return pooled


def drawn(rng, shape=(5, 6)):
    ids = rng.integers(0, ROWS, shape)
    ids[rng.random(shape) < 0.3] = 0
    ids[0] = 0  # nothing but padding
    return ids


@BAGS
@MODES
@MASKED
@pytest.mark.parametrize("shape", [(5, 6), (3, 2, 4), (4,)])
def test_bags_are_pooled(kind, rng, mode, mask_zero, shape):
    table, ids = table_of(rng), drawn(rng, shape)
    layer = kind(ROWS, DIM, weights=[table], mode=mode, mask_zero=mask_zero)
    counted = ids != 0 if mask_zero else np.ones(ids.shape, bool)
    pooled = layer(ids)
    assert_close(pooled, expected(table, ids, mode, counted))
    assert layer.compute_output_shape(shape) == pooled.shape
    assert getattr(pooled, "_keras_mask", None) is None
    symbolic = layer(keras.Input(shape[1:], batch_size=shape[0], dtype="int32"))
    assert symbolic.shape == pooled.shape


@BAGS
@MODES
@MASKED
def test_a_mask_of_the_ids_counts(kind, rng, mode, mask_zero):
    table, ids = table_of(rng), drawn(rng)
    mask = rng.random(ids.shape) < 0.6
    layer = kind(ROWS, DIM, weights=[table], mode=mode, mask_zero=mask_zero)
    counted = mask & (ids != 0) if mask_zero else mask
    pooled = layer(ids, mask=keras.ops.convert_to_tensor(mask))
    assert_close(pooled, expected(table, ids, mode, counted))


@BAGS
def test_bags_of_no_ids_are_zeros(kind):
    for mode in ("mean", "max"):
        pooled = kind(ROWS, DIM, mode=mode)(np.zeros((3, 0), "int32"))
        np.testing.assert_array_equal(array(pooled), np.zeros((3, DIM)))


@trains
@MODES
@MASKED
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_are_those_of_the_pooling_by_keras(rng, mode, mask_zero, masked):
    table, ids = table_of(rng), drawn(rng)
    targets = rng.standard_normal((len(ids), DIM)).astype("float32")
    mask = rng.random(ids.shape) < 0.6
    found = []
    for optimizer in (None, SGD):
        layer = EmbeddingBag(
            ROWS, DIM, weights=[table], mode=mode, mask_zero=mask_zero, optimizer=optimizer
        )
        inputs = keras.Input((6,), dtype="int32"), keras.Input((6,), dtype="bool")
        given = (ids, mask)
        if masked:
            model = keras.Model(inputs, layer(inputs[0], mask=inputs[1]))
        else:
            model, given = keras.Model(inputs[0], layer(inputs[0])), ids
        model.compile(keras.optimizers.SGD(0.5), "mse")
        fit(model, given, targets)
        found.append(layer.get_weights()[0])
    assert_close(*found)
    assert not np.array_equal(found[0], table)


@trains
def test_gradients_of_a_mean(rng):
    layer = EmbeddingBag(ROWS, DIM, optimizer=SGD)
    ids = rng.integers(0, ROWS, (4, 3))
    upstream = rng.standard_normal((4, DIM)).astype("float32")
    onehot = np.eye(ROWS, dtype="float32")[ids].mean(axis=1)
    assert_close(gradient_of(layer, ids, upstream), onehot.T @ upstream, atol=1e-5)


@trains
def test_a_model_of_bags_trains(rng):
    layer = EmbeddingBag(
        ROWS, DIM, mask_zero=True, optimizer=functools.partial(pe.SparseAdam, learning_rate=0.1)
    )
    model = keras.Sequential([keras.Input((None,), dtype="int64"), layer, keras.layers.Dense(1)])
    model.compile("adam", "mse")
    ids = drawn(rng, (32, 6))
    targets = (ids == 3).any(axis=1, keepdims=True).astype("float32")
    losses = fit(model, ids, targets, epochs=10)
    assert losses[-1] < 0.5 * losses[0]
    assert steps(layer) == 20


@BAGS
def test_the_configuration_has_the_mode(kind):
    layer = kind(ROWS, DIM, mode="sqrtn")
    again = EmbeddingBag.from_config(layer.get_config())
    assert again.mode == "sqrtn"
    with pytest.raises(ValueError, match="mode='median'"):
        kind(ROWS, DIM, mode="median")


def test_bags_of_a_quantized_table_are_pooled(rng):
    table, ids = table_of(rng, 16, 8), rng.integers(0, 16, (3, 4))
    layer = EmbeddingBag(16, 8, weights=[table])
    layer.quantize("int8")
    assert_close(layer(ids), table[ids].mean(axis=1), rtol=0.1, atol=0.05)
