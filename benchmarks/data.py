"""Tables and gradients of small whole numbers.

Their sums are exact in any order (up to 2**24 in float32), so contestants that add in different
orders, or by a matrix product, must agree to the last bit, and a check of equality means something.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Ids = NDArray[np.int64]

LARGEST = 8


def whole_numbers(shape: tuple[int, ...], dtype: str, seed: int = 1) -> Array:
    """Random whole numbers from -8 to 8. Every page of the result has been written."""
    rng = np.random.default_rng(seed)
    return rng.integers(-LARGEST, LARGEST, shape, dtype=np.int8, endpoint=True).astype(dtype)


@lru_cache(maxsize=1)
def table(rows: int, dim: int, dtype: str) -> Array:
    """A (rows, dim) table that nobody writes to; the latest is kept, for the next case."""
    return whole_numbers((rows, dim), dtype)


def forget() -> None:
    """Free what ``table`` keeps."""
    table.cache_clear()
