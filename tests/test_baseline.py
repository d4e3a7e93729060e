import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyembed as pe
from pyembed.baseline import Adam, OneHotDense
from strategies import arrays_of_ids


@given(st.data())
def test_forward_is_indexing_and_backward_is_add_at(data):
    rows, dim = data.draw(st.integers(1, 20)), data.draw(st.integers(0, 9))
    ids = data.draw(arrays_of_ids(rows))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    # Small whole numbers: their sums are exact, whatever the order.
    table = rng.integers(-99, 99, (rows, dim)).astype(float)
    grad = rng.integers(-99, 99, (*ids.shape, dim)).astype(float)
    dense = OneHotDense(rows, dim, weights=table, dtype="float64")
    index = ids.astype(np.int64)
    np.testing.assert_array_equal(dense(ids), table[index], strict=True)
    expected = np.zeros_like(table)
    np.add.at(expected, index, grad)
    np.testing.assert_array_equal(dense.backward(ids, grad), expected, strict=True)


def test_one_hot():
    dense = OneHotDense(3, 2)
    np.testing.assert_array_equal(dense.one_hot([[2, 0]]), [[0, 0, 1], [1, 0, 0]])
    assert dense.one_hot([]).shape == (0, 3)
    assert dense([]).shape == (0, 2)
    assert dense(1).shape == (2,)


def test_it_starts_as_the_layer_does(dtype):
    dense = OneHotDense(9, 5, "normal", dtype=dtype, seed=3)
    layer = pe.Embedding(9, 5, "normal", dtype=dtype, seed=3)
    np.testing.assert_array_equal(dense.embeddings, layer.embeddings, strict=True)


def test_weights_are_copied_and_cast():
    weights = np.ones((3, 2), int)
    dense = OneHotDense(3, 2, weights=weights)
    weights[:] = 7
    np.testing.assert_array_equal(dense.embeddings, np.ones((3, 2), np.float32), strict=True)
    with pytest.raises(ValueError, match=r"shape \(2, 3\), but must have shape \(3, 2\)"):
        OneHotDense(3, 2, weights=np.ones((2, 3)))


def test_a_one_hot_matrix_that_would_not_fit_is_refused_by_its_bytes():
    ids = np.arange(10)
    assert OneHotDense(100, 2, memory_limit=4000)(ids).shape == (10, 2)
    dense = OneHotDense(100, 2, memory_limit=3999)
    message = "one-hot matrix of 10 ids over 100 rows needs 4000 bytes .* only 3999 are available"
    with pytest.raises(MemoryError, match=message):
        dense(ids)
    with pytest.raises(MemoryError, match=message):
        dense.backward(ids, np.zeros((10, 2)))
    # Without a limit given, what the machine has: 16 TiB is more.
    with pytest.raises(MemoryError, match=f"needs {2**44} bytes"):
        OneHotDense(2**22, 1, "zeros")(np.zeros(2**20, int))


@pytest.mark.parametrize("ids", [[0, 3], [-1], np.array([2**64 - 1], np.uint64)])
def test_ids_outside_the_table(ids):
    dense = OneHotDense(3, 2)
    message = rf"id {ids[-1]} is outside a table of 3 rows \(valid: 0 to 2\)"
    with pytest.raises(IndexError, match=message):
        dense(ids)
    with pytest.raises(IndexError, match=message):
        dense.backward(ids, np.zeros((len(ids), 2)))


@pytest.mark.parametrize("ids", [[0.0], [True], ["0"], None, np.empty(0)])
def test_ids_must_be_integers(ids):
    with pytest.raises(TypeError, match="ids must be integers"):
        OneHotDense(3, 2)(ids)


@pytest.mark.parametrize("shape", [(2, 3), (3, 2, 4), (6, 4), (2, 3, 5)])
def test_a_gradient_of_another_shape(shape):
    with pytest.raises(ValueError, match="shape"):
        OneHotDense(9, 4).backward([[0, 1, 2], [3, 4, 5]], np.zeros(shape))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((0, 2), ValueError),
        ((3, -1), ValueError),
        ((3.0, 2), ValueError),
        ((3, 2, "glorot"), ValueError),
    ],
)
def test_bad_arguments_of_the_layer(arguments, error):
    with pytest.raises(error):
        OneHotDense(*arguments)
    with pytest.raises(TypeError, match="dtype"):
        OneHotDense(3, 2, dtype="float16")


def test_adam_worked_case():
    w = np.zeros(1)
    opt = Adam(w, 0.01, 0.9, 0.99, 0.01)
    for expected in (-0.00990099, -0.01983060):
        opt.step([10.0])
        np.testing.assert_allclose(w, [expected], rtol=0, atol=5e-9)


def test_adam_is_the_loop_over_elements():
    rng = np.random.default_rng(5)
    arrays = [rng.standard_normal((4, 3)), rng.standard_normal(2)]
    opt = Adam(arrays, 0.1, 0.8, 0.9, 1e-3, weight_decay=0.25)
    w = [x for array in arrays for x in array.reshape(-1).tolist()]
    m, v = [0.0] * len(w), [0.0] * len(w)
    for t in range(1, 21):
        grads = [rng.standard_normal(array.shape) for array in arrays]
        opt.step(*grads)
        for i, g in enumerate(x for grad in grads for x in grad.reshape(-1).tolist()):
            m[i] = 0.8 * m[i] + 0.2 * g
            v[i] = 0.9 * v[i] + 0.1 * g * g
            rate = 0.1 * math.sqrt(1 - 0.9**t) / (1 - 0.8**t)
            w[i] = w[i] * (1 - 0.1 * 0.25) - rate * m[i] / (math.sqrt(v[i]) + 1e-3)
    np.testing.assert_allclose(np.concatenate([a.reshape(-1) for a in arrays]), w, rtol=1e-12)
    assert opt.t == 20


def test_adam_is_sparse_adam_where_every_row_has_a_gradient(dtype):
    rng = np.random.default_rng(6)
    emb = pe.Embedding(4, 3, seed=1, dtype=dtype)
    w = emb.embeddings.copy()
    arguments = {"learning_rate": 0.1, "weight_decay": 0.25}
    dense, sparse = Adam(w, **arguments), pe.SparseAdam(emb, **arguments)
    for _ in range(20):
        grad = rng.standard_normal((4, 3)).astype(dtype)
        dense.step(grad)
        sparse.step(emb.backward([0, 1, 2, 3], grad))
    assert w.dtype == dtype
    np.testing.assert_allclose(w, emb.embeddings, rtol=1e-5 if dtype == np.float32 else 1e-13)


@pytest.mark.parametrize(
    ("grads", "error", "message"),
    [
        ((), ValueError, "shapes"),
        ((np.ones((2, 3)),), ValueError, "shapes"),
        ((np.ones((2, 3)), np.ones(4), np.ones(4)), ValueError, "shapes"),
        ((np.ones((2, 3)), np.ones(1)), ValueError, r"\(1,\)"),
        ((np.ones((3, 2)), np.ones(4)), ValueError, r"\(3, 2\)"),
        ((np.ones((2, 3)), np.ones(4) * 1j), TypeError, "must be real numbers"),
        ((np.ones((2, 3)), np.full(4, "1")), TypeError, "must be real numbers"),
    ],
)
def test_a_refused_step_changes_nothing(grads, error, message):
    arrays = [np.ones((2, 3)), np.ones(4)]
    opt = Adam(arrays, weight_decay=0.5)
    opt.step(np.ones((2, 3)), np.ones(4))
    before = [array.copy() for array in [*arrays, *opt.m, *opt.v]]
    with pytest.raises(error, match=message):
        opt.step(*grads)
    assert opt.t == 1
    for now, then in zip([*arrays, *opt.m, *opt.v], before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"learning_rate": -0.1}, "learning_rate=-0.1"),
        ({"beta_1": 1.0}, "beta_1=1.0"),
        ({"beta_2": -0.5}, "beta_2=-0.5"),
        ({"epsilon": np.nan}, "epsilon=nan"),
        ({"weight_decay": -1}, "weight_decay=-1"),
        ({"learning_rate": 0.5, "weight_decay": 2.0}, "weight_decay"),
    ],
)
def test_bad_arguments_of_adam(arguments, message):
    with pytest.raises(ValueError, match=message):
        Adam(np.ones(3), **arguments)


def test_adam_updates_only_arrays_that_it_can():
    with pytest.raises(TypeError, match="array 1 must be an ndarray of a float dtype"):
        Adam([np.ones(2), np.ones(2, int)])
    with pytest.raises(TypeError, match="array 0 must be an ndarray"):
        Adam([[1.0, 2.0]])
    frozen = np.ones(2)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="array 0 is read-only"):
        Adam(frozen)
