"""Random initializers, and how far samples are from a law."""

import math

import numpy as np

from pyembed import initializers

RANDOM = [
    initializers.RandomUniform(seed=11),
    initializers.RandomNormal(seed=11),
    initializers.TruncatedNormal(seed=11),
    initializers.GlorotUniform(seed=11),
    initializers.VarianceScaling(seed=11, mode="fan_in", distribution="untruncated_normal"),
    initializers.HeNormal(seed=11),
]

# One setting of VarianceScaling each: scale, mode, distribution.
FAMILY = {
    "GlorotUniform": (1.0, "fan_avg", "uniform"),
    "GlorotNormal": (1.0, "fan_avg", "truncated_normal"),
    "LecunUniform": (1.0, "fan_in", "uniform"),
    "LecunNormal": (1.0, "fan_in", "truncated_normal"),
    "HeUniform": (2.0, "fan_in", "uniform"),
    "HeNormal": (2.0, "fan_in", "truncated_normal"),
}

MASS = math.erf(math.sqrt(2))  # of a normal distribution within two standard deviations

SEED = 0xFEDC_BA98_7654_3210


def distance_from_law(values, law):
    """Kolmogorov and Smirnov's statistic: 1.95 or more once in a thousand samples of the law."""
    n = values.size
    expected = np.array([law(value) for value in np.sort(values, axis=None).tolist()])
    steps = np.arange(n + 1) / n
    return np.maximum(steps[1:] - expected, expected - steps[:-1]).max() * math.sqrt(n)


def cut_law(x, mean=0.0, stddev=1.0):
    """The distribution function of a normal number within two standard deviations."""
    return (math.erf((x - mean) / stddev / math.sqrt(2)) / MASS + 1) / 2
