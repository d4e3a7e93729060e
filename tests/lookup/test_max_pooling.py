import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyembed as pe
import reference
from strategies import bags_of_ids, floats, tables

TABLE = np.arange(1.0, 11.0, dtype=np.float32).reshape(5, 2)
IDS = [3, 1, 1, 1, 4, 0]
OFFSETS = [0, 0, 3, 3, 6]
GRAD = np.array([[99, 99], [1, 2], [99, 99], [3, 4], [99, 99]], np.float32)


def pooled(table, rows, bounds, grad):
    """The maxima, and the gradient of the table: to the first position of each maximum."""
    out = np.zeros((len(bounds), table.shape[1]), table.dtype)
    dense = np.zeros(table.shape, np.float64)
    winners = set()
    for bag, (begin, end) in enumerate(bounds):
        inside = [row for row in rows[begin:end] if row >= 0]
        if not inside:
            continue
        out[bag] = np.max(table[inside], axis=0)
        for column, first in enumerate(np.argmax(table[inside], axis=0)):
            dense[inside[first], column] += grad[bag, column]
            winners.add(inside[first])
    return out, dense, winners


def scattered(grad):
    dense = np.zeros(grad.shape, grad.dtype)
    np.add.at(dense, grad.ids, grad.values)
    return dense


def test_worked_case():
    bag = pe.EmbeddingBag(5, 2, mode="max", weights=TABLE)
    np.testing.assert_array_equal(bag(IDS, OFFSETS), [[0, 0], [7, 8], [0, 0], [9, 10], [0, 0]])
    grad = bag.backward(IDS, GRAD, OFFSETS)
    np.testing.assert_array_equal(grad.to_dense(), [[0, 0], [0, 0], [0, 0], [1, 2], [3, 4]])
    assert set(grad.ids.tolist()) == {3, 4}
    np.testing.assert_array_equal(scattered(grad), grad.to_dense())


@given(st.data(), st.sampled_from(["raise", "clip", "zero", "wrap"]))
def test_bags_are_numpys_maxima(data, policy):
    # Small integers: many ties.
    table = np.round(data.draw(tables()))
    reach = 0 if policy == "raise" else 2
    ids, offsets = data.draw(bags_of_ids(-reach, len(table) + reach))
    padding = data.draw(st.none() | st.integers(0, len(table) - 1))
    bag = pe.EmbeddingBag.from_pretrained(
        table, trainable=True, mode="max", padding_idx=padding, out_of_range=policy
    )
    bounds = reference.bag_bounds(ids, offsets)
    grad = floats(np.random.default_rng(3), (len(bounds), table.shape[1]), table.dtype)
    rows = reference.resolve(ids, len(table), policy, padding)
    out, dense, winners = pooled(table, rows, bounds, grad)
    np.testing.assert_array_equal(bag(ids, offsets), out)

    sparse = bag.backward(ids, grad, offsets)
    np.testing.assert_allclose(sparse.to_dense(), dense, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(scattered(sparse), dense, rtol=1e-5, atol=1e-5)
    assert set(sparse.ids.tolist()) == winners
    coalesced = sparse.coalesce()
    assert coalesced.ids.tolist() == sorted(winners)
    np.testing.assert_array_equal(scattered(coalesced), sparse.to_dense())


def test_large_batches(threads, dtype, rng):
    table = np.round(4 * rng.standard_normal((500, 33))).astype(dtype)
    lengths = rng.integers(0, 30, 2000)
    lengths[[5, 900]] = 3000
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    ids = rng.integers(0, 500, lengths.sum())
    bag = pe.EmbeddingBag.from_pretrained(table, trainable=True, mode="max", padding_idx=3)
    grad = np.round(9 * rng.standard_normal((2000, 33))).astype(dtype)  # exact in any order
    rows = reference.resolve(ids, 500, padding=3)
    out, dense, _ = pooled(table, rows, reference.bag_bounds(ids, offsets), grad)
    np.testing.assert_array_equal(bag(ids, offsets), out)
    sparse = bag.backward(ids, grad, offsets)
    np.testing.assert_array_equal(sparse.to_dense(), dense)
    np.testing.assert_array_equal(scattered(sparse), dense)


def test_the_first_position_of_a_tie_takes_the_gradient():
    bag = pe.EmbeddingBag(4, 2, mode="max", weights=[[1, 5], [3, 5], [3, 2], [3, 5]])
    grad = bag.backward([[0, 2, 1, 3], [3, 1, 2, 0]], np.array([[1, 2], [10, 20]], np.float32))
    np.testing.assert_array_equal(grad.to_dense(), [[0, 2], [0, 0], [1, 0], [10, 20]])


def test_padding_is_left_out():
    # The padding row is zeros, above all others, which are negative.
    bag = pe.EmbeddingBag(5, 2, mode="max", weights=-TABLE, padding_idx=0)
    bag.embeddings[0] = 0
    ids = [[0, 2, 1], [0, 0, 0]]
    np.testing.assert_array_equal(bag(ids), [[-3, -4], [0, 0]])
    grad = bag.backward(ids, np.ones((2, 2), np.float32))
    np.testing.assert_array_equal(grad.to_dense()[:, 0], [0, 1, 0, 0, 0])
    assert set(grad.ids.tolist()) == {1}


def test_rows_out_of_range_are_left_out_where_they_are_zeros():
    bag = pe.EmbeddingBag(5, 2, mode="max", weights=-TABLE, out_of_range="zero")
    np.testing.assert_array_equal(bag([[7, 2], [-1, 7]]), [[-5, -6], [0, 0]])


def test_empty_bags():
    bag = pe.EmbeddingBag(5, 2, mode="max", weights=-TABLE)
    np.testing.assert_array_equal(bag([1], [0, 1, 1]), [[-3, -4], [0, 0], [0, 0]])
    grad = bag.backward([1], np.ones((3, 2), np.float32), [0, 1, 1])
    np.testing.assert_array_equal(grad.to_dense()[:, 0], [0, 1, 0, 0, 0])
    assert bag(np.empty((3, 0), int)).tolist() == [[0, 0]] * 3
    assert bag(np.empty((0, 3), int)).shape == (0, 2)
    assert bag([], []).shape == (0, 2)
    assert bag.backward([], np.empty((0, 2), np.float32), []).ids.shape == (0,)


def test_rows_of_no_columns():
    bag = pe.EmbeddingBag(5, 0, mode="max")
    assert bag([[1, 2]]).shape == (1, 0)
    assert bag.backward([[1, 2]], np.empty((1, 0), np.float32)).to_dense().shape == (5, 0)


def test_nan_and_infinity(dtype):
    nan, inf = np.nan, np.inf
    table = np.array([[nan, 1, -inf], [2, nan, -inf], [nan, 9, -inf]], dtype)
    bag = pe.EmbeddingBag.from_pretrained(table, trainable=True, mode="max")
    np.testing.assert_array_equal(bag([[0, 1, 2]]), np.max(table, axis=0, keepdims=True))
    np.testing.assert_array_equal(bag([[1, 0]]), [[nan, nan, -inf]])
    grad = bag.backward([[1, 2, 0]], np.array([[1, 2, 3]], dtype))
    np.testing.assert_array_equal(grad.to_dense(), [[0, 0, 0], [0, 2, 3], [1, 0, 0]])


def test_winners_are_fixed_in_backward():
    bag = pe.EmbeddingBag(5, 2, mode="max", weights=TABLE)
    grad = bag.backward(IDS, GRAD, OFFSETS)
    bag.embeddings[:] = -TABLE
    np.testing.assert_array_equal(grad.to_dense(), [[0, 0], [0, 0], [0, 0], [1, 2], [3, 4]])
    after = bag.backward(IDS, GRAD, OFFSETS)
    np.testing.assert_array_equal(after.to_dense(), [[3, 4], [1, 2], [0, 0], [0, 0], [0, 0]])


def test_ids_are_checked_in_backward():
    bag = pe.EmbeddingBag(5, 2, mode="max")
    message = r"id 9 at position \(1, 0\) is outside a table of 5 rows \(valid: 0 to 4\)"
    with pytest.raises(IndexError, match=message):
        bag([[1, 2], [9, 0]])
    with pytest.raises(IndexError, match=message):
        bag.backward([[1, 2], [9, 0]], np.ones((2, 2), np.float32))


def test_a_step_moves_the_winners_alone():
    bag = pe.EmbeddingBag(5, 2, mode="max", weights=TABLE)
    opt = pe.SparseSGD(bag, 0.5, weight_decay=0.5)
    opt.step(bag.backward(IDS, GRAD, OFFSETS))
    np.testing.assert_array_equal(bag.embeddings[:3], TABLE[:3])
    np.testing.assert_array_equal(bag.embeddings[3:], TABLE[3:] * 0.75 - [[0.5, 1], [1.5, 2]])


def test_arithmetic_of_gradients():
    bag = pe.EmbeddingBag(5, 2, mode="max", weights=TABLE)
    total = pe.EmbeddingBag.sharing(bag, mode="sum")
    both = 2 * bag.backward(IDS, GRAD, OFFSETS) + total.backward(IDS, GRAD, OFFSETS)
    expected = np.array([[3, 4], [5, 8], [0, 0], [3, 6], [9, 12]])
    np.testing.assert_array_equal(both.to_dense(), expected)
    np.testing.assert_allclose(both.norm(), np.linalg.norm(expected))


def test_weights_are_refused():
    bag = pe.EmbeddingBag(5, 2, mode="max", weights=TABLE)
    weights = np.ones(6, np.float32)
    for call in (
        lambda: bag(IDS, OFFSETS, weights),
        lambda: bag.backward(IDS, GRAD, OFFSETS, weights),
        lambda: bag.backward_weights(IDS, GRAD, OFFSETS, weights),
        lambda: bag.backward_weights(IDS, GRAD, OFFSETS),
    ):
        with pytest.raises(ValueError, match="mode='max'"):
            call()


@pytest.mark.parametrize(
    ("grad", "error", "message"),
    [
        (GRAD.astype("f8"), TypeError, "grad_output must have dtype float32"),
        (GRAD[:4], ValueError, r"shape \(4, 2\), but must have shape \(5, 2\)"),
    ],
)
def test_bad_grad_output(grad, error, message):
    bag = pe.EmbeddingBag(5, 2, mode="max", weights=TABLE)
    with pytest.raises(error, match=message):
        bag.backward(IDS, grad, OFFSETS)


def test_not_trainable():
    bag = pe.EmbeddingBag.from_pretrained(TABLE, mode="max", name="fixed")
    np.testing.assert_array_equal(bag([[0, 4]]), [[9, 10]])
    with pytest.raises(RuntimeError, match=r"fixed is not trainable \(trainable=False\)"):
        bag.backward([[0, 4]], np.ones((1, 2), np.float32))


def test_ops_gather_bag():
    out = np.empty((5, 2), np.float32)
    assert pe.ops.gather_bag(TABLE, IDS, OFFSETS, mode="max", out=out) is out
    np.testing.assert_array_equal(out, [[0, 0], [7, 8], [0, 0], [9, 10], [0, 0]])


def test_last_offset():
    bag = pe.EmbeddingBag(5, 2, mode="max", weights=TABLE, include_last_offset=True)
    np.testing.assert_array_equal(bag(IDS, [0, 3, 6]), [[7, 8], [9, 10]])
    dense = bag.backward(IDS, GRAD[[1, 3]], [0, 3, 6]).to_dense()
    np.testing.assert_array_equal(dense, [[0, 0], [0, 0], [0, 0], [1, 2], [3, 4]])


def test_config():
    config = pe.EmbeddingBag(5, 2, mode="max").get_config()
    assert config["mode"] == "max"
    assert pe.EmbeddingBag.from_config(config).mode == "max"
