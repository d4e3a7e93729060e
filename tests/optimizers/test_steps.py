"""What a step is made of: several gradients, a rate that is called."""

import pickle

import numpy as np
import pytest

import pyembed as pe
from formulas import ADAM


@pytest.mark.parametrize(
    "make",
    [lambda e, lr: pe.SparseAdam(e, lr), pe.SparseSGD, pe.SparseFTRL, pe.SparseLion],
)
def test_a_learning_rate_that_is_called_with_t(make):
    seen = []

    def rate(t):
        seen.append(t)
        return 0.1 / t

    by_call, by_hand = (pe.Embedding(3, 2, seed=0) for _ in range(2))
    calling, setting = make(by_call, rate), make(by_hand, 0.1)
    for t in (1, 2, 3):
        grad = np.ones((2, 2), np.float32)
        calling.step(by_call.backward([0, 2], grad))
        setting.learning_rate = 0.1 / t
        setting.step(by_hand.backward([0, 2], grad))
    assert seen == [1, 2, 3]
    np.testing.assert_array_equal(by_call.embeddings, by_hand.embeddings)


def test_gradients_of_several_batches_are_one_step(dtype, rng):
    whole, parts = (pe.Embedding(30, 4, seed=0, dtype=dtype) for _ in range(2))
    at_once, in_two = pe.SparseAdam(whole, **ADAM), pe.SparseAdam(parts, **ADAM)
    for _ in range(3):
        ids = rng.integers(0, 30, (2, 20))
        dy = rng.standard_normal((2, 20, 4)).astype(dtype)  # of the mean loss of each half
        at_once.step(whole.backward(ids, dy / 2))
        total = parts.backward(ids[0], dy[0]) + parts.backward(ids[1], dy[1])
        in_two.step(total * 0.5)
    np.testing.assert_array_equal(parts.embeddings, whole.embeddings)


@pytest.mark.parametrize("update", ["lazy", "exact"])
def test_clipped_accumulated_gradients_at_a_scheduled_rate(update, rng):
    emb = pe.Embedding(30, 4, seed=0, dtype="float64")
    rate = pe.schedules.Warmup(0.1, 3)
    opt = pe.SparseAdam(emb, rate, update=update)
    w = emb.embeddings.copy()
    dense = pe.baseline.Adam(w)
    every_row = np.arange(30)  # for which lazy and dense Adam are the same
    for t in range(1, 6):
        ids = rng.permutation(np.concatenate([every_row, rng.integers(0, 30, 30)])).reshape(2, -1)
        dy = rng.standard_normal((2, 30, 4))
        total = emb.backward(ids[0], dy[0]) + emb.backward(ids[1], dy[1])
        opt.step((total * 0.5).clip_norm(0.5))

        g = np.zeros((30, 4))
        np.add.at(g, ids, dy / 2)
        assert np.linalg.norm(g) > 0.5
        dense.learning_rate = rate(t)
        dense.step(g * (0.5 / np.linalg.norm(g)))
        np.testing.assert_allclose(emb.embeddings, w, rtol=1e-9)


@pytest.mark.parametrize(
    "make",
    [lambda e: pe.SparseSGD(e, 0.1, 0.9), lambda e: pe.SparseAdam(e, step_bias="row")],
    ids=["momentum", "adam by row"],
)
def test_training_goes_on_where_memory_was_pickled_by_itself(make):
    emb = pe.Embedding(3, 2, seed=0)
    opt = make(emb)
    opt.step(emb.backward([0, 1], np.ones((2, 2), np.float32)))
    memory = []
    data = pickle.dumps((emb, opt), 5, buffer_callback=memory.append)
    copies = pickle.loads(data, buffers=[bytes(each) for each in memory])  # read-only
    for layer, optimizer in ((emb, opt), copies):
        optimizer.step(layer.backward([1, 2], np.ones((2, 2), np.float32)))
    np.testing.assert_array_equal(copies[0].embeddings, emb.embeddings)
