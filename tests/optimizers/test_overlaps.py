"""Gradients, ids, weights and states that lie in what a step or a load overwrites."""

import numpy as np
import pytest

import pyembed as pe


@pytest.fixture
def pair(dtype):
    u = pe.Embedding(2, 2, dtype=dtype, weights=[[1, 2], [3, 4]])
    v = pe.Embedding(2, 2, dtype=dtype, weights=[[10, 20], [30, 40]])
    return u, v


def test_two_tables_are_each_others_gradients(pair):
    u, v = pair
    opt = pe.SparseSGD(pair, 1.0)
    rows = np.arange(2)
    opt.step(u.backward(rows, v.embeddings), v.backward(rows, u.embeddings))
    assert u.embeddings.tolist() == [[-9, -18], [-27, -36]]
    assert v.embeddings.tolist() == [[9, 18], [27, 36]]


def test_a_table_is_its_own_gradient(pair):
    u, _ = pair
    opt = pe.SparseSGD(u, 0.5)
    opt.step(u.backward([1, 0, 1], u.embeddings[[0, 1, 1]]))  # a copy
    u.embeddings[:] = [[1, 2], [3, 4]]
    opt.step(u.backward([1, 0], u.embeddings))
    assert u.embeddings.tolist() == [[-0.5, 0], [2.5, 3]]


def test_a_gradient_that_is_the_state(pair):
    u, _ = pair
    opt = pe.SparseSGD(u, 1.0, momentum=0.5)
    opt.step(u.backward([0, 1], np.array([[1, 2], [3, 4]], u.dtype)))
    assert u.embeddings.tolist() == [[0, 0], [0, 0]]
    buffer = opt.state_dict()["tables"][0]["momentum"]
    opt.step(u.backward([1, 0], buffer))
    assert buffer.tolist() == [[3.5, 5], [2.5, 4]]
    assert u.embeddings.tolist() == [[-3.5, -5], [-2.5, -4]]


def test_ids_and_weights_in_the_table():
    emb = pe.Embedding(4, 2, dtype="float64", weights=[[0, 0], [2, 3], [1, 1], [5, 7]])
    rows = emb.embeddings
    rows[0] = np.array([1, 3], np.int64).view(np.float64)
    ids, weights = rows[0].view(np.int64), rows[1]
    assert ids.tolist() == [1, 3]
    bag = pe.EmbeddingBag.sharing(emb, mode="sum")
    opt = pe.SparseSGD(emb, 1.0)
    # Its own ids' row has a gradient too: of ids that must not change under way.
    more = emb.backward([0], np.ones((1, 2)))
    opt.step(bag.backward(ids, np.ones((1, 2)), [0], weights), more)
    assert rows[1].tolist() == [0, 1]
    assert rows[3].tolist() == [2, 4]


def test_tables_that_overlap_in_one_optimizer():
    matrix = np.zeros((6, 2), np.float32)
    make = pe.Embedding.from_pretrained
    first = make(matrix[:4], trainable=True, name="first")
    second = make(matrix[3:], trainable=True, name="second")
    with pytest.raises(ValueError, match="tables of first and second overlap in memory"):
        pe.SparseSGD([first, second])
    third = make(matrix[4:], trainable=True)
    pe.SparseSGD([first, third]).release()
    columns = np.zeros((4, 4), np.float32)
    left, right = make(columns[:, :2], trainable=True), make(columns[:, 2:], trainable=True)
    opt = pe.SparseSGD([left, right], 1.0)
    ones = np.ones((1, 2), np.float32)
    opt.step(left.backward([1], ones), right.backward([2], ones * 2))
    assert columns.tolist() == [[0] * 4, [-1, -1, 0, 0], [0, 0, -2, -2], [0] * 4]


def test_a_state_of_its_own_live_views_in_another_order(pair):
    opt = pe.SparseAdam(pair, 0.1)
    grads = [np.full((1, 2), value, pair[0].dtype) for value in (1, 2)]
    opt.step(*(layer.backward([0], grad) for layer, grad in zip(pair, grads, strict=True)))
    opt.step(pair[1].backward([1], grads[1]))
    state = opt.state_dict()
    first, second = ({"t": s["t"], "m": s["m"].copy()} for s in state["tables"])
    opt.load_state_dict({**state, "tables": state["tables"][::-1]})
    now = opt.state_dict()["tables"]
    for found, given in zip(now, (second, first), strict=True):
        assert found["t"] == given["t"]
        np.testing.assert_array_equal(found["m"], given["m"])


@pytest.mark.parametrize("mode", ["m", "v"])
def test_a_state_with_its_own_moments_exchanged(pair, mode):
    opt = pe.SparseAdam(pair[0], 0.1)
    opt.step(pair[0].backward([0], np.full((1, 2), 3, pair[0].dtype)))
    state = opt.state_dict()
    (table,) = state["tables"]
    kept = {name: table[name].copy() for name in ("m", "v")}
    other = "v" if mode == "m" else "m"
    opt.load_state_dict({**state, "tables": [{**table, "m": table["v"], "v": table["m"]}]})
    np.testing.assert_array_equal(opt.state_dict()["tables"][0][mode], kept[other])
