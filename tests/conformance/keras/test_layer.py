import numpy as np
import pytest

import pyembed as pe
from conformance.keras.peer import DIM, ROWS, assert_close, keras, layers, tf


@pytest.mark.parametrize("shape", [(), (0,), (1,), (4, 7), (2, 3, 2, 5)])
@pytest.mark.parametrize("id_dtype", [np.int32, np.int64])
@pytest.mark.parametrize("mask_zero", [False, True])
def test_embedding(table, rng, shape, id_dtype, mask_zero):
    ours, theirs = layers(table, mask_zero=mask_zero)
    ids = np.asarray(rng.integers(0, ROWS // 2, shape), id_dtype)
    grad = np.asarray(rng.standard_normal((*shape, DIM)), table.dtype)
    with tf.GradientTape() as tape:
        output = theirs(tf.constant(ids))
        loss = tf.reduce_sum(output * grad)
    np.testing.assert_array_equal(ours(ids), output.numpy(), strict=True)
    gradient = tf.convert_to_tensor(tape.gradient(loss, theirs.trainable_weights[0].value))
    assert_close(ours.backward(ids, grad).to_dense(), gradient)
    mask = theirs.compute_mask(tf.constant(ids))
    if mask_zero:
        np.testing.assert_array_equal(ours.compute_mask(ids), mask.numpy(), strict=True)
    else:
        assert ours.compute_mask(ids) is mask is None


@pytest.mark.parametrize("shape", [(), (4,), (None, 7), (2, None, 5)])
def test_compute_output_shape(table, shape):
    ours, theirs = layers(table)
    assert ours.compute_output_shape(shape) == tuple(theirs.compute_output_shape(shape))


def test_configurations():
    arguments = {"mask_zero": True, "trainable": False, "name": "words"}
    initializer = {"class_name": "RandomNormal", "config": {"seed": 3, "stddev": 0.5}}
    ours = pe.Embedding(ROWS, DIM, initializer, **arguments).get_config()
    theirs = keras.layers.Embedding(
        ROWS, DIM, keras.initializers.get(initializer), **arguments
    ).get_config()
    assert set(theirs) - set(ours) <= {"quantization_config"}
    for key in set(theirs) - {"quantization_config", "dtype", "embeddings_initializer"}:
        assert ours[key] == theirs[key], key
    assert ours["dtype"] == theirs["dtype"]["config"]["name"]
    made = pe.initializers.get(theirs["embeddings_initializer"])
    assert repr(made) == repr(pe.initializers.get(ours["embeddings_initializer"]))
