"""Arguments of initializers, seeds before all."""

import numpy as np
import pytest

import pyembed as pe
from pyembed import initializers


def test_keras_defaults():
    uniform, normal = initializers.get("uniform", 3), initializers.get("normal", 3)
    assert uniform.get_config() == {"minval": -0.05, "maxval": 0.05, "seed": 3}
    assert normal.get_config() == {"mean": 0.0, "stddev": 0.05, "seed": 3}
    assert repr(uniform) == "RandomUniform(minval=-0.05, maxval=0.05, seed=3)"


@pytest.mark.parametrize(
    "cls",
    [
        initializers.RandomUniform,
        initializers.RandomNormal,
        initializers.TruncatedNormal,
        initializers.VarianceScaling,
        initializers.GlorotUniform,
        initializers.Orthogonal,
    ],
)
@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, True, "0", np.nan])
def test_bad_seeds(cls, seed):
    with pytest.raises(ValueError, match=r"seed=.* must be an integer from 0 to"):
        cls(seed=seed)


def test_seeds():
    def table(seed):
        return pe.Embedding(50, 8, "normal", seed=seed).embeddings

    np.testing.assert_array_equal(table(3), table(np.uint8(3)))
    assert (table(3) != table(4)).all()
    assert (table(3) != table(3 + 2**32)).all()  # both words of the key count
    assert not np.array_equal(table(None), table(None))
    initializer = initializers.RandomUniform()
    one, two = pe.Embedding(50, 8, initializer), pe.Embedding(50, 8, initializer)
    np.testing.assert_array_equal(one.embeddings, two.embeddings)


@pytest.mark.parametrize(
    "given",
    [
        "glorot_uniform",
        initializers.GlorotUniform,
        {"class_name": "GlorotUniform"},
        {"class_name": "GlorotUniform", "config": {"seed": None}},
    ],
)
def test_the_layers_seed_is_that_of_an_initializer_without_one(given):
    expected = initializers.GlorotUniform(3)((50, 8))
    np.testing.assert_array_equal(pe.Embedding(50, 8, given, seed=3).embeddings, expected)


def test_a_seed_of_its_own_comes_first():
    expected = initializers.GlorotUniform(3)((50, 8))
    config = {"class_name": "GlorotUniform", "config": {"seed": 3}}
    for given in (config, initializers.GlorotUniform(3)):
        np.testing.assert_array_equal(pe.Embedding(50, 8, given, seed=4).embeddings, expected)


@pytest.mark.parametrize(
    ("cls", "arguments", "message"),
    [
        (
            initializers.RandomUniform,
            {"minval": 1.0, "maxval": 0.0},
            "minval=1.0 must not be above",
        ),
        (initializers.RandomUniform, {"minval": "0"}, "minval='0' must be a finite number"),
        (initializers.RandomUniform, {"maxval": np.inf}, "maxval=inf must be a finite number"),
        (initializers.RandomUniform, {"minval": -1e308, "maxval": 1e308}, "minval"),
        (initializers.RandomNormal, {"mean": np.nan}, "mean=nan must be a finite number"),
        (initializers.RandomNormal, {"stddev": -1}, "stddev=-1 must be a finite number >= 0"),
        (initializers.Constant, {"value": None}, "value=None must be a finite number"),
        (initializers.Identity, {"gain": np.nan}, "gain=nan must be a finite number"),
        (initializers.Orthogonal, {"gain": "1"}, "gain='1' must be a finite number"),
        (initializers.TruncatedNormal, {"stddev": -1}, "stddev=-1 must be a finite number >= 0"),
        (initializers.VarianceScaling, {"scale": -1}, "scale=-1 must be a finite number >= 0"),
        (initializers.VarianceScaling, {"scale": 0}, "scale=0 must be above 0"),
        (initializers.VarianceScaling, {"mode": "fan"}, "mode='fan' is none of 'fan_in', "),
        (initializers.VarianceScaling, {"distribution": "x"}, "distribution='x' is none of 'trun"),
        (initializers.GlorotUniform, {"input_axes": [0]}, r"input_axes=\[0\] and output_axes=None"),
        (
            initializers.GlorotUniform,
            {"input_axes": [0], "output_axes": [2]},
            "output_axes=2 must be an integer from -2 to 1",
        ),
        (initializers.GlorotUniform, {"input_axes": 0, "output_axes": 1}, "input_axes=0 must be"),
    ],
)
def test_bad_arguments(cls, arguments, message):
    with pytest.raises(ValueError, match=message):
        cls(**arguments)
