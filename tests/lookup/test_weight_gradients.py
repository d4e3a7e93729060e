import numpy as np
import pytest

import pyembed as pe
import reference

TABLE = np.arange(1.0, 11.0).reshape(5, 2)


def weight_gradient(table, rows, bounds, grad, mode, weights):
    """d(grad · output) / d(weights), by the quotient rule, in float64."""
    table, grad = table.astype(np.float64), grad.astype(np.float64)
    result = np.zeros(len(rows))
    for bag, (begin, end) in enumerate(bounds):
        inside = [p for p in range(begin, end) if rows[p] >= 0]
        w, x = weights[inside], table[rows[inside]] @ grad[bag]
        if mode == "sum":
            result[inside] = x
        elif mode == "mean" and w.sum() != 0:
            result[inside] = (x - (w @ x) / w.sum()) / w.sum()
        elif mode == "sqrtn" and (w != 0).any():
            square = w @ w
            result[inside] = x / np.sqrt(square) - (w @ x) * w / square**1.5
    return result


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        # Rows (1, 2), (3, 4), (9, 10) against the gradient (1, 1): 3, 7 and 19.
        ("sum", [[3.0, 7.0, 19.0]]),
        # Weights 1, 2, 1: the mean is 36 / 4 = 9.
        ("mean", [[-6 / 4, -2 / 4, 10 / 4]]),
        # √6 below, and 36 above.
        ("sqrtn", [[3 / 6**0.5 - 6 / 6**0.5, 7 / 6**0.5 - 12 / 6**0.5, 19 / 6**0.5 - 6 / 6**0.5]]),
    ],
)
def test_by_hand(mode, expected):
    bag = pe.EmbeddingBag(5, 2, weights=TABLE, mode=mode, dtype="float64")
    result = bag.backward_weights([[0, 1, 4]], np.ones((1, 2)), None, np.array([[1.0, 2.0, 1.0]]))
    np.testing.assert_allclose(result, expected, rtol=1e-14)


@pytest.mark.parametrize("mode", ["mean", "sqrtn"])
def test_a_divisor_of_zero_gives_zeros(mode):
    bag = pe.EmbeddingBag(5, 2, weights=TABLE, mode=mode, dtype="float64", padding_idx=0)
    weights = np.array([[2.0, -2.0, 9.0], [0.0, 0.0, 9.0]])
    ids = np.array([[1, 2, 0], [3, 4, 0]])
    result = bag.backward_weights(ids, np.ones((2, 2)), None, weights)
    np.testing.assert_array_equal(result[1], 0.0)
    np.testing.assert_array_equal(result[0] == 0, [mode == "mean", mode == "mean", True])


def test_offsets_and_their_forms(rng):
    ids, weights = np.array([3, 1, 1, 4, 0, 2]), rng.random(6)
    grad = rng.standard_normal((3, 2))
    bag = pe.EmbeddingBag(5, 2, weights=TABLE, dtype="float64")
    last = pe.EmbeddingBag.sharing(bag, include_last_offset=True)
    expected = bag.backward_weights(ids, grad, [0, 2, 2], weights)
    np.testing.assert_array_equal(
        last.backward_weights(ids.tolist(), grad, np.array([0, 2, 2, 6], np.int32), weights),
        expected,
    )
    np.testing.assert_array_equal(
        bag.backward_weights(
            ids, grad_output=grad, offsets=[0, 2, 2], per_sample_weights=weights.tolist()
        ),
        expected,
    )


def test_it_needs_no_trainable_table():
    bag = pe.EmbeddingBag.from_pretrained(TABLE, mode="sum")
    assert not bag.trainable
    assert bag.backward_weights([[0, 1]], np.ones((1, 2))).tolist() == [[3, 7]]


def test_empty_batches():
    bag = pe.EmbeddingBag(5, 2)
    assert bag.backward_weights([], np.empty((0, 2), np.float32), []).shape == (0,)
    assert bag.backward_weights([], np.ones((1, 2), np.float32), [0]).shape == (0,)
    empty = bag.backward_weights(np.empty((3, 0), int), np.ones((3, 2), np.float32))
    assert empty.shape == (3, 0)
    narrow = pe.EmbeddingBag(5, 0).backward_weights([[1, 2]], np.empty((1, 0), np.float32))
    np.testing.assert_array_equal(narrow, [[0, 0]])


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        (([[0, 5]], np.ones((1, 2))), IndexError, r"id 5 at position \(0, 1\) is outside"),
        (([[0.5]], np.ones((1, 2))), TypeError, "ids must be integers"),
        (([[0, 1]], np.ones((1, 2), "f4")), TypeError, "grad_output must have dtype float64"),
        (([[0, 1]], np.ones((2, 2))), ValueError, r"shape \(2, 2\), but must have shape \(1, 2\)"),
        (([0, 1], np.ones((1, 2))), ValueError, "need offsets"),
        (([0, 1], np.ones((1, 2)), [1]), ValueError, r"offsets\[0\] is 1"),
        (
            ([[0, 1]], np.ones((1, 2)), None, np.ones((1, 2), "f4")),
            TypeError,
            "per_sample_weights must have dtype float64",
        ),
        (
            ([[0, 1]], np.ones((1, 2)), None, np.ones(2)),
            ValueError,
            r"shape \(2,\), but must have shape \(1, 2\)",
        ),
    ],
)
def test_bad_arguments(args, error, message):
    bag = pe.EmbeddingBag(5, 2, dtype="float64")
    with pytest.raises(error, match=message):
        bag.backward_weights(*args)


def test_input_length():
    bag = pe.EmbeddingBag(5, 2, dtype="float64", input_length=3)
    with pytest.raises(ValueError, match="input_length=3"):
        bag.backward_weights([[0, 1]], np.ones((1, 2)))


@pytest.mark.parametrize("mode", ["sum", "mean", "sqrtn"])
def test_large_batches(threads, dtype, rng, mode):
    table = rng.standard_normal((500, 33)).astype(dtype)
    lengths = rng.integers(0, 20, 2000)
    lengths[[5, 900]] = 3000
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    ids = rng.integers(0, 500, lengths.sum())
    weights = (rng.random(len(ids)) + 0.5).astype(dtype)
    grad = rng.standard_normal((2000, 33)).astype(dtype)
    bag = pe.EmbeddingBag.from_pretrained(table, mode=mode, padding_idx=3)
    result = bag.backward_weights(ids, grad, offsets, weights)
    rows = reference.resolve(ids, 500, padding=3)
    bounds = reference.bag_bounds(ids, offsets)
    expected = weight_gradient(table, rows, bounds, grad, mode, weights.astype(float))
    tolerance = 2e-4 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance)
    pe.set_num_threads(1)  # the fixture sets it back
    np.testing.assert_array_equal(bag.backward_weights(ids, grad, offsets, weights), result)
