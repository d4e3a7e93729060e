import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyembed as pe
import reference
from strategies import ROUNDING_OF_SUMS, arrays_of_ids, floats, tables


@given(st.data())
def test_sorted_is_the_reference_to_the_bit(data):
    dst = data.draw(tables())
    ids = data.draw(arrays_of_ids(len(dst)))
    rows = floats(np.random.default_rng(1), (*ids.shape, dst.shape[1]), dst.dtype)
    expected = reference.scatter_add(
        dst.copy(), ids.reshape(-1).astype(np.int64), rows.reshape(ids.size, dst.shape[1])
    )
    assert pe.ops.scatter_add(dst, ids, rows) is dst
    np.testing.assert_array_equal(dst, expected)


@given(st.data())
def test_atomic_equals_add_at_to_rounding(data):
    dst = data.draw(tables())
    ids = data.draw(arrays_of_ids(len(dst)))
    rows = floats(np.random.default_rng(2), (*ids.shape, dst.shape[1]), dst.dtype)
    expected = dst.astype(np.float64)
    np.add.at(expected, ids.astype(np.int64), rows)
    pe.ops.scatter_add(dst, ids, rows, method="atomic")
    np.testing.assert_allclose(dst, expected, rtol=1e-5, atol=ROUNDING_OF_SUMS[dst.dtype])


def test_atomic_at_any_number_of_threads(threads, dtype, rng):
    # Sums of small whole numbers are exact in any order; on so few rows all threads meet.
    ids = rng.integers(0, 3, 100_000)
    rows = rng.integers(-9, 10, (100_000, 33)).astype(dtype)
    dst = np.zeros((3, 33), dtype)
    pe.ops.scatter_add(dst, ids, rows, method="atomic")
    np.testing.assert_array_equal(dst, [rows[ids == row].sum(axis=0) for row in range(3)])


def hot_ids(rng, n, rows):
    """Half of all ids are one id, the others are spread; runs of many lengths around a chunk's."""
    ids = rng.integers(0, rows, n)
    ids[rng.random(n) < 0.5] = rows // 3
    for row, length in enumerate([255, 256, 257, 511, 512, 513, 1000]):
        ids[rng.choice(n, length, replace=False)] = row
    return ids


@pytest.mark.parametrize("dim", [1, 7, 64, 100])
def test_long_runs_are_summed_in_chunks(threads, dtype, dim, rng):
    ids = hot_ids(rng, 20_000, 50)
    rows = rng.standard_normal((20_000, dim)).astype(dtype)
    dst = np.zeros((50, dim), dtype)
    pe.ops.scatter_add(dst, ids, rows)
    np.testing.assert_array_equal(dst, reference.scatter_add(np.zeros_like(dst), ids, rows))


@pytest.mark.parametrize("rows", [1, 2, 3, 255, 256, 257, 100_000, 2**20 + 1])
@pytest.mark.parametrize("n", [1, 31, 32, 33, 500, 5000, 100_000])
def test_sorting_at_every_key_width(threads, n, rows, rng):
    ids = rng.integers(0, rows, n)
    unique, counts = pe.ops.coalesce(ids, np.ones((n, 1), np.float32))
    expected, expected_counts = np.unique(ids, return_counts=True)
    np.testing.assert_array_equal(unique, expected)
    np.testing.assert_array_equal(counts[:, 0], expected_counts)


@given(st.data())
def test_coalesce_is_the_reference_to_the_bit(data):
    values = data.draw(tables())
    low = data.draw(st.sampled_from([0, -3, -(2**63), 2**62]))
    ids = np.array(
        data.draw(st.lists(st.integers(low, low + 9), min_size=len(values), max_size=len(values)))
    )
    unique, sums = pe.ops.coalesce(ids, values)
    expected_ids, expected_sums = reference.coalesce(ids, values)
    np.testing.assert_array_equal(unique, expected_ids, strict=True)
    np.testing.assert_array_equal(sums, expected_sums, strict=True)


def test_coalesce_of_nothing():
    unique, sums = pe.ops.coalesce([], np.empty((0, 3)))
    assert unique.shape == (0,)
    assert unique.dtype == np.int64
    assert sums.shape == (0, 3)


def test_coalesce_keeps_the_order_of_positions():
    # 1e8 + 1 - 1e8 depends on the order in float32
    rows = np.array([[1e8], [1.0], [-1e8], [3.0]], np.float32)
    _, sums = pe.ops.coalesce([5, 5, 5, 2], rows)
    np.testing.assert_array_equal(sums, [[3.0], [0.0]])


@pytest.mark.parametrize(
    ("ids", "rows", "error", "message"),
    [
        ([0.5], np.ones((1, 2)), TypeError, "ids must be integers"),
        ([0], np.ones((1, 2), int), TypeError, "rows must have dtype float32 or float64"),
        ([0, 1], np.ones((1, 2)), ValueError, r"shape \(1, 2\), but must have shape \(2, 2\)"),
        (np.array([2**63], np.uint64), np.ones((1, 2)), ValueError, "does not fit into int64"),
        ([0], 1.0, ValueError, "at least one axis"),
    ],
)
def test_coalesce_refuses(ids, rows, error, message):
    with pytest.raises(error, match=message):
        pe.ops.coalesce(ids, rows)


@pytest.mark.parametrize("method", ["sorted", "atomic", "auto"])
class TestBadInputChangesNothing:
    def refuse(self, error, message, dst, ids, rows, method):
        before = dst.copy()
        with pytest.raises(error, match=message):
            pe.ops.scatter_add(dst, ids, rows, method=method)
        np.testing.assert_array_equal(dst, before)

    def test_an_id_in_the_middle(self, method, threads):
        ids = np.arange(50_000) % 10
        ids[25_000] = 10
        dst = np.ones((10, 4), np.float32)
        rows = np.ones((50_000, 4), np.float32)
        self.refuse(IndexError, "id 10 at position 25000 is outside", dst, ids, rows, method)

    def test_a_dtype(self, method):
        dst = np.ones((10, 4), np.float32)
        self.refuse(TypeError, "must have dtype float32", dst, [1], np.ones((1, 4)), method)

    def test_a_shape(self, method):
        self.refuse(ValueError, "shape", np.ones((10, 4)), [1, 2], np.ones((1, 4)), method)

    def test_a_read_only_dst(self, method):
        dst = np.ones((10, 4))
        dst.flags.writeable = False
        self.refuse(ValueError, "dst is read-only", dst, [1], np.ones((1, 4)), method)

    def test_rows_that_are_part_of_dst(self, method):
        dst = np.ones((10, 4))
        self.refuse(ValueError, "dst overlaps rows in memory", dst, [1], dst[2:3], method)

    def test_dst_with_rows_over_each_other(self, method):
        dst = np.lib.stride_tricks.as_strided(np.zeros(8), (3, 4), (16, 8))
        self.refuse(ValueError, "share memory", dst, [1], np.ones((1, 4)), method)


def test_unknown_method():
    with pytest.raises(ValueError, match="method='fast' is none of"):
        pe.ops.scatter_add(np.ones((2, 2)), [0], np.ones((1, 2)), method="fast")


def test_rows_of_odd_layout_are_copied(rng):
    rows = rng.standard_normal((3, 4)).T  # (4, 3) in Fortran order
    dst = pe.ops.scatter_add(np.zeros((5, 3)), [1, 1, 4, 0], rows)
    np.testing.assert_array_equal(
        dst, reference.scatter_add(np.zeros((5, 3)), np.array([1, 1, 4, 0]), rows)
    )
