"""Random numbers follow the law that they are named for."""

import math

import numpy as np

from initializers.cases import MASS, cut_law, distance_from_law
from pyembed import initializers


def test_uniform_is_uniform(dtype):
    table = initializers.RandomUniform(seed=0)((1000, 21), dtype)
    assert np.abs(table).max() <= np.float32(0.05)
    assert distance_from_law(table, lambda x: (x + 0.05) / 0.1) < 1.95
    shifted = initializers.RandomUniform(2, 6, seed=1)((1000, 21), dtype)
    assert distance_from_law(shifted, lambda x: (x - 2) / 4) < 1.95


def test_normal_is_normal(dtype):
    table = initializers.RandomNormal(3.0, 2.0, seed=0)((1000, 21), dtype)
    error = 2 / math.sqrt(table.size)
    assert abs(table.mean(dtype="f8") - 3) < 4 * error
    assert abs(table.std(dtype="f8") - 2) < 4 * error / math.sqrt(2)
    assert distance_from_law(table, lambda x: (1 + math.erf((x - 3) / 2 / math.sqrt(2))) / 2) < 1.95


def test_truncated_normal_is_a_normal_cut_at_two_standard_deviations(dtype):
    table = initializers.TruncatedNormal(3.0, 2.0, seed=0)((2000, 21), dtype)
    assert table.min() >= -1
    assert table.max() <= 7
    assert table.max() - table.min() > 7.99
    density = math.exp(-2) / math.sqrt(2 * math.pi)  # at the cut
    variance = 4 * (1 - 4 * density / MASS)
    error = math.sqrt(variance / table.size)
    assert abs(table.mean(dtype="f8") - 3) < 4 * error
    # The fourth moment about the mean tells the error of the variance.
    fourth = 16 * (3 - 28 * density / MASS)
    assert abs(table.var(dtype="f8") - variance) < 4 * math.sqrt(
        (fourth - variance**2) / table.size
    )
    assert distance_from_law(table, lambda x: cut_law(x, 3, 2)) < 1.95
