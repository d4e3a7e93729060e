import threading

import numpy as np
import pytest

import pyembed as pe
from kinds import LAZY, OPTIMIZERS
from pyembed import _core

MATRIX = np.arange(1.0, 11.0).reshape(5, 2)


@pytest.fixture
def emb():
    return pe.Embedding(5, 2, weights=MATRIX, dtype="float64")


def ones(*shape):
    return np.ones(shape)


@pytest.mark.parametrize(
    "rows",
    [
        [3, 1],
        (1, 3, 3),
        np.array([[3], [1]], np.uint8),
        np.array([1, 3], ">i4"),
        np.array([3, 9, 1, 9], np.uint64)[::2],
    ],
)
def test_any_integers_name_rows(layer, rows):
    made = layer(5, 2)
    made.freeze(rows)
    np.testing.assert_array_equal(made.frozen_rows, np.array([1, 3]), strict=True)
    assert made.frozen_rows.dtype == np.int64


def test_rows_are_added_and_taken_away(emb):
    assert emb.frozen_rows.shape == (0,)
    assert emb.frozen_rows.dtype == np.int64
    emb.freeze(4)
    emb.freeze([])
    emb.freeze([0, 4])
    emb.freeze(np.arange(2))
    assert emb.frozen_rows.tolist() == [0, 1, 4]
    emb.unfreeze([1, 2])
    assert emb.frozen_rows.tolist() == [0, 4]
    emb.unfreeze([])
    assert emb.frozen_rows.tolist() == [0, 4]
    emb.unfreeze(4)
    assert emb.frozen_rows.tolist() == [0]
    emb.freeze([2])
    emb.unfreeze()
    assert emb.frozen_rows.tolist() == []


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([1, 5], IndexError, "5"),
        ([1, -1], IndexError, "-1"),
        (5, IndexError, "5"),
        (np.array([2**64 - 1], np.uint64), IndexError, str(2**64 - 1)),
        ([1.0], TypeError, "integers"),
        (np.empty(0), TypeError, "integers"),
        ([True, False, False, False, False], TypeError, "integers"),
        (["1"], TypeError, "integers"),
    ],
)
def test_what_names_no_rows(emb, rows, error, message):
    emb.freeze([2])
    for method in (emb.freeze, emb.unfreeze):
        with pytest.raises(error, match=message):
            method(rows)
        assert emb.frozen_rows.tolist() == [2]


def test_no_rows_take_no_memory():
    emb = pe.Embedding(2**50, 0, "zeros")  # a bit for each row were 128 TiB
    emb.freeze([])
    emb.unfreeze()
    assert emb.frozen_rows.tolist() == []


def test_none_freezes_nothing(emb):
    with pytest.raises(TypeError):
        emb.freeze(None)
    with pytest.raises(TypeError):
        emb.freeze()


@pytest.mark.parametrize("policy", ["clip", "zero", "wrap"])
def test_rows_are_no_ids(policy):
    emb = pe.Embedding(5, 2, out_of_range=policy)
    with pytest.raises(IndexError):
        emb.freeze([5])


def test_a_frozen_row_has_no_gradient(emb):
    emb.freeze([1, 3])
    grad = emb.backward([[1, 2], [3, 2]], np.arange(8.0).reshape(2, 2, 2))
    assert grad.ids.tolist() == [2, 2]
    assert grad.values.tolist() == [[2, 3], [6, 7]]
    assert grad.to_dense().tolist() == [[0, 0], [0, 0], [8, 10], [0, 0], [0, 0]]
    assert grad.coalesce().ids.tolist() == [2]
    assert grad.norm() == np.hypot(8, 10)
    emb.unfreeze([1])
    assert emb.backward([1, 3], ones(2, 2)).ids.tolist() == [1]


def test_lookups_are_as_ever(layer):
    made = layer(5, 2, weights=MATRIX)
    made.freeze([1])
    np.testing.assert_array_equal(made([[1]]).reshape(2), MATRIX[1])
    made.embeddings[1] = [7, 8]  # what the user writes counts
    np.testing.assert_array_equal(made([[1]]).reshape(2), [7, 8])


@pytest.mark.parametrize("name", LAZY)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"embeddings_regularizer": "l2"},
        {"embeddings_constraint": "non_neg"},
        {"embeddings_constraint": "unit_norm"},
        {"embeddings_constraint": lambda w: 0 * w},
        {"max_norm": 0.5},
    ],
    ids=["", "regularizer", "by row", "by column", "a user's", "max_norm"],
)
def test_a_frozen_row_never_moves(name, options):
    emb = pe.Embedding(5, 2, weights=-MATRIX, **options)
    before = emb.embeddings.copy()
    opt = OPTIMIZERS[name](emb)
    emb.freeze([1, 3])
    for ids in ([1, 0], [1, 1, 3], [2, 3, 4]):
        opt.step(emb.backward(ids, np.full(emb(ids).shape, 0.25, np.float32)))
    np.testing.assert_array_equal(emb.embeddings[[1, 3]], before[[1, 3]])
    assert (emb.embeddings[[0, 2, 4]] != before[[0, 2, 4]]).all()


@pytest.mark.parametrize("name", LAZY)
def test_its_state_stands_still_too(name):
    """Once unfrozen, a row goes on as if the steps between had not had it."""
    frozen, absent = (pe.Embedding(5, 2, weights=MATRIX) for _ in range(2))
    opts = [OPTIMIZERS[name](layer) for layer in (frozen, absent)]
    for ids, thawed in (([1, 2], True), ([1, 2, 1], False), ([1], False), ([2, 1], True)):
        grad = np.full((len(ids), 2), 0.25, np.float32)
        if thawed:
            frozen.unfreeze()
            opts[1].step(absent.backward(ids, grad))
        else:
            frozen.freeze([1])
            rest = [id for id in ids if id != 1]
            opts[1].step(absent.backward(np.array(rest, int), grad[: len(rest)]))
        opts[0].step(frozen.backward(ids, grad))
        np.testing.assert_array_equal(frozen.embeddings, absent.embeddings)


@pytest.mark.parametrize("name", LAZY)
def test_freezing_counts_for_gradients_made_before(emb, name):
    opt = OPTIMIZERS[name](emb)
    grad = emb.backward([1, 2], ones(2, 2))
    emb.freeze([1])
    opt.step(grad)
    np.testing.assert_array_equal(emb.embeddings[1], MATRIX[1])
    assert (emb.embeddings[2] != MATRIX[2]).all()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_freezing_from_within_a_step_counts_for_all_of_it(name):
    first, second = (pe.Embedding(5, 2, weights=MATRIX) for _ in range(2))
    opt = OPTIMIZERS[name]([first, second])
    rates = iter([lambda: 0.5, lambda: first.freeze([1]) or 0.5])
    opt.learning_rate = lambda t: next(rates)()
    opt.step(*(layer.backward([1, 2], ones(2, 2).astype(np.float32)) for layer in (first, second)))
    opt.learning_rate = 0.5
    opt.step(first.backward([2], ones(1, 2).astype(np.float32)))
    np.testing.assert_array_equal(first.embeddings[1], MATRIX[1])
    assert (second.embeddings[1] != MATRIX[1]).all()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_freezing_waits_for_a_step_in_another_thread(name, monkeypatch):
    emb = pe.Embedding(5, 2, weights=MATRIX)
    opt = OPTIMIZERS[name](emb)
    grad = emb.backward([1, 2], ones(2, 2).astype(np.float32))
    frozen = []

    def freeze():
        emb.freeze([1])
        frozen.append(emb._table.array[1].copy())

    freezer = threading.Thread(target=freeze)
    step = _core.step

    def slowly(*arguments):
        freezer.start()
        freezer.join(0.05)
        step(*arguments)

    monkeypatch.setattr(_core, "step", slowly)
    opt.step(grad)
    freezer.join()
    monkeypatch.undo()
    assert (frozen[0] != MATRIX[1]).all()
    opt.step(grad)
    np.testing.assert_array_equal(emb.embeddings[1], frozen[0])


def test_all_rows_frozen(emb):
    emb.freeze(range(5))
    opt = pe.SparseSGD(emb, 0.5, weight_decay=0.5)
    grad = emb.backward([1, 2], ones(2, 2))
    assert grad.ids.shape == (0,)
    assert grad.values.shape == (0, 2)
    opt.step(grad)
    np.testing.assert_array_equal(emb.embeddings, MATRIX)


@pytest.mark.parametrize("mode", ["sum", "mean", "sqrtn"])
def test_in_a_bag_a_frozen_row_counts_in_sum_and_divisor(mode):
    plain, bag = (pe.EmbeddingBag(5, 2, weights=MATRIX, mode=mode) for _ in range(2))
    bag.freeze([1])
    ids = [1, 2, 2, 1, 4]
    weights = np.array([3, 1, 2, 5, 4], np.float32)
    grad = np.array([[1, 2], [3, 4]], np.float32)
    for args in ((ids, [0, 3], weights), (ids, [0, 3])):
        np.testing.assert_array_equal(bag(*args), plain(*args))
        expected = plain.backward(args[0], grad, *args[1:])
        sparse = bag.backward(args[0], grad, *args[1:])
        assert sparse.ids.tolist() == [2, 2, 4]
        np.testing.assert_array_equal(sparse.values, expected.values[[1, 2, 4]])
        dense = expected.to_dense()
        dense[1] = 0
        np.testing.assert_array_equal(sparse.to_dense(), dense)
        np.testing.assert_array_equal(
            bag.backward_weights(args[0], grad, *args[1:]),
            plain.backward_weights(args[0], grad, *args[1:]),
        )


def test_a_frozen_row_may_win_a_bag():
    bag = pe.EmbeddingBag(5, 2, weights=MATRIX, mode="max")
    bag.freeze([4])
    np.testing.assert_array_equal(bag([[1, 4], [1, 2]]), [MATRIX[4], MATRIX[2]])
    grad = bag.backward([[1, 4], [1, 2]], np.ones((2, 2), np.float32))
    assert set(grad.ids.tolist()) == {2}
    np.testing.assert_array_equal(grad.to_dense()[:, 0], [0, 0, 1, 0, 0])


def test_large_batches(threads, dtype, rng):
    emb = pe.Embedding(500, 20, seed=0, dtype=dtype)
    frozen = rng.permutation(500)[:250]
    emb.freeze(frozen)
    before = emb.embeddings.copy()
    ids = rng.integers(0, 500, 8000)
    grad = rng.standard_normal((8000, 20)).astype(dtype)
    sparse = emb.backward(ids, grad)
    kept = ~np.isin(ids, frozen)
    np.testing.assert_array_equal(sparse.ids, ids[kept])
    np.testing.assert_array_equal(sparse.values, grad[kept])
    pe.SparseAdam(emb, 0.1, weight_decay=0.1).step(sparse)
    np.testing.assert_array_equal(emb.embeddings[frozen], before[frozen])
    moved = (emb.embeddings != before).any(axis=1)
    np.testing.assert_array_equal(np.flatnonzero(moved), np.unique(ids[kept]))
