"""How far the series of exact Adam must reach; csrc/exact_adam/ has the mathematics."""

import math

import numpy as np
from numpy.typing import DTypeLike

_REMAINDER = 1e-10  # of the skipped pushes, relative to their sum
_COMPILED_TERMS = (1, 6, 12, 24)  # the kernels' loops


def terms_and_horizon(beta_1: float, beta_2: float, dtype: DTypeLike) -> tuple[int, int]:
    """Return how many terms the series needs, and after how many steps a push is lost to rounding.

    With x_k = 1 - beta_2**(k/2), the terms from the P-th on of the push k steps after a gradient
    are at most ``beta_1**k * x_k**P / (1 - x_k)``, whatever the row's values.

    Raises
    ------
    ValueError
        If more than 24 terms are needed.
    """
    if beta_1 == 0.0:
        return 1, 1
    steps = np.arange(1, _steps_until(beta_1, 1e-15) + 1)
    weights = beta_1**steps
    x = -np.expm1(0.5 * steps * math.log(beta_2)) if beta_2 > 0.0 else np.ones(len(steps))
    with np.errstate(divide="ignore", over="ignore"):
        bounds = weights / (1.0 - x) / weights.sum()
        needed = (P for P in range(1, 25) if np.sum(bounds * x**P) < _REMAINDER)
        terms = next(needed, None)
    if terms is None:
        raise ValueError(
            f"update='exact' needs more than 24 terms for beta_1={beta_1!r} and beta_2={beta_2!r}: "
            "beta_2 must be closer to 1, or beta_1 further from it"
        )
    compiled = next(count for count in _COMPILED_TERMS if count >= terms)
    return compiled, _steps_until(beta_1, float(np.finfo(dtype).eps) / 16)


def _steps_until(beta: float, lost: float) -> int:
    """Return after how many steps ``beta**steps`` is below `lost`; no more than a million."""
    return min(math.ceil(math.log(lost) / math.log(beta)), 1_000_000)
