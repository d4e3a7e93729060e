import inspect
import json
import math

import numpy as np
import pytest

import pyembed as pe
from conformance.keras.peer import assert_close, both, keras, tf

MODULES = ["initializers", "regularizers", "constraints"]
NOT_FOR_TABLES = {"STFT"}


def classes(module):
    """Keras's classes by every name that Keras gives them, but its base classes."""
    bases = {"Initializer", "Regularizer", "Constraint"}
    found = inspect.getmembers(getattr(keras, module), inspect.isclass)
    return [(name, cls) for name, cls in found if cls.__name__ not in bases | NOT_FOR_TABLES]


NAMES = [(module, name, cls) for module in MODULES for name, cls in classes(module)]


def test_there_are_classes_to_compare():
    assert {module for module, _, _ in NAMES} == set(MODULES)
    assert {"GlorotUniform", "max_norm", "l1_l2"} <= {name for _, name, _ in NAMES}


@pytest.mark.parametrize(("module", "name", "cls"), NAMES)
def test_names_and_defaults(module, name, cls):
    ours = getattr(getattr(pe, module), name)
    assert ours.__name__ == cls.__name__

    def defaults(made):
        parameters = inspect.signature(made).parameters.values()
        return [(parameter.name, parameter.default) for parameter in parameters]

    assert defaults(ours) == defaults(cls)
    assert type(getattr(pe, module).get(name)) is ours


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("name", ["glorot", "STFT", "Dense", "l3"])
def test_names_unknown_to_both(module, name):
    with pytest.raises(ValueError, match="is none of"):
        getattr(pe, module).get(name)


REGULARIZERS = [
    ("L1", {"l1": 0.25}),
    ("L2", {"l2": 0.75}),
    ("L1L2", {"l1": 0.25, "l2": 0.75}),
    ("OrthogonalRegularizer", {"factor": 0.5}),
    ("OrthogonalRegularizer", {"factor": 0.5, "mode": "columns"}),
]
NORMS = [
    ("MaxNorm", {}),
    ("MaxNorm", {"max_value": 0.5}),
    ("UnitNorm", {}),
    ("MinMaxNorm", {}),
    ("MinMaxNorm", {"min_value": 1.5, "max_value": 2.5, "rate": 0.25}),
]
CONFIGURED = {
    "initializers": [
        ("Zeros", {}),
        ("Constant", {"value": 3}),
        ("Identity", {}),  # whose gain Keras 3.15 does not serialize
        ("RandomUniform", {"minval": -1.0, "maxval": 2.0, "seed": 3}),
        ("TruncatedNormal", {"mean": 1.0, "stddev": 2.0, "seed": 3}),
        (
            "VarianceScaling",
            {"scale": 2.0, "mode": "fan_avg", "distribution": "uniform", "seed": 3},
        ),
        ("HeNormal", {"seed": 3, "input_axes": [1], "output_axes": [0]}),
        ("Orthogonal", {"gain": 2.0, "seed": 3}),
    ],
    "regularizers": REGULARIZERS,
    "constraints": [
        ("MaxNorm", {"max_value": 3, "axis": [0, 1]}),
        ("NonNeg", {}),
        ("UnitNorm", {"axis": 1}),
        ("MinMaxNorm", {"min_value": 0.5, "max_value": 2.0, "rate": 0.25, "axis": 1}),
    ],
}


@pytest.mark.parametrize(
    ("module", "name", "arguments"),
    [(module, *made) for module in MODULES for made in CONFIGURED[module]],
    ids=str,
)
def test_get_takes_what_keras_serialized(module, name, arguments):
    ours, theirs = getattr(pe, module), getattr(keras, module)
    mine = getattr(ours, name)(**arguments)
    serialized = json.loads(json.dumps(theirs.serialize(getattr(theirs, name)(**arguments))))
    assert {"module", "class_name", "config", "registered_name"} <= set(serialized)
    assert repr(ours.get(serialized)) == repr(mine)
    # And Keras's takes ours.
    again = theirs.get(json.loads(json.dumps(ours.serialize(mine))))
    assert theirs.serialize(again) == serialized


def test_a_seed_that_keras_left_open_is_drawn():
    serialized = keras.initializers.serialize(keras.initializers.RandomNormal())
    assert serialized["config"]["seed"] is None
    assert pe.initializers.get(serialized, 7).seed == 7
    assert pe.initializers.get(serialized).seed >= 0


@pytest.mark.parametrize(("name", "arguments"), REGULARIZERS, ids=str)
@pytest.mark.parametrize("shape", [(9, 4), (4, 9), (2, 2), (40, 33)])
def test_regularizers(dtype, rng, name, arguments, shape):
    ours, theirs = both("regularizers", name, arguments)
    if name == "OrthogonalRegularizer" and dtype == "float64":
        theirs.factor = tf.constant(ours.factor, tf.float64)  # Keras's is float32 always
    w = rng.standard_normal(shape).astype(dtype)
    variable = tf.Variable(w)
    with tf.GradientTape() as tape:
        penalty = theirs(variable)
    assert_close(ours(w), penalty)
    gradient = ours.gradient(w)
    assert gradient.dtype == dtype
    assert_close(gradient, tape.gradient(penalty, variable))


@pytest.mark.parametrize(("name", "arguments"), REGULARIZERS[:3], ids=str)
def test_the_gradient_at_zero(name, arguments):
    ours, theirs = both("regularizers", name, arguments)
    variable = tf.Variable(np.zeros((3, 2)))
    with tf.GradientTape() as tape:
        penalty = theirs(variable)
    gradient = ours.gradient(np.zeros((3, 2)))
    np.testing.assert_array_equal(gradient, tape.gradient(penalty, variable).numpy())


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 1)])
@pytest.mark.parametrize("shape", [(9, 4), (4, 9), (1, 5), (50, 33)])
@pytest.mark.parametrize(("name", "arguments"), NORMS, ids=str)
def test_constraints_of_norms(dtype, rng, name, arguments, shape, axis):
    ours, theirs = both("constraints", name, {**arguments, "axis": axis})
    w = rng.standard_normal(shape).astype(dtype)
    w[:, 0] = 0
    made = ours(w)
    assert made.dtype == dtype
    assert_close(made, theirs(tf.constant(w)))


def test_non_neg(dtype, rng):
    ours, theirs = both("constraints", "NonNeg", {})
    w = rng.standard_normal((9, 4)).astype(dtype)
    np.testing.assert_array_equal(ours(w), theirs(tf.constant(w)).numpy(), strict=True)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4)])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [("Zeros", {}), ("Ones", {}), ("Constant", {"value": -2.5}), ("Identity", {"gain": 2.5})],
)
def test_initializers_without_chance(dtype, name, arguments, shape):
    ours, theirs = (made(shape, dtype=dtype.name) for made in both("initializers", name, arguments))
    np.testing.assert_array_equal(ours, theirs.numpy(), strict=True)


RANDOM = [
    ("RandomUniform", {}),
    ("RandomUniform", {"minval": -3.0, "maxval": 1.0}),
    ("RandomNormal", {}),
    ("TruncatedNormal", {}),
    ("TruncatedNormal", {"mean": 2.0, "stddev": 0.5}),
    ("GlorotUniform", {}),
    ("GlorotNormal", {}),
    ("LecunUniform", {}),
    ("LecunNormal", {}),
    ("HeUniform", {}),
    ("HeNormal", {}),
    ("HeNormal", {"input_axes": [1], "output_axes": [0]}),
    *(
        ("VarianceScaling", {"scale": 0.3, "mode": mode, "distribution": distribution})
        for mode in ("fan_in", "fan_out", "fan_avg")
        for distribution in ("truncated_normal", "untruncated_normal", "uniform")
    ),
]


@pytest.mark.parametrize(("name", "arguments"), RANDOM, ids=str)
def test_random_initializers_have_the_same_law(name, arguments):
    shape = (500, 40)
    ours, theirs = (
        np.asarray(made(shape, dtype="float32"), "f8")
        for made in both("initializers", name, {"seed": 1, **arguments})
    )
    n, scale = ours.size, theirs.std()
    error = scale * math.sqrt(2 / n)
    assert abs(ours.mean() - theirs.mean()) < 4 * error
    assert ours.std() == pytest.approx(scale, rel=0.03)
    if "Uniform" in name or "Truncated" in name:  # both reach for the same ends
        assert ours.min() == pytest.approx(theirs.min(), abs=0.02 * scale)
        assert ours.max() == pytest.approx(theirs.max(), abs=0.02 * scale)
    # Kolmogorov and Smirnov's statistic of two samples: 1.95 or more once in a thousand.
    ends = np.concatenate([ours, theirs], axis=None)
    below = [np.searchsorted(np.sort(x, axis=None), ends, side="right") / n for x in (ours, theirs)]
    assert np.abs(below[0] - below[1]).max() * math.sqrt(n / 2) < 1.95


@pytest.mark.parametrize("shape", [(40, 7), (7, 40)])
def test_orthogonal(shape):
    for initializer in both("initializers", "Orthogonal", {"gain": 1.5, "seed": 1}):
        made = np.asarray(initializer(shape, dtype="float32"))
        wide = made if shape[0] < shape[1] else made.T
        np.testing.assert_allclose(wide @ wide.T, 2.25 * np.eye(7), atol=1e-5)


def test_matrices_given_to_both():
    matrix = np.arange(6, dtype=np.float32).reshape(3, 2)
    mine, theirs = pe.initializers.Constant(matrix), keras.initializers.Constant(matrix)
    serialized = json.loads(json.dumps(keras.initializers.serialize(theirs)))
    again = keras.initializers.get(pe.initializers.serialize(mine))
    made = [mine, pe.initializers.get(serialized), pe.initializers.get(matrix)]
    for initializer in (*made, again, theirs, keras.initializers.get(matrix)):
        np.testing.assert_array_equal(np.asarray(initializer((3, 2))), matrix)
    for get in (pe.initializers.get, keras.initializers.get):
        with pytest.raises(ValueError, match="shape"):
            get(matrix)((2, 3))


@pytest.mark.parametrize(
    ("module", "name", "arguments"),
    [
        ("initializers", "RandomNormal", {"stddev": 0.5, "seed": 3}),
        ("initializers", "Constant", {"value": 2.0}),
        ("regularizers", "L1L2", {"l1": 0.5}),
        ("constraints", "MaxNorm", {"max_value": 3, "axis": 1}),
    ],
)
def test_configurations_of_both(module, name, arguments):
    ours, theirs = (getattr(getattr(library, module), name) for library in (pe, keras))
    assert ours.from_config(theirs(**arguments).get_config()).get_config() == arguments | (
        ours(**arguments).get_config()
    )
    assert theirs.from_config(ours(**arguments).get_config()).get_config() is not None
