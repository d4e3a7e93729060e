"""Adam's bias correction."""

import math


def bias_correction(beta_1: float, beta_2: float, t: int) -> float:
    """Return ``sqrt(1 - beta_2**t) / (1 - beta_1**t)``, in double."""
    return math.sqrt(1.0 - _power(beta_2, t)) / (1.0 - _power(beta_1, t))


def _power(base: float, exponent: int) -> float:
    """Return ``base ** exponent`` by squaring and multiplying.

    Unlike a library's power, whose last bits depend on the processor, this is the same everywhere.
    """
    power = 1.0
    while exponent:
        if exponent & 1:
            power *= base
        base *= base
        exponent >>= 1
    return power
