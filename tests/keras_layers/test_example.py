import functools

import keras
import numpy as np
import pytest
from keras import Sequential

import pyembed as pe
from keras_layers.helpers import BACKEND, KINDS, TRAINS, fit, steps
from pyembed.keras import Embedding


def test_keras_s_example_runs_with_the_import_changed():
    model = Sequential()
    model.add(Embedding(1000, 64, input_length=10))
    input_array = np.random.randint(1000, size=(32, 10))  # noqa: NPY002
    model.compile('rmsprop', 'mse')  # fmt: skip
    output_array = model.predict(input_array)
    assert output_array.shape == (32, 10, 64)
    np.testing.assert_array_equal(output_array, model.get_weights()[0][input_array])


def test_keras_s_example_trains_with_an_optimizer():
    model = Sequential()
    model.add(Embedding(1000, 64, input_length=10, optimizer=functools.partial(pe.SparseAdam)))
    input_array = np.random.randint(1000, size=(32, 10))  # noqa: NPY002
    model.compile("rmsprop", "mse")
    output_array = model.predict(input_array, verbose=0)
    np.testing.assert_array_equal(output_array, model.get_weights()[0][input_array])
    if not TRAINS:
        with pytest.raises(NotImplementedError):
            model.fit(input_array, output_array)
        return
    before = model.get_weights()[0]
    losses = fit(model, input_array, output_array + 1.0, epochs=3)
    assert losses[0] > losses[1] > losses[2]
    assert steps(model.layers[0]) == 6
    moved = np.flatnonzero((model.get_weights()[0] != before).any(axis=1))
    np.testing.assert_array_equal(moved, np.unique(input_array))


@KINDS
def test_the_input_length_tells_flatten_and_dense_their_shapes(kind, rng):
    model = Sequential([kind(50, 4, input_length=6), keras.layers.Flatten(), keras.layers.Dense(3)])
    assert model.built
    assert model.output_shape == (None, 3)
    assert model.predict(rng.integers(0, 50, (5, 6)), verbose=0).shape == (5, 3)


@KINDS
def test_ids_of_another_length_are_refused(kind, rng):
    layer = kind(50, 4, input_length=6)
    with pytest.raises(
        ValueError, match=r"ids have shape \(2, 7\), but embedding\S* has input_length=6"
    ):
        layer(rng.integers(0, 50, (2, 7)))
    assert layer.compute_output_shape((None, None)) == (None, None, 4)
    with pytest.raises(ValueError, match="input_length=6"):
        layer.compute_output_shape((None, 5))
    assert kind(50, 4, input_length=(2, 3))(np.zeros((4, 2, 3), "int32")).shape == (4, 2, 3, 4)


def test_the_backend_is_one_that_there_are_layers_for():
    assert BACKEND in ("torch", "tensorflow", "jax", "numpy")
