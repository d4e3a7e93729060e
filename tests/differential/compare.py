"""What it means that two results agree."""

import numpy as np


class Difference(AssertionError):
    """The library and the model disagree."""


def same(actual, expected, what):
    """Check for the same shape, dtype and bits; any nan is a nan, and 0 is -0."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    if (actual.shape, actual.dtype) != (expected.shape, expected.dtype):
        raise Difference(
            f"{what}: {actual.dtype}{actual.shape}, but expected {expected.dtype}{expected.shape}"
        )
    wrong = ~((actual == expected) | ((actual != actual) & (expected != expected)))
    if wrong.any():
        at = tuple(np.argwhere(wrong)[0].tolist())
        raise Difference(
            f"{what}: {np.count_nonzero(wrong)} of {wrong.size} elements differ; the first, at "
            f"{at}, is {actual[at]!r}, but expected {expected[at]!r}"
        )


def close(actual, expected, what, tolerance=1e-12):
    if not np.allclose(actual, expected, tolerance, tolerance, equal_nan=True):
        raise Difference(f"{what}: {actual!r}, but expected about {expected!r}")


def refused(error, function, *args, **kwargs):
    """Check that the call raises just this error, and says something."""
    try:
        function(*args, **kwargs)
    except Exception as raised:
        if type(raised) is not error or not str(raised):
            raise Difference(f"{raised!r} was raised, but expected a {error.__name__}") from raised
        return
    raise Difference(f"nothing was raised, but expected a {error.__name__}")
