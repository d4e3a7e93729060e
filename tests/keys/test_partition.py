"""Which rows a batch asks of which rank, against NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyembed import _core
from strategies import arrays_of_ids


def turn(rows, ranks, rank=0):
    """Return when each row is sent: by its owner, but last of all where that is `rank`."""
    return np.where(rows % ranks == rank, ranks, rows % ranks)


def expected(rows, ranks, rank=0):
    """Return positions, local rows and counts; rows of -1 are none."""
    distinct = np.unique(rows[rows >= 0])
    distinct = distinct[np.lexsort((distinct, turn(distinct, ranks, rank)))]
    number = {int(row): at for at, row in enumerate(distinct)}
    positions = [number.get(int(row), -1) for row in rows.ravel()]
    counts = np.bincount(distinct % ranks, minlength=ranks)
    return np.array(positions, np.int64).reshape(rows.shape), distinct // ranks, counts


def same(found, wanted):
    for actual, desired in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(actual, desired)
        assert actual.dtype == np.int64


@given(st.data(), st.integers(1, 60), st.integers(1, 9))
def test_distinct_rows_by_owner(data, rows, ranks):
    ids = data.draw(arrays_of_ids(rows))
    rank = data.draw(st.integers(0, ranks - 1))
    wanted = expected(np.asarray(ids, np.int64), ranks, rank)
    same(_core.Owners(rows, ranks, rank).partition(ids), wanted)


@given(st.data(), st.integers(1, 40), st.integers(1, 5))
def test_policies_and_padding(data, rows, ranks):
    ids = np.array(data.draw(st.lists(st.integers(-90, 90))), np.int64)
    padding = data.draw(st.integers(0, rows - 1))
    resolved = {
        "clip": np.clip(ids, 0, rows - 1),
        "wrap": ids % rows,
        "zero": np.where((ids >= 0) & (ids < rows), ids, -1),
    }
    for policy, row in resolved.items():
        owners = _core.Owners(rows, ranks, 0, policy, padding)
        same(owners.partition(ids), expected(row, ranks))
        same(owners.partition(ids, True), expected(np.where(row == padding, -1, row), ranks))


@pytest.mark.parametrize("ranks", [1, 2, 3, 64])
def test_many_ids_at_any_number_of_threads(ranks, threads, rng):
    ids = rng.integers(0, 5_000, 200_000) ** 2
    same(_core.Owners(25_000_000, ranks).partition(ids), expected(ids, ranks))


@given(st.lists(st.integers(0, 39)), st.integers(1, 4), st.sampled_from([0.0, 0.4, 1.0]))
def test_dropped_rows(ids, ranks, rate):
    ids = np.array(ids, np.int64)
    table = _core.Table(np.ones((40, 1)))
    is_dropped = _core.Lookup(table).gather_dropping(ids, rate, 9)[:, 0] == 0
    owners = _core.Owners(40, ranks)
    same(owners.partition(ids, False, rate, 9), expected(np.where(is_dropped, -1, ids), ranks))
    positions, rows, counts = owners.partition(ids, False, rate, 9, True)
    all_positions, *others = expected(ids, ranks)
    same((rows, counts), others)
    np.testing.assert_array_equal(positions, np.where(is_dropped, -1, all_positions))


def test_the_first_bad_id_is_named():
    with pytest.raises(IndexError, match=r"^id 10 at position \(1, 0\) is outside a table of 10 "):
        _core.Owners(10, 2).partition([[1, 2], [10, -1]])


def test_too_many_rows_and_ids():
    owners = _core.Owners(2**62, 2)
    with pytest.raises(ValueError, match="split the batch"):
        owners.partition(np.zeros(9, np.int64))
    found = owners.partition([2**62 - 1, 0])
    same(found, (np.array([0, 1]), np.array([2**61 - 1, 0]), np.array([1, 1])))


@given(st.data(), st.integers(1, 30), st.integers(1, 5))
def test_gradients_by_owner(data, rows, ranks):
    """Coalesced, or each summand; against those of a table, in another order."""
    ids = data.draw(arrays_of_ids(rows, min_dims=1, max_dims=1))
    values = np.random.default_rng(1).standard_normal((len(ids), 3))
    call = _core.BackwardCall(ids, values, 3, "float64")
    table = _core.Table(np.zeros((rows, 3)))
    rank = ranks // 2
    owners = _core.Owners(rows, ranks, rank)
    for of, by_owner in (
        (_core.expand, _core.expand_by_owner),
        (_core.coalesce, _core.coalesce_by_owner),
    ):
        whole, summands = of(table, [call, call])
        order = np.argsort(turn(whole, ranks, rank), kind="stable")
        order, own_order = np.split(order, [np.count_nonzero(whole % ranks != rank)])
        found, sent, counts, own = by_owner(owners, [call, call], "float64", 3)
        np.testing.assert_array_equal(found, whole[order] // ranks)
        np.testing.assert_array_equal(sent, summands[order])
        np.testing.assert_array_equal(counts, np.bincount(whole % ranks, minlength=ranks))
        own_rows, own_values = _core.expand(table, [own])
        np.testing.assert_array_equal(own_rows, whole[own_order] // ranks)
        np.testing.assert_array_equal(own_values, summands[own_order])


@given(st.data(), st.integers(1, 30), st.integers(1, 5))
def test_gradients_of_what_was_looked_up(data, rows, ranks):
    """The same as where nothing was: of the lookup before, too, and of no other ids."""
    batch = data.draw(arrays_of_ids(rows, min_dims=1, max_dims=1))
    last, before = batch.copy(), batch[::-1].copy()
    padding = data.draw(st.none() | st.integers(0, rows - 1))
    values = np.random.default_rng(1).standard_normal((len(batch), 3))
    made = (rows, ranks, ranks // 2, "raise", padding)
    owners, table = _core.Owners(*made), _core.Table(np.zeros((rows, 3)))
    for ids in (before, last):
        owners.partition(ids)
    owners.partition(ids, False, 0.5, 7)
    for ids in (last, before, (batch + 1) % rows):
        calls = [_core.BackwardCall(ids, values, 3, "float64")]
        *found, own = _core.coalesce_by_owner(owners, calls, "float64", 3)
        *wanted, wanted_own = _core.coalesce_by_owner(_core.Owners(*made), calls, "float64", 3)
        found += _core.coalesce(table, [own])
        wanted += _core.coalesce(table, [wanted_own])
        for actual, desired in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(actual, desired)
