import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyembed as pe
import reference
from strategies import bags_of_ids, floats, tables

LINEAR = st.sampled_from(["sum", "mean", "sqrtn"])
MODES = LINEAR | st.just("max")

TABLE = np.arange(1.0, 11.0, dtype=np.float32).reshape(5, 2)
IDS = [3, 1, 1, 1, 4, 0]
OFFSETS = [0, 0, 3, 3, 6]
GRAD = np.array([[99, 99], [1, 2], [99, 99], [3, 4], [99, 99]], np.float32)


def test_worked_case():
    bag = pe.EmbeddingBag(5, 2, mode="sum", weights=TABLE)
    np.testing.assert_array_equal(bag(IDS, OFFSETS), [[0, 0], [13, 16], [0, 0], [13, 16], [0, 0]])
    np.testing.assert_array_equal(
        bag.backward(IDS, GRAD, OFFSETS).to_dense(), [[3, 4], [5, 8], [0, 0], [1, 2], [3, 4]]
    )


@given(st.data(), MODES, st.sampled_from(["clip", "zero", "wrap"]))
def test_bags_are_the_reference_to_the_bit(data, mode, policy):
    table = data.draw(tables())
    if data.draw(st.booleans()):  # with many ties
        table = np.round(table)
    ids, offsets = data.draw(bags_of_ids(-2, len(table) + 2))
    rows_of_table = st.integers(0, len(table) - 1)
    padding = data.draw(st.none() | rows_of_table)
    frozen = data.draw(st.lists(rows_of_table, max_size=3))
    scale = data.draw(st.sampled_from([1.0, 0.3]))
    by_frequency = mode != "max" and data.draw(st.booleans())
    rng = np.random.default_rng(3)
    weighted = mode != "max" and data.draw(st.booleans())
    weights = floats(rng, ids.shape, table.dtype) if weighted else None
    bag = pe.EmbeddingBag.from_pretrained(
        table,
        trainable=True,
        mode=mode,
        padding_idx=padding,
        out_of_range=policy,
        scale_grad_by_freq=by_frequency,
    )
    bag.freeze(np.array(frozen, int))
    rule = {"mode": mode, "weights": weights, "padding": padding, "out_of_range": policy}
    result = bag(ids, offsets, weights)
    np.testing.assert_array_equal(result, reference.gather_bag(table, ids, offsets, **rule))

    grad = floats(rng, result.shape, table.dtype)
    sparse = bag.backward(ids, grad, offsets, weights) * scale
    rule |= {"frozen": frozen, "by_frequency": by_frequency, "scale": scale}
    rows, values = reference.bag_gradient(table, ids, grad, offsets, **rule)
    np.testing.assert_array_equal(sparse.ids, rows)
    np.testing.assert_array_equal(sparse.values, values)
    np.testing.assert_array_equal(
        sparse.to_dense(), reference.scatter_add(np.zeros(table.shape, table.dtype), rows, values)
    )


@given(st.data(), LINEAR, st.booleans(), st.sampled_from(["clip", "zero", "wrap"]))
def test_gradients_of_weights_are_the_reference_to_the_bit(data, mode, weighted, policy):
    table = data.draw(tables())
    ids, offsets = data.draw(bags_of_ids(-2, len(table) + 2))
    padding = data.draw(st.none() | st.integers(0, len(table) - 1))
    rng = np.random.default_rng(3)
    weights = floats(rng, ids.shape, table.dtype) if weighted else None
    bag = pe.EmbeddingBag.from_pretrained(
        table, mode=mode, padding_idx=padding, out_of_range=policy
    )
    bags = len(ids) if offsets is None else len(offsets)
    grad = floats(rng, (bags, table.shape[1]), table.dtype)
    np.testing.assert_array_equal(
        bag.backward_weights(ids, grad, offsets, weights),
        reference.weight_gradient(
            table, ids, grad, offsets, mode, weights, padding=padding, out_of_range=policy
        ),
        strict=True,
    )


def test_a_sum_of_lookups_and_of_all_kinds_of_bags(threads, dtype, rng):
    table = np.round(rng.standard_normal((50, 20)), 1).astype(dtype)
    emb = pe.Embedding(50, 20, weights=table, dtype=dtype, padding_idx=4)
    grads, summands = [], []
    for mode, by_frequency in [("max", False), ("mean", True), ("sum", False), ("max", False)]:
        bag = pe.EmbeddingBag.sharing(emb, mode, scale_grad_by_freq=by_frequency)
        ids = rng.integers(0, 50, (700, 5))
        grad = rng.standard_normal((700, 20)).astype(dtype)
        grads.append(bag.backward(ids, grad))
        rule = {"mode": mode, "padding": 4, "by_frequency": by_frequency}
        summands.append(reference.bag_gradient(table, ids, grad, **rule))
        grad = rng.standard_normal((300, 20)).astype(dtype)
        grads.append(emb.backward(ids[:300, 0], grad))
        summands.append(reference.bag_gradient(table, ids[:300, :1], grad, mode="sum", padding=4))
    total = sum(grads[1:], start=grads[0])
    rows, values = (np.concatenate(parts) for parts in zip(*summands, strict=True))
    np.testing.assert_array_equal(total.ids, rows)
    np.testing.assert_array_equal(total.values, values)
    np.testing.assert_array_equal(
        total.to_dense(), reference.scatter_add(np.zeros_like(table), rows, values)
    )


@given(st.data(), LINEAR)
def test_gradient_against_the_float64_one_hot_layer(data, mode):
    table = data.draw(tables())
    ids, offsets = data.draw(bags_of_ids(0, len(table)))
    dense = pe.baseline.OneHotDense(*table.shape, weights=table, dtype="float64")
    bags = reference.bag_bounds(ids, offsets)
    # The pooling as a matrix (bags, n): the layer is linear in the table.
    pooling = np.zeros((len(bags), ids.size))
    for b, (begin, end) in enumerate(bags):
        length = max(end - begin, 1)
        pooling[b, begin:end] = {"sum": 1.0, "mean": 1 / length, "sqrtn": length**-0.5}[mode]
    flat = ids.reshape(-1)
    bag = pe.EmbeddingBag.from_pretrained(table, trainable=True, mode=mode)
    np.testing.assert_allclose(bag(ids, offsets), pooling @ dense(flat), rtol=1e-5, atol=1e-5)

    grad = floats(np.random.default_rng(4), (len(bags), table.shape[1]), table.dtype)
    np.testing.assert_allclose(
        bag.backward(ids, grad, offsets).to_dense(),
        dense.backward(flat, pooling.T @ grad),
        rtol=1e-5,
        atol=1e-5,
    )


@given(st.data(), LINEAR)
def test_weights_of_as_many_ids_as_bags(data, mode):
    # As many sources as rows of the gradient, but not one for one.
    lengths = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=8))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    lengths.extend([0] * (offsets[-1] - len(lengths)))
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    ids = np.arange(sum(lengths)) % 5
    weights = np.arange(1.0, len(ids) + 1, dtype=np.float32)
    grad = np.arange(1.0, 2 * len(lengths) + 1, dtype=np.float32).reshape(-1, 2)
    bag = pe.EmbeddingBag(5, 2, mode=mode, weights=TABLE)
    rows, values = reference.bag_gradient(TABLE, ids, grad, offsets, mode, weights)
    sparse = bag.backward(ids, grad, offsets, weights)
    np.testing.assert_array_equal(sparse.values, values)
    np.testing.assert_array_equal(
        sparse.to_dense(), reference.scatter_add(np.zeros((5, 2), np.float32), rows, values)
    )


def test_large_batches_at_any_number_of_threads(threads, dtype, rng):
    table = rng.standard_normal((500, 33)).astype(dtype)
    lengths = rng.integers(0, 40, 3000)
    lengths[[5, 2000]] = 3000  # bags longer than a block
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    ids = rng.integers(0, 500, lengths.sum())
    ids[rng.random(len(ids)) < 0.3] = 7
    weights = rng.random(len(ids)).astype(dtype)
    bag = pe.EmbeddingBag.from_pretrained(table, trainable=True, padding_idx=3)
    grad = rng.standard_normal((3000, 33)).astype(dtype)
    np.testing.assert_array_equal(
        bag(ids, offsets, weights),
        reference.gather_bag(table, ids, offsets, "mean", weights, padding=3),
    )
    rows, values = reference.bag_gradient(table, ids, grad, offsets, "mean", weights, padding=3)
    np.testing.assert_array_equal(
        bag.backward(ids, grad, offsets, weights).to_dense(),
        reference.scatter_add(np.zeros_like(table), rows, values),
    )


def test_zero_divisors_and_empty_bags_give_zeros():
    bag = pe.EmbeddingBag(5, 2, mode="mean", weights=TABLE, padding_idx=0)
    ids = np.array([[0, 0], [1, 2]])
    weights = np.array([[1, 1], [2, -2]], np.float32)
    np.testing.assert_array_equal(bag(ids, None, weights), 0.0)
    grad = np.ones((2, 2), np.float32)
    np.testing.assert_array_equal(bag.backward(ids, grad, None, weights).to_dense(), 0.0)
    assert bag(np.empty((3, 0), int)).tolist() == [[0, 0]] * 3
    assert bag(np.empty((0, 3), int)).shape == (0, 2)


def test_ops_gather_bag(rng):
    table = rng.standard_normal((9, 4))
    out = np.empty((2, 4))
    weights = rng.random(5)
    result = pe.ops.gather_bag(
        table, [1, 2, 3, 4, 8], [0, 2], mode="sqrtn", weights=weights, out=out
    )
    assert result is out
    expected = reference.gather_bag(table, [1, 2, 3, 4, 8], [0, 2], "sqrtn", weights)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(
        pe.ops.gather_bag(table, [[1, 2], [3, 3]], None), [table[1] + table[2], table[3] * 2]
    )


def test_include_last_offset():
    bag = pe.EmbeddingBag(5, 2, mode="sum", weights=TABLE, include_last_offset=True)
    np.testing.assert_array_equal(bag(IDS, [0, 3, 6]), [[13, 16], [13, 16]])
    assert bag([], [0]).shape == (0, 2)
    with pytest.raises(ValueError, match=r"offsets\[1\] is 3, but .* number of ids, 6"):
        bag(IDS, [0, 3])
    with pytest.raises(ValueError, match="at least the last offset"):
        bag(IDS, np.empty(0, int))


@pytest.mark.parametrize(
    ("ids", "offsets", "error", "message"),
    [
        (IDS, None, ValueError, "need offsets"),
        ([[1, 2]], [0], ValueError, "take no offsets"),
        (1, [0], ValueError, r"not shape \(\)"),
        (IDS, [1, 2], ValueError, r"offsets\[0\] is 1, but the first bag must start at 0"),
        (IDS, [0, 4, 3], ValueError, r"offsets\[2\] is 3, but offsets must ascend"),
        (IDS, [0, 7], ValueError, r"offsets\[1\] is 7, but there are only 6 ids"),
        (IDS, [0, -1], ValueError, r"offsets\[1\] is -1, but offsets must ascend"),
        (IDS, [], ValueError, "offsets is empty, but there are 6 ids"),
        (IDS, [[0, 3]], ValueError, "offsets must have one axis"),
        (IDS, [0.0, 3.0], TypeError, "offsets must be integers"),
        (IDS, np.array([0, 3], np.uint8), TypeError, "int32 or int64, not uint8"),
        (IDS, np.array([0, 3], np.uint64), TypeError, "int32 or int64, not uint64"),
    ],
)
def test_bad_offsets(ids, offsets, error, message):
    bag = pe.EmbeddingBag(5, 2, mode="sum", weights=TABLE)
    with pytest.raises(error, match=message):
        bag(ids, offsets)
    with pytest.raises(error, match=message):
        bag.backward(ids, GRAD, offsets)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (np.ones(6), TypeError, "per_sample_weights must have dtype float32"),
        (np.ones(5, np.float32), ValueError, r"shape \(5,\), but must have shape \(6,\)"),
        (np.ones((6, 1), np.float32), ValueError, r"shape \(6, 1\)"),
    ],
)
def test_bad_weights(weights, error, message):
    bag = pe.EmbeddingBag(5, 2, mode="sum", weights=TABLE)
    with pytest.raises(error, match=message):
        bag(IDS, OFFSETS, weights)
    with pytest.raises(error, match=message):
        bag.backward(IDS, GRAD, OFFSETS, weights)


def test_a_bad_id_names_its_position_in_the_whole_batch():
    bag = pe.EmbeddingBag(5, 2)
    with pytest.raises(IndexError, match=r"id 9 at position \(1, 0\) is outside a table of 5 rows"):
        bag([[1, 2], [9, 0]])
    grad = bag.backward([[1, 2], [9, 0]], np.ones((2, 2), np.float32))
    with pytest.raises(IndexError, match=r"id 9 at position \(1, 0\)"):
        grad.coalesce()


def test_offsets_are_kept_by_value():
    bag = pe.EmbeddingBag(5, 2, mode="sum", weights=TABLE)
    offsets = np.array(OFFSETS)
    grad = bag.backward(IDS, GRAD, offsets)
    offsets[:] = 1000
    np.testing.assert_array_equal(grad.to_dense(), [[3, 4], [5, 8], [0, 0], [1, 2], [3, 4]])


def test_errors_of_ops_name_their_own_arguments():
    with pytest.raises(TypeError, match=r"^weights must have dtype float32, not float64"):
        pe.ops.gather_bag(TABLE, [[1, 2]], None, weights=np.ones((1, 2)))
    with pytest.raises(ValueError, match=r"^mode='max' takes no weights"):
        pe.ops.gather_bag(TABLE, [[1, 2]], None, mode="max", weights=np.ones((1, 2), np.float32))
    with pytest.raises(TypeError, match=r"^rows must have dtype float32, not float64"):
        pe.ops.scatter_add(TABLE.copy(), [1], np.ones((1, 2)))


@pytest.mark.parametrize("mode", ["avg", "", None, 1])
def test_unknown_mode(mode):
    with pytest.raises(ValueError, match=r"mode=.* is none of 'mean', 'sum', 'max', 'sqrtn'"):
        pe.EmbeddingBag(5, 2, mode=mode)
