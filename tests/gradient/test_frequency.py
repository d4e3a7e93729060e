import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyembed as pe
from strategies import bags_of_ids, floats


def ones(*shape):
    return np.ones(shape)


@pytest.fixture
def emb():
    return pe.Embedding(5, 2, dtype="float64", scale_grad_by_freq=True, padding_idx=4)


def test_each_row_is_divided_by_its_count_in_the_call(emb):
    ids = np.array([[3, 1, 3], [0, 3, 1]])
    grad = np.arange(1.0, 13.0).reshape(2, 3, 2)
    sparse = emb.backward(ids, grad)
    np.testing.assert_array_equal(sparse.ids, [3, 1, 3, 0, 3, 1])
    count = np.array([3, 2, 3, 1, 3, 2])[:, None]
    np.testing.assert_allclose(sparse.values, grad.reshape(6, 2) / count, rtol=1e-15)
    expected = [[7, 8], [(3 + 11) / 2, (4 + 12) / 2], [0, 0], [15 / 3, 18 / 3], [0, 0]]
    np.testing.assert_allclose(sparse.to_dense(), expected, rtol=1e-15)
    coalesced = sparse.coalesce()
    np.testing.assert_allclose(coalesced.values, [expected[row] for row in (0, 1, 3)], rtol=1e-15)
    np.testing.assert_allclose(sparse.norm(), np.linalg.norm(expected), rtol=1e-15)


def test_it_is_counted_by_call_and_kept_in_sums(emb):
    first = emb.backward([1, 1, 2], 6 * ones(3, 2))
    second = emb.backward([1], 5 * ones(1, 2))
    assert (first + second).to_dense()[:, 0].tolist() == [0, 6 + 5, 6, 0, 0]
    assert (second * 2 + first * 0.5).to_dense()[:, 0].tolist() == [0, 10 + 3, 3, 0, 0]


def test_a_step_takes_the_divided_gradient(emb):
    before = emb.embeddings.copy()
    opt = pe.SparseSGD(emb, 1.0)
    opt.step(emb.backward([1, 1, 2], [[2.0, 0.0], [4.0, 0.0], [1.0, 1.0]]))
    moved = before - emb.embeddings
    np.testing.assert_allclose(moved, [[0, 0], [3, 0], [1, 1], [0, 0], [0, 0]], atol=1e-15)


def test_adam_sees_the_divided_gradient(emb):
    other = pe.Embedding(5, 2, weights=emb.embeddings, dtype="float64")
    opts = [pe.SparseAdam(layer, 0.1, epsilon=0.5) for layer in (emb, other)]
    opts[0].step(emb.backward([1, 1], [[1.0, 2.0], [3.0, 4.0]]))
    opts[1].step(other.backward([1], [[2.0, 3.0]]))
    np.testing.assert_allclose(emb.embeddings, other.embeddings, rtol=1e-15)


def test_padding_stays_without_gradient(emb):
    assert emb.backward([4, 1, 4], ones(3, 2)).to_dense()[:, 0].tolist() == [0, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("policy", "expected"), [("clip", [1, 0, 1]), ("wrap", [1, 1, 1]), ("zero", [0, 0, 1])]
)
def test_ids_out_of_range_count_as_the_rows_that_they_stand_for(policy, expected):
    emb = pe.Embedding(3, 1, dtype="float64", scale_grad_by_freq=True, out_of_range=policy)
    dense = emb.backward([-3, 2, 7, 2, -2], ones(5, 1)).to_dense()
    np.testing.assert_allclose(dense[:, 0], expected, rtol=1e-15)


@given(st.data(), st.sampled_from(["sum", "mean", "sqrtn"]), st.booleans())
def test_bags_count_over_the_whole_call(data, mode, weighted):
    ids, offsets = data.draw(bags_of_ids(0, 6))
    padding = data.draw(st.none() | st.integers(0, 5))
    rng = np.random.default_rng(9)
    weights = floats(rng, ids.shape, "f8") if weighted else None
    options = {"mode": mode, "padding_idx": padding, "dtype": "float64"}
    plain = pe.EmbeddingBag(6, 3, **options)
    bag = pe.EmbeddingBag(6, 3, scale_grad_by_freq=True, **options)
    grad = floats(rng, plain(ids, offsets).shape, "f8")
    sparse = bag.backward(ids, grad, offsets, weights)
    unscaled = plain.backward(ids, grad, offsets, weights)
    count = np.maximum(np.bincount(ids.reshape(-1), minlength=6), 1)[:, None]
    np.testing.assert_allclose(sparse.to_dense(), unscaled.to_dense() / count, rtol=1e-12)
    np.testing.assert_array_equal(sparse.ids, unscaled.ids)
    np.testing.assert_allclose(sparse.values, unscaled.values / count[sparse.ids], rtol=1e-14)


def test_large_batches(threads, dtype, rng):
    ids = rng.integers(0, 400, 20_000)
    ids[rng.random(20_000) < 0.3] = 7
    grad = rng.standard_normal((20_000, 5)).astype(dtype)
    emb = pe.Embedding(400, 5, dtype=dtype, scale_grad_by_freq=True)
    dense = emb.backward(ids, grad).to_dense()
    expected = np.zeros((400, 5))
    np.add.at(expected, ids, grad)
    expected /= np.maximum(np.bincount(ids, minlength=400), 1)[:, None]
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(dense, expected, rtol=0, atol=tolerance)
    pe.set_num_threads(1)  # the fixture sets it back
    np.testing.assert_array_equal(emb.backward(ids, grad).to_dense(), dense)


def test_lookups_are_as_ever(layer):
    made, plain = (layer(5, 2, seed=0, scale_grad_by_freq=scale) for scale in (True, False))
    ids = [[1, 1, 2]]
    np.testing.assert_array_equal(made(ids), plain(ids))


def test_a_bad_id_is_still_named(emb):
    with pytest.raises(IndexError, match="id 5 at position 1 is outside a table of 5 rows"):
        emb.backward([1, 5], ones(2, 2)).coalesce()


def test_nothing_to_count(layer):
    made = layer(5, 2, scale_grad_by_freq=True)
    shape = (0, 2) if layer is pe.EmbeddingBag else (0, 3, 2)
    sparse = made.backward(np.empty((0, 3), int), np.empty(shape, np.float32))
    assert sparse.ids.shape == (0,)
    np.testing.assert_array_equal(sparse.to_dense(), 0)


def test_max_pooling_is_refused():
    with pytest.raises(ValueError, match="scale_grad_by_freq"):
        pe.EmbeddingBag(5, 2, mode="max", scale_grad_by_freq=True)


def test_config(layer):
    made = layer(3, 2, scale_grad_by_freq=True)
    assert made.get_config()["scale_grad_by_freq"] is True
    again = layer.from_config(made.get_config())
    assert again.scale_grad_by_freq is True
    assert layer(3, 2).scale_grad_by_freq is False
