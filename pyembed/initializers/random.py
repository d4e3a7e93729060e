"""Initializers that draw every element from one distribution."""

import math
import secrets
from typing import Any

from numpy.typing import NDArray

from pyembed import _checks, _core
from pyembed.initializers.base import Initializer


class Random(Initializer):
    """Keeps the seed; without one, draws it once, so that one object makes one table.

    Attributes
    ----------
    seed : int
    seed_is_drawn : bool
        Whether none was given.
    """

    seed_is_drawn = False

    def __init__(self, seed: int | None) -> None:
        self.seed_is_drawn = seed is None
        if seed is None:
            seed = secrets.randbits(63)
        self.seed = _checks.integer(seed, "seed", 0, 2**64 - 1)


class RandomUniform(Random):
    """Uniform between two bounds.

    Parameters
    ----------
    minval, maxval : float
    seed : int, optional
        From 0 to 2**64 - 1; drawn at random where None.
    """

    _arguments = ("minval", "maxval", "seed")

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None
    ) -> None:
        super().__init__(seed)
        self.minval = _checks.real(minval, "minval")
        self.maxval = _checks.real(maxval, "maxval")
        if self.minval > self.maxval:
            raise ValueError(f"minval={minval!r} must not be above maxval={maxval!r}")
        if not math.isfinite(self.maxval - self.minval):
            raise ValueError(f"minval={minval!r} and maxval={maxval!r} are too far apart")

    def _fill(self, rows: NDArray[Any], numbers: range, total_rows: int) -> None:
        _core.fill_uniform(rows, self.seed, numbers.start, numbers.step, self.minval, self.maxval)


class _Normal(Random):
    _arguments = ("mean", "stddev", "seed")

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean = _checks.real(mean, "mean")
        self.stddev = _checks.real(stddev, "stddev", 0.0)


class RandomNormal(_Normal):
    """Normal, by the method of Box and Muller.

    It uses the logarithm, sine and cosine of the system's C library, on which its last bits depend.

    Parameters
    ----------
    mean, stddev : float
    seed : int, optional
        From 0 to 2**64 - 1; drawn at random where None.
    """

    def _fill(self, rows: NDArray[Any], numbers: range, total_rows: int) -> None:
        _core.fill_normal(rows, self.seed, numbers.start, numbers.step, self.mean, self.stddev)


class TruncatedNormal(_Normal):
    """Normal, without what lies more than two standard deviations from the mean.

    By inversion of the distribution function: one number drawn an element, so that rows can be
    made alone. (Rejection would draw again an unknown number of times.) In the tails it uses the
    logarithm of the system's C library, on which its last bits depend.

    Parameters
    ----------
    mean, stddev : float
        Before the cut: what is left has a standard deviation of 0.8796 `stddev`.
    seed : int, optional
        From 0 to 2**64 - 1; drawn at random where None.
    """

    def _fill(self, rows: NDArray[Any], numbers: range, total_rows: int) -> None:
        _core.fill_truncated_normal(
            rows, self.seed, numbers.start, numbers.step, self.mean, self.stddev
        )
