import functools
import re
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import Sequential

import pyembed as pe
from keras_layers.helpers import KINDS, TRAINS, fit, steps
from pyembed.keras import Embedding, _versions

ROOT = Path(__file__).parents[2]


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


@pytest.mark.parametrize("page", ["README.md", "docs/coming-from-keras-and-pytorch.md"])
def test_a_page_s_python_that_needs_keras_runs(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    found = [block for block in found if "pyembed.keras" in block and "mpi4py" not in block]
    assert found
    names = {}
    for block in found:
        exec(compile(block, page, "exec"), names)


class Backend:
    def __init__(self, name):
        self.name = name

    def backend(self):
        return self.name


@pytest.mark.parametrize(
    ("version", "backend", "message"),
    [
        ("3.9.2", "torch", r"needs Keras 3.10 or later, not 3.9.2: pip install 'keras>=3.10'"),
        ("2.15.0", "tensorflow", "needs Keras 3.10 or later, not 2.15.0"),
        ("3.15.1", "openvino", r"'openvino': set KERAS_BACKEND to one of torch, tensorflow, jax"),
    ],
)
def test_other_versions_and_backends_are_refused(version, backend, message):
    with pytest.raises(ImportError, match=message):
        _versions.check(SimpleNamespace(__version__=version, backend=Backend(backend)))
    _versions.check(SimpleNamespace(__version__="3.15.1", backend=Backend("jax")))
