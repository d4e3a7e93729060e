import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyembed as pe
import reference
from pyembed import _core
from strategies import arrays_of_ids, tables


@given(st.data())
def test_gather_is_indexing(data):
    table = data.draw(tables())
    ids = data.draw(arrays_of_ids(len(table)))
    result = pe.ops.gather(table, ids)
    np.testing.assert_array_equal(result, reference.gather(table, ids), strict=True)
    np.testing.assert_array_equal(result, table[ids.astype(np.int64)], strict=True)


@given(st.data())
def test_gather_equals_the_one_hot_product(data):
    table = data.draw(tables())
    ids = data.draw(arrays_of_ids(len(table)))
    dense = pe.baseline.OneHotDense(*table.shape, weights=table, dtype="float64")
    np.testing.assert_array_equal(pe.ops.gather(table, ids), dense(ids))


@given(st.data(), st.sampled_from(["clip", "zero", "wrap"]))
def test_policies(data, policy):
    table = data.draw(tables())
    ids = data.draw(st.lists(st.integers(-(2**63), 2**63 - 1)))
    emb = pe.Embedding.from_pretrained(table, out_of_range=policy)
    np.testing.assert_array_equal(emb(ids), reference.gather(table, ids, policy))


@pytest.mark.parametrize(("policy", "row"), [("clip", 2), ("wrap", (2**64 - 1) % 3), ("zero", -1)])
def test_policies_for_ids_beyond_int64(policy, row):
    table = np.arange(1.0, 7.0).reshape(3, 2)
    emb = pe.Embedding.from_pretrained(table, out_of_range=policy)
    expected = np.zeros(2) if row < 0 else table[row]
    np.testing.assert_array_equal(emb(np.array([2**64 - 1], np.uint64))[0], expected)


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 255, 256, 257, 2049, 40_000])
@pytest.mark.parametrize("dim", [1, 3, 16, 64, 100])
def test_sizes_and_threads(threads, dtype, n, dim, rng):
    table = rng.standard_normal((1000, dim)).astype(dtype)
    ids = rng.integers(0, 1000, n)
    np.testing.assert_array_equal(pe.ops.gather(table, ids), table[ids])


@pytest.mark.parametrize("dim", [64, 65, 100, 257, 1000])
@pytest.mark.parametrize("offset", [0, 1, 5, 15])
def test_large_outputs_are_streamed_whatever_line_they_start_in(threads, dtype, dim, offset, rng):
    table = rng.standard_normal((500, dim)).astype(dtype)
    emb = pe.Embedding.from_pretrained(table, out_of_range="zero")
    n = (17 << 20) // (dim * table.itemsize)
    ids = rng.integers(-20, 520, n)
    guarded = np.full(offset + n * dim + 16, 7, dtype)
    emb(ids, out=guarded[offset : offset + n * dim].reshape(n, dim))
    result = guarded[offset : offset + n * dim].reshape(n, dim)
    known = (ids >= 0) & (ids < 500)
    np.testing.assert_array_equal(result[known], table[ids[known]])
    assert not result[~known].any()
    assert (guarded[:offset] == 7).all()
    assert (guarded[offset + n * dim :] == 7).all()


def test_out_is_written_and_returned(rng):
    table = rng.standard_normal((9, 5)).astype(np.float32)
    ids = np.array([[8, 0], [3, 3]])
    out = np.empty((2, 2, 5), np.float32)
    assert pe.ops.gather(table, ids, out=out) is out
    np.testing.assert_array_equal(out, table[ids])


def test_out_may_have_a_gap_between_rows(rng):
    table = rng.standard_normal((9, 5)).astype(np.float32)
    whole = np.full((4, 8), 7.0, np.float32)
    pe.ops.gather(table, [1, 2, 3, 4], out=whole[:, :5])
    np.testing.assert_array_equal(whole[:, :5], table[1:5])
    np.testing.assert_array_equal(whole[:, 5:], 7.0)


def test_a_table_may_be_any_rows_with_unit_stride(rng):
    table = rng.standard_normal((9, 5))
    for view in (table[::-1], table[::2], table[:, 1:4], np.broadcast_to(table[0], (4, 5))):
        np.testing.assert_array_equal(pe.ops.gather(view, [3, 0, 3]), view[[3, 0, 3]])


def test_empty_list_and_scalar():
    emb = pe.Embedding(4, 3)
    assert emb([]).shape == (0, 3)
    assert emb([[], []]).shape == (2, 0, 3)
    assert emb(2).shape == (3,)
    assert emb(np.empty((0, 5), np.int32)).shape == (0, 5, 3)
    assert pe.Embedding(4, 0)([1, 2]).shape == (2, 0)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (np.array(1000), "id 1000 is outside a table of 1000 rows (valid: 0 to 999)"),
        ([5, -1], "id -1 at position 1 is outside a table of 1000 rows (valid: 0 to 999)"),
        (
            [[0] * 8] * 3 + [[0] * 7 + [1000]],
            "id 1000 at position (3, 7) is outside a table of 1000 rows (valid: 0 to 999)",
        ),
        (
            np.array([2**64 - 1], np.uint64),
            "id 18446744073709551615 at position 0 is outside a table of 1000 rows "
            "(valid: 0 to 999)",
        ),
        (
            np.array([-5], np.int8),
            "id -5 at position 0 is outside a table of 1000 rows (valid: 0 to 999)",
        ),
    ],
)
def test_a_bad_id_is_named(ids, message):
    with pytest.raises(IndexError) as caught:
        pe.Embedding(1000, 2)(ids)
    assert str(caught.value) == message


def test_the_first_bad_id_is_named_and_nothing_is_written(threads):
    emb = pe.Embedding(100, 8)
    ids = np.zeros(300_000, np.int64)
    ids[[123_456, 299_999]] = [-7, 100]
    out = np.full((300_000, 8), 5.0, np.float32)
    with pytest.raises(IndexError, match="id -7 at position 123456 "):
        emb(ids, out=out)
    assert (out == 5.0).all()


@pytest.mark.parametrize(
    "ids",
    [np.array([1.0]), [1.5], [True], np.array([], np.float64), ["1"], None, [2**70], [1 + 0j]],
)
def test_ids_must_be_integers(ids):
    with pytest.raises(TypeError, match="ids must be integers"):
        pe.Embedding(4, 2)(ids)


def bad_outs():
    table = np.zeros((5, 3), np.float32)
    read_only = np.empty((2, 3), np.float32)
    read_only.flags.writeable = False
    buffer = np.empty((2, 3), np.float32)
    return {
        "a list": (table, [[0.0] * 3] * 2, TypeError, "out must be a numpy.ndarray, not list"),
        "dtype": (table, np.empty((2, 3)), TypeError, "out must have dtype float32"),
        "byte order": (table, np.empty((2, 3), ">f4"), TypeError, "out must have dtype float32"),
        "shape": (
            table,
            np.empty((3, 2), np.float32),
            ValueError,
            r"shape \(3, 2\), but .*\(2, 3\)",
        ),
        "layout": (table, np.empty((3, 2), np.float32).T, ValueError, "contiguous rows"),
        "read-only": (table, read_only, ValueError, "out is read-only"),
        "the table": (table, table[1:3], ValueError, "out overlaps the table in memory"),
        "its own rows": (
            table,
            np.lib.stride_tricks.as_strided(buffer, (2, 3), (4, 4)),
            ValueError,
            "rows that share memory",
        ),
    }


@pytest.mark.parametrize("case", bad_outs())
def test_bad_out_is_refused_and_nothing_changes(case):
    table, out, error, message = bad_outs()[case]
    before = np.array(out, copy=True)
    with pytest.raises(error, match=message):
        pe.ops.gather(table, [0, 1], out=out)
    np.testing.assert_array_equal(out, before)
    assert (table == 0).all()


def test_out_over_the_ids_is_refused():
    memory = np.zeros(8, np.int64)
    out = memory.view(np.float64)[:6].reshape(3, 2)
    with pytest.raises(ValueError, match="out overlaps ids in memory"):
        pe.ops.gather(np.ones((4, 2)), memory[:3], out=out)
    assert (memory == 0).all()


def misaligned(array):
    """Return a copy of the array that does not start at a multiple of its item size."""
    memory = np.zeros(array.nbytes + 1, np.uint8)
    copy = memory[1:].view(array.dtype).reshape(array.shape)
    copy[...] = array
    assert not copy.flags.aligned
    return copy


def test_misaligned_inputs_are_copied_and_outputs_refused(rng):
    table = rng.standard_normal((5, 3))
    ids = np.array([[4, 0], [1, 1]])
    weights = rng.standard_normal((2, 2))
    rows = rng.standard_normal((2, 2, 3))
    np.testing.assert_array_equal(pe.ops.gather(table, misaligned(ids)), table[ids])
    np.testing.assert_array_equal(
        pe.ops.gather_bag(table, ids, None, weights=misaligned(weights)),
        pe.ops.gather_bag(table, ids, None, weights=weights),
    )
    for method in ("sorted", "atomic"):
        np.testing.assert_array_equal(
            pe.ops.scatter_add(np.zeros((5, 3)), ids, misaligned(rows), method=method),
            pe.ops.scatter_add(np.zeros((5, 3)), ids, rows, method=method),
        )
    for call in (
        lambda: pe.ops.gather(misaligned(table), ids),
        lambda: pe.ops.gather(table, ids, out=misaligned(rows)),
        lambda: pe.ops.scatter_add(misaligned(table), ids, rows),
    ):
        with pytest.raises(ValueError, match="in aligned memory"):
            call()


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ([[1.0]], TypeError, "table must be a numpy.ndarray, not list"),
        (np.zeros((2, 2), np.float16), TypeError, "float32 or float64, not float16"),
        (np.zeros((2, 2), int), TypeError, "float32 or float64, not int64"),
        (np.zeros(3), ValueError, r"two axes .*\(3,\)"),
        (np.zeros((3, 4))[:, ::2], ValueError, "contiguous rows"),
        (np.asfortranarray(np.zeros((3, 4))), ValueError, "contiguous rows"),
    ],
)
def test_bad_table(table, error, message):
    with pytest.raises(error, match=message):
        pe.ops.gather(table, [0])


@given(st.data(), st.sampled_from(["clip", "zero", "wrap"]), st.sampled_from([0.0, 0.3, 0.9, 1.0]))
def test_dropout_is_the_reference_to_the_bit(data, policy, rate):
    table = data.draw(tables())
    ids = data.draw(arrays_of_ids(len(table)))
    key = data.draw(st.integers(0, 2**64 - 1))
    emb = pe.Embedding.from_pretrained(table, trainable=True, out_of_range=policy)
    dropped = reference.dropped(np.arange(len(table)), rate, key)
    scale = 1.0 / (1.0 - rate) if rate < 1.0 else 0.0
    expected = reference.gather(table, ids) * table.dtype.type(scale)
    expected[dropped[ids.astype(int)]] = 0.0
    np.testing.assert_array_equal(emb(ids, dropout=rate, key=key), expected)

    grad = np.ones((*ids.shape, table.shape[1]), table.dtype)
    kept = ids.astype(int)[~dropped[ids.astype(int)]]
    sparse = emb.backward(ids, grad, dropout=rate, key=key)
    np.testing.assert_array_equal(sparse.ids, kept.reshape(-1))
    np.testing.assert_array_equal(sparse.values, table.dtype.type(scale))


@given(st.data(), st.sampled_from([0.5, 1.0, 2.0, 3.0, np.inf]))
def test_max_norm_is_the_reference(data, p):
    table = data.draw(tables()).copy()
    ids = data.draw(arrays_of_ids(len(table)))
    padding = data.draw(st.none() | st.integers(0, len(table) - 1))
    expected = table.copy()
    rows = ids.astype(int).reshape(-1)
    reference.renormalise(expected, rows[rows != padding], 1.5, p)
    emb = pe.Embedding.from_pretrained(table, padding_idx=padding, max_norm=1.5, norm_type=p)
    result = emb(ids)
    np.testing.assert_array_equal(result, emb.embeddings[ids.astype(int)])
    if p in (1.0, 2.0, np.inf):
        np.testing.assert_array_equal(table, expected)
    else:  # the last bit of a power is its library's
        np.testing.assert_allclose(table, expected, rtol=1e-6)


@pytest.mark.parametrize("policy", ["clip", "zero", "wrap"])
@pytest.mark.parametrize("id_dtype", [np.int32, np.int64])
def test_the_callers_ids_are_never_changed(layer, policy, id_dtype):
    ids = np.array([[-7, 2, 9], [0, 3, -1]], id_dtype)
    before = ids.copy()
    made = layer(4, 2, out_of_range=policy, padding_idx=0)
    y = made(ids)
    made.backward(ids, np.ones(y.shape, np.float32)).to_dense()
    np.testing.assert_array_equal(ids, before)


def test_broadcast_ids():
    table = np.arange(8.0).reshape(4, 2)
    emb = pe.Embedding.from_pretrained(table, trainable=True)
    for ids in (np.broadcast_to([3, 1], (5, 2)), np.broadcast_to(np.int32(2), (3, 4))):
        np.testing.assert_array_equal(emb(ids), table[ids])
        dense = emb.backward(ids, np.ones((*ids.shape, 2))).to_dense()
        np.testing.assert_array_equal(dense[:, 0], np.bincount(ids.ravel(), minlength=4))


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, np.inf])
def test_a_norm_that_is_nan_is_above_nothing(p):
    table = np.array([[np.nan, 5.0], [5.0, np.nan], [5.0, 6.0]])
    before = table.copy()
    pe.Embedding.from_pretrained(table, max_norm=1.0, norm_type=p)([0, 1])
    np.testing.assert_array_equal(table, before)


@pytest.mark.parametrize(("count", "dim"), [(0, 3), (50, 1), (70_000, 64), (1_000, 100)])
@pytest.mark.parametrize("others_first", [False, True])  # in memory
def test_rows_of_two_arrays(count, dim, others_first, threads, rng):
    memory = rng.standard_normal((300, dim)).astype(np.float32)
    parts = memory[:100], memory[100:]
    others, rows = parts if others_first else parts[::-1]
    lookup = _core.Lookup(_core.Table(rows))
    ids = rng.integers(0, len(rows), 40)
    positions = rng.integers(-1, len(others) + len(ids) + 1, count)
    both = np.concatenate([others, rows[ids], np.zeros((2, dim), np.float32)])
    found = lookup.gather_beside(positions, others, ids)
    np.testing.assert_array_equal(found, both[positions], strict=True)
    out = np.ones((count, dim), np.float32)
    assert lookup.gather_beside(positions, others, ids, out) is out
    np.testing.assert_array_equal(out, found)


def test_rows_of_two_arrays_that_do_not_fit():
    rows = np.ones((3, 2), np.float32)
    lookup = _core.Lookup(_core.Table(rows))
    for others in (np.ones((3, 3), np.float32), np.ones((3, 2))):
        with pytest.raises(ValueError, match="like those of the table"):
            lookup.gather_beside([0], others, [0])
    with pytest.raises(IndexError, match="id 3 at position 1"):
        lookup.gather_beside([0], np.ones((3, 2), np.float32), [0, 3])
    others = np.ones((3, 2), np.float32)
    with pytest.raises(ValueError, match="out overlaps others"):
        lookup.gather_beside([0], others, [0], others[:1])
