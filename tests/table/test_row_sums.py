"""Sums over rows, exact but for the rounding within a row and at the end."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyembed as pe
from pyembed import _core

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def magnitudes(values):
    return _core.exact_sum(_core.row_sums(np.array(values, np.float64).reshape(-1, 1), "magnitude"))


@given(st.lists(NUMBERS, max_size=40))
def test_rounded_once(values):
    try:
        expected = math.fsum(map(abs, values))
    except OverflowError:
        expected = math.inf
    assert magnitudes(values) == expected


@pytest.mark.parametrize(
    "values",
    [
        [5e-324],
        [5e-324] * 3,
        [2.0**-1022, 5e-324],
        [1.0, 2.0**-53],
        [1.0, 2.0**-53, 5e-324],
        [1.0 + 2.0**-52, 2.0**-53],
        [2.0**53, 1.0],
        [2.0**53 - 1, 0.5],
        [1.7976931348623157e308, 9.9792015476736e291],
        [1.7976931348623157e308, 9.979201547673598e291],
    ],
)
def test_halves_and_ends_of_the_range(values):
    try:
        expected = math.fsum(values)
    except OverflowError:
        expected = math.inf
    assert magnitudes(values) == expected


def test_what_is_not_finite():
    assert magnitudes([1.0, -math.inf]) == math.inf
    assert math.isnan(magnitudes([1.0, math.inf, math.nan]))
    assert magnitudes([]) == 0.0


@given(st.permutations(range(30)), st.lists(st.integers(0, 30), min_size=2, max_size=2))
def test_in_any_order_and_in_parts(order, cuts):
    rows = np.random.default_rng(0).standard_normal((30, 7)) * np.logspace(-9, 9, 30)[:, None]
    for summed in ("magnitude", "square"):
        whole = _core.row_sums(rows, summed)
        first, last = sorted(cuts)
        shuffled = rows[list(order)]
        parts = [shuffled[:first], shuffled[first:last], shuffled[last:]]
        added = sum(_core.row_sums(part, summed) for part in parts)
        assert _core.exact_sum(added) == _core.exact_sum(whole)


def test_many_rows_at_any_number_of_threads(threads, dtype, rng):
    rows = rng.standard_normal((20_000, 33)).astype(dtype)
    found = _core.exact_sum(_core.row_sums(rows, "square", 3))
    assert found == pytest.approx(float(np.square(rows / 8, dtype=np.float64).sum()), 1e-12)
    pe.set_num_threads(1)
    assert found == _core.exact_sum(_core.row_sums(rows, "square", 3))
