import math

import numpy as np
import pytest

import reference
from initializers.cases import FAMILY, MASS, SEED, cut_law, distance_from_law
from pyembed import initializers
from reference import uniform_rows


@pytest.mark.parametrize(
    ("mode", "fan"), [("fan_in", 9), ("fan_out", 6), ("fan_avg", 7.5)], ids=str
)
def test_variance_scaling_is_the_reference_to_the_bit(mode, fan):
    expected = reference.variance_scaling_uniform(uniform_rows((9, 6), SEED), 0.3, fan)
    scaling = initializers.VarianceScaling(0.3, mode, "uniform", SEED)
    np.testing.assert_array_equal(scaling((9, 6), "float64"), expected, strict=True)
    for distribution, cls, divisor in [
        ("truncated_normal", initializers.TruncatedNormal, 0.87962566103423978),
        ("normal", initializers.TruncatedNormal, 0.87962566103423978),
        ("untruncated_normal", initializers.RandomNormal, 1.0),
    ]:
        scaling = initializers.VarianceScaling(0.3, mode, distribution, SEED)
        same = cls(0.0, math.sqrt(0.3 / fan) / divisor, SEED)
        np.testing.assert_array_equal(scaling((9, 6)), same((9, 6)), strict=True)


@pytest.mark.parametrize("name", FAMILY)
def test_named_settings_of_variance_scaling(name):
    cls = getattr(initializers, name)
    general = initializers.VarianceScaling(*FAMILY[name], seed=5)
    np.testing.assert_array_equal(cls(seed=5)((9, 4)), general((9, 4)), strict=True)
    assert cls(seed=5).get_config() == {"seed": 5, "input_axes": None, "output_axes": None}
    swapped = initializers.VarianceScaling(*FAMILY[name], 5, input_axes=[1], output_axes=[0])
    np.testing.assert_array_equal(cls(5, [-1], (0,))((9, 4)), swapped((9, 4)), strict=True)
    if FAMILY[name][1] == "fan_in":
        np.testing.assert_allclose(swapped((9, 4)), general((9, 4)) * 1.5, rtol=1e-6)


@pytest.mark.parametrize(("shape", "mode"), [((0, 3), "fan_in"), ((3, 0), "fan_out")])
def test_variance_scaling_of_an_empty_table(shape, mode):
    assert initializers.VarianceScaling(1.0, mode)(shape).shape == shape


@pytest.mark.parametrize("name", FAMILY)
def test_variance_scaling_has_the_variance_it_says(name):
    scale, mode, distribution = FAMILY[name]
    table = initializers.get(name, seed=2)((1500, 20), "float64")
    variance = scale / {"fan_in": 1500, "fan_avg": 760}[mode]
    assert abs(table.mean()) < 4 * math.sqrt(variance / table.size)
    assert table.var() == pytest.approx(variance, rel=0.02)
    limit = math.sqrt(3 * variance)
    stddev = math.sqrt(variance) / 0.87962566103423978
    law = (
        (lambda x: (x / limit + 1) / 2)
        if distribution == "uniform"
        else (lambda x: cut_law(x, 0, stddev))
    )
    assert distance_from_law(table, law) < 1.95


def test_the_standard_deviation_that_the_cut_leaves():
    density = math.exp(-2) / math.sqrt(2 * math.pi)
    assert math.sqrt(1 - 4 * density / MASS) == pytest.approx(0.87962566103423978, rel=1e-15)
