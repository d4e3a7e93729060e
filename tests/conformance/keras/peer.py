"""What the comparisons with Keras share; importing it skips a module where there is no Keras."""

import os

import numpy as np
import pytest

import pyembed as pe

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
if keras.backend.backend() != "tensorflow":
    pytest.skip("gradients are taken by TensorFlow's tape", allow_module_level=True)

# Keras sums in the table's dtype and in another order.
TOLERANCE = {
    "float32": {"rtol": 2e-5, "atol": 2e-6},
    "float64": {"rtol": 1e-12, "atol": 1e-13},
}
ROWS, DIM = 60, 17


def assert_close(ours, theirs):
    theirs = tf.convert_to_tensor(theirs).numpy()
    assert np.shape(ours) == theirs.shape
    np.testing.assert_allclose(ours, theirs, **TOLERANCE[theirs.dtype.name])


def both(module, name, arguments):
    return [getattr(getattr(library, module), name)(**arguments) for library in (pe, keras)]


def layers(table, **arguments):
    ours = pe.Embedding(ROWS, DIM, weights=table, dtype=table.dtype, **arguments)
    theirs = keras.layers.Embedding(ROWS, DIM, dtype=table.dtype.name, **arguments)
    theirs.build()
    theirs.set_weights([table])
    return ours, theirs
