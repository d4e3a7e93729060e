"""What a layer's embeddings_initializer may be: a name, a configuration, an object, a callable."""

import json

import numpy as np
import pytest

import pyembed as pe
from initializers.cases import RANDOM
from pyembed import initializers


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("zeros", 0),
        ("ones", 1),
        ("constant", 0),
        (initializers.Constant(2.5), 2.5),
        (initializers.Ones, 1),
        (initializers.RandomUniform(2.5, 2.5), 2.5),
        (initializers.RandomNormal(2.5, 0.0), 2.5),
        (initializers.TruncatedNormal(2.5, 0.0), 2.5),
        ({"class_name": "Constant", "config": {"value": -1}}, -1),
        (np.ones, 1),
        (lambda shape, dtype: np.full(shape, 7), 7),
    ],
)
def test_constant_tables(dtype, given, value):
    table = pe.Embedding(3, 2, given, dtype=dtype).embeddings
    np.testing.assert_array_equal(table, np.full((3, 2), value, dtype), strict=True)


def test_a_callable_gets_shape_and_dtype_and_keeps_its_array():
    calls = []
    array = np.ones((3, 2), np.float32)

    def initializer(shape, dtype):
        calls.append((shape, dtype))
        return array

    pe.Embedding(3, 2, initializer, padding_idx=0).embeddings[:] = 5
    assert calls == [((3, 2), "float32")]
    np.testing.assert_array_equal(array, 1)


@pytest.mark.parametrize(
    ("made", "error", "message"),
    [
        (np.ones((2, 3)), ValueError, r"shape \(2, 3\), but must have shape \(3, 2\)"),
        (np.full((3, 2), "1"), TypeError, "must be real numbers"),
        (None, ValueError, "embeddings_initializer made has shape"),
    ],
)
def test_a_callable_that_makes_no_table(made, error, message):
    with pytest.raises(error, match=message):
        pe.Embedding(3, 2, lambda shape, dtype: made)


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("uniform", initializers.RandomUniform),
        ("random_uniform", initializers.RandomUniform),
        ("RandomUniform", initializers.RandomUniform),
        ("normal", initializers.RandomNormal),
        ("random_normal", initializers.RandomNormal),
        ("RandomNormal", initializers.RandomNormal),
        ("zeros", initializers.Zeros),
        ("Zeros", initializers.Zeros),
        ("ones", initializers.Ones),
        ("Ones", initializers.Ones),
        ("constant", initializers.Constant),
        ("Constant", initializers.Constant),
        ("zero", initializers.Zeros),
        ("one", initializers.Ones),
        ("identity", initializers.Identity),
        ("Identity", initializers.Identity),
        ("IdentityInitializer", initializers.Identity),
        ("truncated_normal", initializers.TruncatedNormal),
        ("TruncatedNormal", initializers.TruncatedNormal),
        ("variance_scaling", initializers.VarianceScaling),
        ("VarianceScaling", initializers.VarianceScaling),
        ("glorot_uniform", initializers.GlorotUniform),
        ("GlorotNormal", initializers.GlorotNormal),
        ("glorot_normal", initializers.GlorotNormal),
        ("lecun_uniform", initializers.LecunUniform),
        ("lecun_normal", initializers.LecunNormal),
        ("he_uniform", initializers.HeUniform),
        ("he_normal", initializers.HeNormal),
        ("orthogonal", initializers.Orthogonal),
        ("Orthogonal", initializers.Orthogonal),
        ("OrthogonalInitializer", initializers.Orthogonal),
    ],
)
def test_names(name, cls):
    assert type(initializers.get(name)) is cls
    assert type(initializers.get(cls)) is cls
    assert initializers.is_builtin(initializers.get({"class_name": name, "config": {}}))


def test_a_class_of_the_users_own_is_made():
    class Sevens:
        def __call__(self, shape, dtype):
            return np.full(shape, 7, dtype)

    np.testing.assert_array_equal(pe.Embedding(3, 2, Sevens).embeddings, 7)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("glorot", "='glorot' is none of Constant, GlorotNormal, .*, zeros$"),
        ("", "='' is none of"),
        (None, "=None must be a name, a configuration or a callable"),
        (3, "=3 must be a name"),
        (int, "=<class 'int'> must be a name"),
        ({}, "={} has no known 'class_name'"),
        ({"class_name": "Glorot"}, "=.* has no known 'class_name'"),
        ({"class_name": "STFT", "config": {}}, "=.* has no known 'class_name'"),
        ({"class_name": "Zeros", "config": [1]}, "=.* has a 'config' that is no dict"),
    ],
)
def test_unknown_initializers(given, message):
    with pytest.raises(ValueError, match=f"^embeddings_initializer{message}"):
        pe.Embedding(3, 2, given)


@pytest.mark.parametrize(
    "initializer",
    [
        *RANDOM,
        initializers.RandomUniform(-1, 2),
        initializers.Constant(4.0),
        initializers.Identity(2),
        initializers.Orthogonal(2),
        initializers.VarianceScaling(2, "fan_avg", "uniform", None, [1], (0,)),
    ],
)
def test_serialized_it_makes_the_same_table(initializer):
    again = initializers.get(json.loads(json.dumps(initializers.serialize(initializer))))
    assert type(again) is type(initializer)
    np.testing.assert_array_equal(again((4, 3)), initializer((4, 3)))
    assert initializers.serialize(np.ones) is np.ones
