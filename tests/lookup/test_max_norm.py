import threading

import numpy as np
import pytest

import pyembed as pe

TABLE = np.array([[3.0, 4.0], [0.3, 0.4], [-6.0, 8.0], [30.0, 40.0]])


def looked_up(made, ids, **options):
    """One row an id, from a lookup or from bags of one."""
    if isinstance(made, pe.EmbeddingBag):
        ids = np.reshape(ids, (-1, 1))
    return made(ids, **options)


def rescaled(table, rows, max_norm, p=2.0):
    """The table in float64 after a lookup of these rows."""
    table = table.astype(np.float64)
    for row in set(rows):
        norm = np.linalg.norm(table[row], p)
        if norm > max_norm:
            table[row] *= max_norm / (norm + 1e-7)
    return table


def test_worked_case(layer):
    made = layer(2, 3, weights=[[1, 2, 3], [4, 5, 6]], max_norm=2, norm_type=0.5, dtype="float64")
    expected = [[0.11633651, 0.23267301, 0.34900952], [0.1789842, 0.22373025, 0.2684763]]
    np.testing.assert_allclose(looked_up(made, [0, 1]), expected, rtol=0, atol=5e-9)
    np.testing.assert_allclose(made.embeddings, expected, rtol=0, atol=5e-9)


@pytest.mark.parametrize("p", [0.5, 1, 2.0, 3.5, np.inf])
def test_rows_looked_up_are_rescaled_in_place(layer, threads, dtype, rng, p):
    table = (rng.standard_normal((300, 33)) * rng.random((300, 1))).astype(dtype)
    ids = rng.integers(0, 250, 4000)
    max_norm = np.median(np.linalg.norm(table, p, axis=1))
    made = layer.from_pretrained(table.copy(), max_norm=max_norm, norm_type=p)
    result = looked_up(made, ids)
    np.testing.assert_array_equal(result, made.embeddings[ids])
    tolerance = 2e-6 if dtype == np.float32 else 1e-14
    expected = rescaled(table, ids.tolist(), max_norm, p)
    np.testing.assert_allclose(made.embeddings, expected, rtol=tolerance)
    kept = (expected == table).all(axis=1)  # short enough, or not looked up
    assert 100 < kept.sum() < 250
    np.testing.assert_array_equal(made.embeddings[kept], table[kept])

    pe.set_num_threads(1)  # the fixture sets it back
    alone = layer.from_pretrained(table.copy(), max_norm=max_norm, norm_type=p)
    np.testing.assert_array_equal(looked_up(alone, ids), result)


def test_a_row_is_rescaled_once_however_often_it_is_looked_up(layer):
    once, often = (layer(4, 2, weights=TABLE, max_norm=1.0) for _ in range(2))
    looked_up(once, [0, 2])
    looked_up(often, [2, 0, 2, 2, 0])
    np.testing.assert_array_equal(once.embeddings, often.embeddings)


def test_norms_are_euclidean_unless_said_otherwise(layer):
    made = layer(4, 2, weights=TABLE, max_norm=5.5)
    assert (made.max_norm, made.norm_type) == (5.5, 2.0)
    looked_up(made, [0, 1, 2, 3])  # of norms 5, 0.5, 10 and 50
    np.testing.assert_allclose(
        made.embeddings, [[3, 4], [0.3, 0.4], [-3.3, 4.4], [3.3, 4.4]], rtol=1e-6
    )


def test_a_norm_whose_square_is_past_float32(layer):
    made = layer(1, 2, weights=[[3e30, 4e30]], max_norm=1.0)
    np.testing.assert_allclose(looked_up(made, [0]), [[0.6, 0.8]], rtol=1e-6)


def test_bags_pool_the_rescaled_rows():
    bag = pe.EmbeddingBag(4, 2, weights=TABLE, max_norm=5, mode="sum")
    np.testing.assert_allclose(bag([0, 3, 3, 2], [0, 2]), [[6, 8], [0, 8]], rtol=1e-6)
    np.testing.assert_allclose(bag.embeddings[3], [3, 4], rtol=1e-6)


def test_the_padding_row_is_not_rescaled(layer):
    made = layer(4, 2, weights=TABLE, max_norm=1.0, padding_idx=2)
    looked_up(made, [2, 0])
    np.testing.assert_array_equal(made.embeddings[2], [-6, 8])
    np.testing.assert_allclose(made.embeddings[0], [0.6, 0.8], rtol=1e-6)


@pytest.mark.parametrize(
    ("policy", "rescaled_row"), [("clip", 3), ("wrap", 2), ("zero", None)], ids=str
)
def test_the_row_that_an_id_out_of_range_stands_for(layer, policy, rescaled_row):
    made = layer(4, 2, weights=TABLE, max_norm=5.0, out_of_range=policy)
    looked_up(made, [6])
    changed = (made.embeddings != TABLE.astype(np.float32)).any(axis=1)
    assert np.flatnonzero(changed).tolist() == ([] if rescaled_row is None else [rescaled_row])


def test_it_is_written_into_a_shared_matrix_that_is_not_trained(layer):
    matrix = TABLE.copy()
    made = layer.from_pretrained(matrix, max_norm=5.0)
    looked_up(made, [2])
    np.testing.assert_allclose(matrix[2], [-3, 4], rtol=1e-6)
    np.testing.assert_array_equal(matrix[[0, 1, 3]], TABLE[[0, 1, 3]])


def test_a_read_only_matrix_cannot_be_rescaled(layer):
    matrix = TABLE.copy()
    matrix.flags.writeable = False
    with pytest.raises(ValueError, match="max_norm"):
        layer.from_pretrained(matrix, max_norm=5.0)
    assert layer.from_pretrained(matrix, max_norm=5.0, copy=True).max_norm == 5.0


def test_the_gradient_ignores_it(layer):
    plain, made = layer(4, 2, weights=TABLE), layer(4, 2, weights=TABLE, max_norm=1.0)
    ids = np.array([[0], [3], [0]])
    y = made(ids)
    grad = np.arange(1.0, y.size + 1, dtype=np.float32).reshape(y.shape)
    sparse = made.backward(ids, grad)
    np.testing.assert_array_equal(sparse.to_dense(), plain.backward(ids, grad).to_dense())


def test_backward_does_not_rescale(layer):
    # Not even where it looks at the rows: for the activity's gradient, or the winners of max.
    options = {"activity_regularizer": "l2"}
    if layer is pe.EmbeddingBag:
        options["mode"] = "max"
    made = layer(4, 2, weights=TABLE, max_norm=1.0, **options)
    ids = np.array([[0], [3]])
    shape = (2, 2) if layer is pe.EmbeddingBag else (2, 1, 2)
    made.backward(ids, np.ones(shape, np.float32)).to_dense()
    np.testing.assert_array_equal(made.embeddings, TABLE.astype(np.float32))


def test_a_step_updates_the_rescaled_row():
    emb = pe.Embedding(4, 2, weights=TABLE, max_norm=5.0, dtype="float64")
    opt = pe.SparseSGD(emb, 1.0)
    emb([2])
    opt.step(emb.backward([2], [[1.0, 1.0]]))
    np.testing.assert_allclose(emb.embeddings[2], [-4, 3], rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda emb, bag: emb([0, 4]), IndexError),
        (lambda emb, bag: emb([0.0]), TypeError),
        (lambda emb, bag: emb([0], out=np.empty((9, 9), np.float32)), ValueError),
        (lambda emb, bag: emb([0], out=np.empty((1, 2))), TypeError),
        (lambda emb, bag: emb([0], dropout=1.5, key=1), ValueError),
        (lambda emb, bag: emb([0], dropout=0.5), ValueError),
        (lambda emb, bag: bag([[0, 4]]), IndexError),
        (lambda emb, bag: bag([0, 3]), ValueError),
        (lambda emb, bag: bag([0, 3], [0, 3]), ValueError),
        (lambda emb, bag: bag([[0, 3]], None, np.ones((1, 2))), TypeError),
        (lambda emb, bag: bag([[0, 3]], out=np.empty((2, 2), np.float32)), ValueError),
    ],
)
def test_a_refused_lookup_rescales_nothing(call, error):
    emb, bag = (
        layer(4, 2, weights=TABLE, max_norm=1.0) for layer in (pe.Embedding, pe.EmbeddingBag)
    )
    with pytest.raises(error):
        call(emb, bag)
    for made in (emb, bag):
        np.testing.assert_array_equal(made.embeddings, TABLE.astype(np.float32))


def test_nothing_to_rescale(layer):
    assert looked_up(layer(4, 2, weights=TABLE, max_norm=1.0), np.empty(0, int)).shape == (0, 2)
    assert looked_up(layer(4, 0, max_norm=1.0), [1, 2]).shape == (2, 0)
    made = layer(1, 2, "zeros", max_norm=1.0)
    np.testing.assert_array_equal(looked_up(made, [0]), [[0, 0]])


@pytest.mark.parametrize("value", [0, -1.0, np.nan, np.inf, "2", True, [1.0]])
def test_bad_max_norm(layer, value):
    with pytest.raises(ValueError, match=r"max_norm=.* must be"):
        layer(3, 2, max_norm=value)


@pytest.mark.parametrize("value", [0, -2.0, np.nan, -np.inf, "2", True, None])
def test_bad_norm_type(layer, value):
    with pytest.raises(ValueError, match=r"norm_type=.* must be"):
        layer(3, 2, max_norm=1.0, norm_type=value)


def test_config(layer):
    made = layer(3, 2, max_norm=np.float32(1.5), norm_type=1, seed=0)
    assert made.get_config().items() >= {"max_norm": 1.5, "norm_type": 1.0}.items()
    again = layer.from_config(made.get_config())
    assert (again.max_norm, again.norm_type) == (1.5, 1.0)
    assert layer(3, 2).max_norm is None


def test_many_threads_look_up_one_table(rng):
    table = rng.standard_normal((200, 16)).astype(np.float32)
    emb = pe.Embedding(200, 16, weights=table, max_norm=1.0)
    alone = pe.Embedding(200, 16, weights=table, max_norm=1.0)
    ids = rng.integers(0, 200, 3000)
    expected = alone(ids)
    seen = []
    workers = [threading.Thread(target=lambda: seen.append(emb(ids))) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    # A second lookup may rescale by the last bit, where rounding left a row above the norm.
    for result in seen:
        np.testing.assert_allclose(result, expected, rtol=1e-6)
    assert len(seen) == 6
