"""Checks of scalar arguments; what concerns arrays is checked by the compiled core."""

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from pyembed import _core

LARGEST = 2**63 - 1  # what the compiled core counts with


def integer(value: Any, name: str, low: int, high: int | None = None) -> int:
    """Return `value` as an int in [low, high], or raise ValueError."""
    allowed = f"an integer >= {low}" if high is None else f"an integer from {low} to {high}"
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{name}={value!r} must be {allowed}") from None
    if not low <= number <= (LARGEST if high is None else high):
        raise ValueError(f"{name}={value!r} must be {allowed}")
    return number


def step_count(value: Any) -> int:
    """Return `value` as a count of steps that leaves room for more than anybody makes."""
    return integer(value, "t", 0, 2**62)


def real(
    value: Any, name: str, low: float = -math.inf, below: float = math.inf, *, why: str = ""
) -> float:
    """Return `value` as a finite float in [low, below), or raise ValueError."""
    allowed = "a finite number"
    if low > -math.inf:
        allowed += f" >= {low:g}"
    if below < math.inf:
        allowed += f"{' and' if low > -math.inf else ''} < {below:g}"
    try:
        if isinstance(value, (bool, np.bool_, str, bytes)):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name}={value!r} must be {allowed}{why}") from None
    if not math.isfinite(number) or not low <= number < below:
        raise ValueError(f"{name}={value!r} must be {allowed}{why}")
    return number


def positive(value: Any, name: str, *, or_inf: bool = False) -> float:
    """Return `value` as a float > 0, finite unless `or_inf`, or raise ValueError."""
    if or_inf and value == math.inf:
        return math.inf
    allowed = "a number > 0, or inf" if or_inf else "a finite number > 0"
    return _fit(value, name, allowed, lambda number: number > 0.0)


def nonpositive(value: Any, name: str) -> float:
    """Return `value` as a finite float <= 0, or raise ValueError."""
    return _fit(value, name, "a finite number <= 0", lambda number: number <= 0.0)


def rate(value: Any, name: str) -> float:
    """Return `value` as a float in [0, 1], or raise ValueError."""
    return _fit(value, name, "a number from 0 to 1", lambda number: 0.0 <= number <= 1.0)


def dropout(share: Any, key: Any) -> tuple[float, int] | None:
    """Return arguments of dropout, the share of rows dropped and the key, or None without.

    Raises
    ------
    ValueError
        If one is not as it must be, or there is one without the other.
    """
    if share is None and key is None:
        return None
    if share is None:
        raise ValueError(f"key={key!r} needs a dropout")
    if key is None:
        raise ValueError(f"dropout={share!r} needs a key, an integer from 0 to {2**64 - 1}")
    return rate(share, "dropout"), integer(key, "key", 0, 2**64 - 1)


def _fit(value: Any, name: str, allowed: str, fits: Callable[[float], bool]) -> float:
    try:
        number = real(value, name)
    except ValueError:
        number = math.nan
    if not fits(number):
        raise ValueError(f"{name}={value!r} must be {allowed}")
    return number


def one_of(value: Any, name: str, allowed: tuple[str, ...]) -> str:
    """Return `value` if it is one of the strings `allowed`, or raise ValueError."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name}={value!r} is none of {', '.join(map(repr, allowed))}")
    return value


def float_dtype(value: Any, name: str = "dtype") -> str:
    """Return the name of a dtype that tables have, or raise TypeError."""
    try:
        dtype = np.dtype(value)
    except (TypeError, ValueError):
        dtype = np.dtype(object)
    if value is None or dtype not in map(np.dtype, _core.elements):
        raise TypeError(f"{name}={value!r} must be {' or '.join(_core.elements)}")
    return str(dtype.name)


def pooling_mode(value: Any) -> str:
    """Return `value` if it is a mode of bags, or raise ValueError."""
    return one_of(value, "mode", _core.modes)


def summing_method(value: Any) -> str:
    """Return `value` if it is a way to sum the rows of an id, or raise ValueError."""
    return one_of(value, "method", ("auto", "sorted", "atomic"))
