import math

import numpy as np
import pytest

import pyembed as pe


@pytest.fixture
def emb():
    return pe.Embedding(200, 3, "ones", dtype="float64")


def kept(emb, p, key):
    """Which rows of a table of ones are not dropped."""
    return emb(np.arange(emb.input_dim), dropout=p, key=key)[:, 0] != 0


def test_all_occurrences_of_a_row_are_dropped_together(rng):
    emb = pe.Embedding(40, 5, "normal", seed=0, dtype="float64")
    ids = rng.integers(0, 40, (50, 7))
    y = emb(ids, dropout=0.5, key=3)
    assert y.shape == (50, 7, 5)
    dropped = ~(y != 0).any(axis=-1)
    lost = np.unique(ids[dropped])
    assert 5 < len(lost) < 35
    np.testing.assert_array_equal(dropped, np.isin(ids, lost))
    np.testing.assert_array_equal(y[~dropped], 2 * emb(ids)[~dropped])


@pytest.mark.parametrize("p", [0.1, 0.25, 0.9])
def test_kept_rows_make_up_for_the_dropped(dtype, p):
    emb = pe.Embedding(100, 3, "normal", dtype=dtype)
    y = emb(np.arange(100), dropout=p, key=0)
    rows = (y != 0).any(axis=1)
    tolerance = 1e-6 if dtype == np.float32 else 1e-15
    np.testing.assert_allclose(y[rows], emb.embeddings[rows] / (1 - p), rtol=tolerance)
    assert y.dtype == dtype


def test_the_mask_depends_on_key_and_row_alone(emb, threads):
    mask = kept(emb, 0.5, 77)
    assert 60 < mask.sum() < 140
    ids = np.array([[150, 3], [150, 9]], np.uint8)
    np.testing.assert_array_equal(emb(ids, dropout=0.5, key=77)[..., 0] != 0, mask[ids])
    np.testing.assert_array_equal(emb(11, dropout=0.5, key=77)[0] != 0, mask[11])
    other = pe.Embedding(2000, 40, "ones", seed=4)  # of another shape and dtype
    np.testing.assert_array_equal(kept(other, 0.5, 77)[:200], mask)
    other.grow(3000)
    np.testing.assert_array_equal(kept(other, 0.5, 77)[:200], mask)


def test_keys_and_rows_are_independent():
    emb = pe.Embedding(20_000, 1, "ones")
    masks = np.array([kept(emb, 0.3, key) for key in (0, 1, 2, 2**32, 2**63)], float)
    sigma = math.sqrt(0.3 * 0.7 / 20_000)
    np.testing.assert_allclose(masks.mean(axis=1), 0.7, atol=5 * sigma)
    np.testing.assert_allclose(np.corrcoef(masks), np.eye(5), atol=5 / math.sqrt(20_000))
    neighbours = np.corrcoef(masks[0, :-1], masks[0, 1:])[0, 1]
    assert abs(neighbours) < 5 / math.sqrt(20_000)


def test_the_extremes(emb):
    ids = np.arange(200)
    np.testing.assert_array_equal(emb(ids, dropout=0, key=5), emb(ids))
    grad = np.ones((200, 3))
    np.testing.assert_array_equal(
        emb.backward(ids, grad, dropout=0.0, key=5).to_dense(), emb.backward(ids, grad).to_dense()
    )
    emb.embeddings[7] = np.inf
    np.testing.assert_array_equal(emb(ids, dropout=1, key=5), 0.0)
    nothing = emb.backward(ids, grad, dropout=1.0, key=5)
    assert nothing.ids.shape == (0,)
    np.testing.assert_array_equal(nothing.to_dense(), 0.0)


def test_a_dropped_row_has_no_gradient(rng):
    emb = pe.Embedding(200, 3, "ones", dtype="float64", padding_idx=0)
    ids = rng.integers(0, 200, (30, 9))
    grad = rng.standard_normal((30, 9, 3))
    mask = kept(pe.Embedding(200, 3, "ones"), 0.75, 8)
    sparse = emb.backward(ids, grad, dropout=0.75, key=8)
    flat = ids.reshape(-1)
    rows = mask[flat] & (flat != 0)
    np.testing.assert_array_equal(sparse.ids, flat[rows])
    np.testing.assert_allclose(sparse.values, 4 * grad.reshape(-1, 3)[rows], rtol=1e-15)
    expected = np.zeros((200, 3))
    np.add.at(expected, flat[rows], 4 * grad.reshape(-1, 3)[rows])
    np.testing.assert_allclose(sparse.to_dense(), expected, atol=1e-13)
    np.testing.assert_array_equal(sparse.coalesce().ids, np.unique(flat[rows]))


def test_a_step_leaves_dropped_rows_where_they_are(emb):
    mask = kept(emb, 0.5, 1)
    opt = pe.SparseAdam(emb, 0.1, weight_decay=0.5)
    opt.step(emb.backward(np.arange(200), np.ones((200, 3)), dropout=0.5, key=1))
    np.testing.assert_array_equal((emb.embeddings != 1).all(axis=1), mask)
    np.testing.assert_array_equal((emb.embeddings == 1).all(axis=1), ~mask)


def test_each_call_has_its_own_key(emb):
    ids, grad = np.arange(200), np.ones((200, 3))
    both = emb.backward(ids, grad, dropout=0.5, key=1) + emb.backward(ids, grad)
    expected = 1 + 2 * kept(emb, 0.5, 1)
    np.testing.assert_array_equal(both.to_dense()[:, 0], expected)


def test_frequencies_count_and_dropout_scales():
    emb = pe.Embedding(50, 1, "ones", dtype="float64", scale_grad_by_freq=True)
    ids = np.concatenate([np.arange(50), np.arange(25)])
    dense = emb.backward(ids, np.ones((75, 1)), dropout=0.5, key=1).to_dense()
    np.testing.assert_allclose(dense[:, 0], 2.0 * kept(emb, 0.5, 1))


def test_ids_out_of_range():
    ids = np.array([55, -1, 3])
    for policy, rows in (("clip", [49, 0, 3]), ("wrap", [5, 49, 3])):
        emb = pe.Embedding(50, 2, "ones", out_of_range=policy)
        np.testing.assert_array_equal(
            emb(ids, dropout=0.5, key=4)[:, 0] != 0, kept(emb, 0.5, 4)[rows]
        )
    zero = pe.Embedding(50, 2, "ones", out_of_range="zero")
    np.testing.assert_array_equal(zero(ids, dropout=0.0, key=4)[:, 0], [0, 0, 1])
    with pytest.raises(IndexError, match="id 55 at position 0 "):
        pe.Embedding(50, 2)(ids, dropout=0.5, key=4)


def test_max_norm_comes_first():
    emb = pe.Embedding(50, 2, "ones", max_norm=0.5, norm_type=np.inf, dtype="float64")
    y = emb(np.arange(50), dropout=0.5, key=4)
    assert set(np.round(y.ravel(), 6).tolist()) == {0.0, 1.0}


def test_out(emb):
    out = np.full((4, 3), 7.0)
    ids = [1, 5, 9, 13]
    assert emb(ids, out=out, dropout=0.5, key=3) is out
    np.testing.assert_array_equal(out, emb(ids, dropout=0.5, key=3))
    before = np.full((4, 3), 7.0)
    with pytest.raises(IndexError):
        emb([1, 5, 9, 200], out=before, dropout=0.5, key=3)
    np.testing.assert_array_equal(before, 7.0)


def test_large_batches(threads, dtype, rng):
    table = rng.standard_normal((3000, 33)).astype(dtype)
    emb = pe.Embedding.from_pretrained(table, trainable=True)
    ids = rng.integers(0, 3000, 20_000)
    y = emb(ids, dropout=0.5, key=9)
    mask = kept(pe.Embedding(3000, 1, "ones"), 0.5, 9)
    np.testing.assert_array_equal(y, table[ids] * (2 * mask[ids, None]).astype(dtype))
    grad = rng.standard_normal((20_000, 33)).astype(dtype)
    sparse = emb.backward(ids, grad, dropout=0.5, key=9)
    np.testing.assert_array_equal(sparse.ids, ids[mask[ids]])
    np.testing.assert_array_equal(sparse.values, 2 * grad[mask[ids]])


def test_empty_batches(emb):
    assert emb([], dropout=0.5, key=3).shape == (0, 3)
    assert emb.backward([], np.empty((0, 3)), dropout=0.5, key=3).ids.shape == (0,)
    assert pe.Embedding(4, 0)([1, 2], dropout=0.5, key=3).shape == (2, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dropout": 0.5}, "key"),
        ({"dropout": 0.5, "key": None}, "key"),
        ({"key": 3}, "dropout"),
        ({"dropout": -0.1, "key": 3}, "dropout=-0.1 must be"),
        ({"dropout": 1.1, "key": 3}, "dropout=1.1 must be"),
        ({"dropout": np.nan, "key": 3}, "dropout=nan must be"),
        ({"dropout": "0.5", "key": 3}, "dropout='0.5' must be"),
        ({"dropout": True, "key": 3}, "dropout=True must be"),
        ({"dropout": 0.5, "key": -1}, "key=-1 must be an integer"),
        ({"dropout": 0.5, "key": 2**64}, f"key={2**64} must be an integer"),
        ({"dropout": 0.5, "key": 1.0}, "key=1.0 must be an integer"),
        ({"dropout": 0.5, "key": True}, "key=True must be an integer"),
        ({"dropout": 0.5, "key": "1"}, "key='1' must be an integer"),
    ],
)
def test_bad_arguments(emb, options, message):
    out = np.full((1, 3), 7.0)
    with pytest.raises(ValueError, match=message):
        emb([1], out=out, **options)
    np.testing.assert_array_equal(out, 7.0)
    with pytest.raises(ValueError, match=message):
        emb.backward([1], np.ones((1, 3)), **options)


def test_numpy_numbers_are_numbers(emb):
    np.testing.assert_array_equal(
        emb([1, 2, 3, 4], dropout=np.float32(0.5), key=np.uint64(2**63)),
        emb([1, 2, 3, 4], dropout=0.5, key=2**63),
    )


def test_bags_take_none():
    with pytest.raises(TypeError, match="dropout"):
        pe.EmbeddingBag(3, 2)([[1]], dropout=0.5, key=1)
