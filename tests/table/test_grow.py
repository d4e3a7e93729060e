import functools
import signal
import threading

import numpy as np
import pytest

import pyembed as pe
from alarms import Alarm
from kinds import LAZY

MATRIX = np.arange(1.0, 7.0).reshape(3, 2)

SEEDED = [
    "zeros",
    "ones",
    pe.initializers.Constant(2.5),
    "uniform",
    "normal",
    "truncated_normal",
    "identity",
    pe.initializers.RandomUniform(-1, 2, seed=7),
]


@pytest.mark.parametrize("initializer", SEEDED, ids=str)
@pytest.mark.parametrize("dim", [1, 33])
def test_a_grown_table_is_one_made_whole(layer, dtype, initializer, dim):
    made = layer(30, dim, initializer, dtype=dtype, seed=5)
    made.grow(41)
    made.grow(1000)
    whole = layer(1000, dim, initializer, dtype=dtype, seed=5)
    np.testing.assert_array_equal(made.embeddings, whole.embeddings, strict=True)


# Ones whose scale, or all of whose values, depend on the table's shape.
@pytest.mark.parametrize("name", ["glorot_uniform", "he_normal", "lecun_normal", "orthogonal"])
def test_new_rows_are_those_of_the_larger_table(name):
    initializer = pe.initializers.get(name, 3)
    emb = pe.Embedding(30, 4, initializer)
    old = emb.embeddings.copy()
    emb.grow(50)
    np.testing.assert_array_equal(emb.embeddings[:30], old)
    np.testing.assert_array_equal(emb.embeddings[30:], initializer((50, 4))[30:])


def test_new_rows_of_a_callable(dtype):
    emb = pe.Embedding(
        2, 3, lambda shape, dtype: np.arange(np.prod(shape)).reshape(shape), dtype=dtype
    )
    emb.embeddings[:] = -1
    emb.grow(4)
    expected = np.array([[-1] * 3, [-1] * 3, [6, 7, 8], [9, 10, 11]], dtype)
    np.testing.assert_array_equal(emb.embeddings, expected, strict=True)


def test_values_stay_and_new_ids_are_valid(layer):
    made = layer(3, 2, "ones", weights=MATRIX)
    with pytest.raises(IndexError):
        made([[3]])
    made.grow(np.int64(5))
    assert made.input_dim == 5
    assert made.embeddings.shape == (5, 2)
    assert made.get_config()["input_dim"] == 5
    assert "input_dim=5" in repr(made)
    np.testing.assert_array_equal(made.embeddings, [[1, 2], [3, 4], [5, 6], [1, 1], [1, 1]])
    np.testing.assert_array_equal(made([[4], [0]]).reshape(2, 2), [[1, 1], [1, 2]])
    with pytest.raises(IndexError, match=r"outside a table of 5 rows \(valid: 0 to 4\)"):
        made([[5]])


def test_the_same_size_changes_nothing(layer):
    made = layer(3, 2, weights=MATRIX)
    view = made.embeddings
    made.grow(3)
    assert made.input_dim == 3
    assert np.shares_memory(view, made.embeddings)
    np.testing.assert_array_equal(made.embeddings, MATRIX)


@pytest.mark.parametrize("rows", [2, 0, -1, 4.0, 3.7, "4", None, True, [4], 2**63])
def test_bad_sizes_change_nothing(layer, rows):
    made = layer(3, 2, weights=MATRIX)
    view = made.embeddings
    with pytest.raises(ValueError, match="new_input_dim="):
        made.grow(rows)
    assert made.input_dim == 3
    assert np.shares_memory(view, made.embeddings)
    np.testing.assert_array_equal(made.embeddings, MATRIX)


def test_a_size_past_the_address_space_changes_nothing():
    emb = pe.Embedding(3, 2, weights=MATRIX)
    opt = pe.SparseAdam(emb)
    with pytest.raises((ValueError, MemoryError)):
        emb.grow(2**62)
    assert emb.input_dim == 3
    np.testing.assert_array_equal(emb.embeddings, MATRIX)
    opt.step(emb.backward([2], np.ones((1, 2), np.float32)))


def test_an_initializer_that_makes_no_table_changes_nothing():
    emb = pe.Embedding(3, 2, lambda shape, dtype: np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"shape \(3, 2\), but must have shape"):
        emb.grow(5)
    assert emb.input_dim == 3
    assert emb([2]).shape == (1, 2)
    with pytest.raises(IndexError):
        emb([3])


def test_an_old_view_is_valid_and_no_longer_live(layer):
    made = layer(3, 2, weights=MATRIX)
    view = made.embeddings
    made.grow(4)
    assert not np.shares_memory(view, made.embeddings)
    np.testing.assert_array_equal(view, MATRIX)
    view[:] = -1
    np.testing.assert_array_equal(made.embeddings[:3], MATRIX)
    made.embeddings[0] = 9
    np.testing.assert_array_equal(view, -1)
    made.embeddings *= 2
    np.testing.assert_array_equal(made.embeddings[0], 18)


def test_an_old_view_outlives_its_layer():
    emb = pe.Embedding(3, 2, weights=MATRIX)
    view = emb.embeddings
    emb.grow(1000)
    del emb
    pe.release_memory()
    np.testing.assert_array_equal(view, MATRIX)


@pytest.mark.parametrize("name", LAZY)
def test_training_goes_on_as_in_a_table_made_whole(name, dtype, rng):
    growing, whole = (pe.Embedding(rows, 7, seed=1, dtype=dtype) for rows in (30, 50))
    opts = [LAZY[name](layer) for layer in (growing, whole)]
    for step in range(9):
        if step == 5:
            growing.grow(50)
        ids = rng.integers(0, 30 if step < 5 else 50, 60)
        grad = rng.standard_normal((60, 7)).astype(dtype)
        for layer, opt in zip((growing, whole), opts, strict=True):
            opt.step(layer.backward(ids, grad))
    np.testing.assert_array_equal(growing.embeddings, whole.embeddings)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system")
@pytest.mark.parametrize("arguments", [{}, {"update": "exact"}, {"step_bias": "row"}], ids=str)
def test_an_interrupt_at_any_time_leaves_table_and_state_in_step(arguments):
    alarm = Alarm()
    delay, interrupted = 0.0, True
    try:
        while interrupted:
            emb = pe.Embedding(30_000, 64, "zeros")
            opt = pe.SparseAdam(emb, 0.1, **arguments)
            delay += 1e-3
            interrupted = alarm.rings_in(functools.partial(emb.grow, 60_000), delay)
            last = emb.input_dim - 1
            opt.step(emb.backward([last], np.ones((1, 64), np.float32)))
            np.testing.assert_allclose(emb([last]), -0.1, rtol=1e-5)
            assert opt.state_dict()["tables"][0]["m"][last, 0] > 0
    finally:
        alarm.restore()


@pytest.mark.parametrize("is_trained", [True, False])
def test_a_table_grows_for_one_thread_after_the_other(is_trained):
    grower = threading.Thread(target=lambda: emb.grow(8))

    def slowly(shape, dtype):
        if shape == (6, 2):
            grower.start()
            grower.join(0.05)
        return np.ones(shape, dtype)

    emb = pe.Embedding(3, 2, slowly)
    opt = pe.SparseAdam(emb, 0.1) if is_trained else None
    emb.grow(6)
    grower.join()
    assert emb.input_dim == 8
    opt = opt or pe.SparseAdam(emb, 0.1)
    opt.step(emb.backward([7], np.ones((1, 2), np.float32)))
    np.testing.assert_allclose(emb.embeddings, [[1, 1]] * 7 + [[0.9, 0.9]], rtol=1e-5)


@pytest.mark.parametrize("arguments", [{}, {"update": "exact"}, {"step_bias": "row"}], ids=str)
def test_a_table_waits_with_growing_for_an_optimizer_that_is_being_made(arguments, monkeypatch):
    emb = pe.Embedding(3, 2, "ones")
    grower = threading.Thread(target=lambda: emb.grow(8))
    new_state = pe.SparseAdam._new_state

    def slowly(self, *arguments):
        state = new_state(self, *arguments)
        if grower.ident is None:  # else it comes here itself
            grower.start()
            grower.join(0.05)
        return state

    monkeypatch.setattr(pe.SparseAdam, "_new_state", slowly)
    opt = pe.SparseAdam(emb, 0.1, **arguments)
    grower.join()
    assert emb.input_dim == 8
    opt.step(emb.backward([7], np.ones((1, 2), np.float32)))
    np.testing.assert_allclose(emb.embeddings, [[1, 1]] * 7 + [[0.9, 0.9]], rtol=1e-5)


def test_only_the_table_that_grows_is_touched(rng):
    def train(grow):
        first, second = pe.Embedding(3, 2, seed=1), pe.Embedding(4, 2, seed=2)
        opt = pe.SparseAdam([first, second], 0.1)
        for step in range(4):
            grad = np.full((2, 2), step + 1, np.float32)
            opt.step(first.backward([0, 2], grad), second.backward([1, 3], grad))
            if step == 1 and grow:
                first.grow(9)
        return first.embeddings[:3], second.embeddings

    for grown, plain in zip(train(True), train(False), strict=True):
        np.testing.assert_array_equal(grown, plain)


def test_an_optimizer_made_after_and_one_released_before():
    emb = pe.Embedding(3, 2, "zeros")
    pe.SparseAdam(emb).release()
    emb.grow(5)
    opt = pe.SparseAdam(emb, 0.5)
    opt.step(emb.backward([4], np.ones((1, 2), np.float32)))
    np.testing.assert_allclose(emb.embeddings[4], -0.5, rtol=1e-5)


def test_a_gradient_made_before_is_still_its_tables():
    emb = pe.Embedding(3, 2, "zeros")
    opt = pe.SparseSGD(emb, 1.0)
    grad = emb.backward([1, 1], np.ones((2, 2), np.float32))
    emb.grow(5)
    assert grad.shape == (5, 2)
    assert grad.to_dense()[:, 0].tolist() == [0, 2, 0, 0, 0]
    opt.step(grad + emb.backward([4], np.ones((1, 2), np.float32)))
    assert emb.embeddings[:, 0].tolist() == [0, -2, 0, 0, -1]


def test_all_layers_of_the_table_grow():
    emb = pe.Embedding(3, 2, "ones", weights=MATRIX)
    bag = pe.EmbeddingBag.sharing(emb, mode="sum")
    other = pe.Embedding.sharing(bag)
    bag.grow(5)
    for layer in (emb, bag, other):
        assert layer.input_dim == 5
        assert np.shares_memory(layer.embeddings, bag.embeddings)
    np.testing.assert_array_equal(emb([4, 0]), [[1, 1], [1, 2]])
    np.testing.assert_array_equal(bag([[4, 0]]), [[2, 3]])
    pe.SparseSGD(emb, 1.0).step(bag.backward([[4]], np.ones((1, 2), np.float32)))
    np.testing.assert_array_equal(other([4]), [[0, 0]])


def test_the_padding_row_stays_where_it_was(layer):
    made = layer(3, 2, "ones", padding_idx=-1)
    made.grow(5)
    assert made.padding_idx == 2
    np.testing.assert_array_equal(made.embeddings[:, 0], [1, 1, 0, 1, 1])
    again = layer.from_config(made.get_config())
    assert again.padding_idx == 2


def test_frozen_rows_stay_frozen(layer):
    made = layer(3, 2)
    made.freeze([0, 2])
    made.grow(200)
    assert made.frozen_rows.tolist() == [0, 2]
    made.freeze([199])
    made.unfreeze([0])
    assert made.frozen_rows.tolist() == [2, 199]


@pytest.mark.parametrize(("policy", "row"), [("clip", 4), ("wrap", 2), ("zero", None)])
def test_the_range_of_ids_is_the_new_one(policy, row):
    emb = pe.Embedding(3, 2, "ones", weights=MATRIX, out_of_range=policy)
    emb.grow(5)
    expected = [0, 0] if row is None else emb.embeddings[row]
    np.testing.assert_array_equal(emb(7), expected)


def test_options_go_on():
    emb = pe.Embedding(
        3, 2, "ones", max_norm=0.5, norm_type=np.inf, scale_grad_by_freq=True, trainable=False
    )
    emb.grow(5)
    assert not emb.trainable
    np.testing.assert_allclose(emb([4]), [[0.5, 0.5]], rtol=1e-6)
    emb.trainable = True
    grad = emb.backward([4, 4], np.ones((2, 2), np.float32))
    assert grad.to_dense()[4].tolist() == [1, 1]


@pytest.mark.parametrize("writeable", [True, False])
def test_a_pretrained_matrix_is_left_alone(layer, writeable):
    matrix = MATRIX.copy()
    matrix.flags.writeable = writeable
    made = layer.from_pretrained(matrix, embeddings_initializer="ones")
    made.grow(4)
    assert not np.shares_memory(matrix, made.embeddings)
    np.testing.assert_array_equal(made.embeddings, [*MATRIX, [1, 1]])
    assert made.embeddings.dtype == np.float64
    made.embeddings[0] = -1
    np.testing.assert_array_equal(matrix, MATRIX)
    made.trainable = True
    opt = pe.SparseSGD(made, 1.0)
    ids = np.array([[3]])
    opt.step(made.backward(ids, np.ones(made(ids).shape)))
    np.testing.assert_array_equal(made.embeddings[3], [0, 0])


def test_rows_with_a_gap_between_them():
    matrix = np.arange(15.0).reshape(3, 5)[:, 1:3]
    emb = pe.Embedding.from_pretrained(matrix, embeddings_initializer="zeros")
    emb.grow(4)
    np.testing.assert_array_equal(emb.embeddings, [*matrix, [0, 0]])


def test_rows_of_no_columns(layer):
    made = layer(3, 0)
    made.grow(7)
    assert made.embeddings.shape == (7, 0)
    assert made([[6]]).shape[-1] == 0


def test_lookups_go_on_while_the_table_grows():
    emb = pe.Embedding(3, 64, "ones")
    bag = pe.EmbeddingBag.sharing(emb, mode="sum")
    ids = np.zeros((300, 4), int)
    wrong = []
    done = threading.Event()

    def look():
        while not done.is_set():
            wrong.append((emb(ids) != 1).any() or (bag(ids) != 4).any())

    workers = [threading.Thread(target=look) for _ in range(3)]
    for worker in workers:
        worker.start()
    for rows in range(4, 200):
        emb.grow(rows)
        emb.embeddings[rows - 1] = 7
    done.set()
    for worker in workers:
        worker.join()
    assert wrong
    assert not any(wrong)
    assert emb.input_dim == 199
    np.testing.assert_array_equal(emb.embeddings[3:], 7)
