import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyembed as pe
import reference
from pyembed import _core
from strategies import ROUNDING_OF_SUMS, arrays_of_ids, floats, tables


@given(st.data())
def test_ids_values_and_coalesce(data):
    table = data.draw(tables())
    ids = data.draw(arrays_of_ids(len(table)))
    grad_output = floats(np.random.default_rng(5), (*ids.shape, table.shape[1]), table.dtype)
    emb = pe.Embedding.from_pretrained(table, trainable=True)
    grad = emb.backward(ids, grad_output)

    flat = ids.reshape(-1).astype(np.int64)
    values = grad_output.reshape(ids.size, table.shape[1])
    assert grad.shape == table.shape
    assert grad.dtype == table.dtype
    np.testing.assert_array_equal(grad.ids, flat, strict=True)
    np.testing.assert_array_equal(grad.values, values, strict=True)

    unique, sums = reference.coalesce(flat, values)
    coalesced = grad.coalesce()
    np.testing.assert_array_equal(coalesced.ids, unique, strict=True)
    np.testing.assert_array_equal(coalesced.values, sums, strict=True)
    np.testing.assert_allclose(grad.norm(), np.linalg.norm(sums.astype(float)), rtol=1e-6)
    np.testing.assert_array_equal(coalesced.to_dense(), grad.to_dense())


@given(st.data())
def test_to_dense_equals_the_one_hot_gradient(data):
    table = data.draw(tables())
    ids = data.draw(arrays_of_ids(len(table)))
    grad_output = floats(np.random.default_rng(6), (*ids.shape, table.shape[1]), table.dtype)
    grad = pe.Embedding.from_pretrained(table, trainable=True).backward(ids, grad_output)
    dense = pe.baseline.OneHotDense(*table.shape, weights=table, dtype="float64")
    expected = dense.backward(ids, grad_output)
    atol = ROUNDING_OF_SUMS[table.dtype]
    for method in ("auto", "sorted", "atomic"):
        np.testing.assert_allclose(grad.to_dense(method=method), expected, rtol=1e-5, atol=atol)


@pytest.fixture
def emb():
    return pe.Embedding(6, 2, dtype="float64", padding_idx=0)


def ones(n):
    return np.ones((n, 2))


def test_addition_keeps_the_order(emb):
    both = emb.backward([1, 2], ones(2)) + emb.backward([2, 3], 2 * ones(2))
    assert both.ids.tolist() == [1, 2, 2, 3]
    assert both.values[:, 0].tolist() == [1, 1, 2, 2]
    assert both.to_dense()[:, 0].tolist() == [0, 1, 3, 2, 0, 0]


def test_scaling_a_plain_and_a_bag_gradient(emb):
    grad = 3.0 * emb.backward([1, 2], ones(2)) * np.float32(0.5)
    assert grad.values.tolist() == [[1.5, 1.5]] * 2
    bag = pe.EmbeddingBag(6, 2, mode="mean", dtype="float64")
    scaled = bag.backward([[1, 2]], ones(1), None, np.array([[1.0, 3.0]])) * 4
    assert scaled.values[:, 0].tolist() == [1.0, 3.0]


def test_padding_is_left_out(emb):
    grad = emb.backward([0, 1, 0, 5], np.arange(8.0).reshape(4, 2))
    assert grad.ids.tolist() == [1, 5]
    assert grad.values.tolist() == [[2, 3], [6, 7]]
    assert emb.backward([0, 0], ones(2)).norm() == 0.0


def test_ids_out_of_range_as_the_policy_says():
    for policy, rows in [("clip", [0, 5]), ("wrap", [4, 1]), ("zero", [])]:
        emb = pe.Embedding(6, 2, out_of_range=policy, dtype="float64")
        assert emb.backward([-2, 7], ones(2)).ids.tolist() == rows


def test_clip_norm(emb):
    grad = emb.backward([1, 1, 2], [[1.0, 0.0], [2.0, 0.0], [0.0, 4.0]])  # rows 3, 4: norm 5
    assert grad.norm() == 5.0
    assert grad.clip_norm(10).values.tolist() == grad.values.tolist()
    np.testing.assert_allclose(grad.clip_norm(1).norm(), 1.0)
    assert grad.clip_norm(0).norm() == 0.0
    with pytest.raises(ValueError, match="max_norm=-1 must be a finite number >= 0"):
        grad.clip_norm(-1)


def test_clip_global_norm():
    one = pe.Embedding(3, 1, dtype="float64").backward([1], [[3.0]])
    other = pe.Embedding(9, 1, dtype="float64").backward([8], [[4.0]])
    clipped = pe.clip_global_norm([one, other], 2.5)
    assert [grad.values.item() for grad in clipped] == [1.5, 2.0]
    assert [grad.shape for grad in clipped] == [(3, 1), (9, 1)]


def test_clip_global_norm_takes_any_iterable_of_gradients(emb):
    grads = [emb.backward([1], [[3.0, 4.0]])]
    (clipped,) = pe.clip_global_norm(iter(grads), 1.0)
    np.testing.assert_allclose(clipped.values, [[0.6, 0.8]])
    with pytest.raises(TypeError, match="gradient 0 must be a SparseGrad, not int"):
        pe.clip_global_norm([1], 1.0)


def test_a_nan_norm_is_not_hidden(emb):
    grad = emb.backward([1, 2], [[np.nan, 1.0], [1.0, 1.0]]).clip_norm(1.0)
    assert np.isnan(grad.values).all()


def test_values_are_read_only_and_coalesced_memory_is_its_own(emb):
    source = ones(2)
    grad = emb.backward([1, 2], source)
    coalesced = grad.coalesce()
    with pytest.raises(ValueError, match="read-only"):
        grad.values[0] = 7.0
    source[:] = 9.0
    assert coalesced.values.tolist() == [[1, 1], [1, 1]]
    assert grad.to_dense()[1].tolist() == [9, 9]  # borrowed: backward copied nothing


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("count", [0, 3, 5000, 200_000])  # of ids: few beside the rows, or many
@pytest.mark.parametrize("strided", [False, True])
def test_to_dense_of_a_table_of_many_ranges(threads, count, strided, dtype):
    rng = np.random.default_rng(3)
    ids = np.minimum(rng.zipf(1.3, count) - 1, 59_999)
    grad_output = rng.integers(-3, 4, (count, 9)).astype(dtype)
    expected = np.zeros((60_000, 9), dtype)
    np.add.at(expected, ids, grad_output)
    table = np.zeros((60_000, 9), dtype)
    grad = pe.Embedding.from_pretrained(table, trainable=True).backward(ids, grad_output)
    out = np.full((60_000, 9 + strided), 7, dtype)
    before = pe.get_num_threads()
    try:
        pe.set_num_threads(threads)
        grad.to_dense(out=out[:, :9])
        new = grad.to_dense()
    finally:
        pe.set_num_threads(before)
    np.testing.assert_array_equal(out[:, :9], expected)
    np.testing.assert_array_equal(new, expected)
    assert np.all(out[:, 9:] == 7)


def test_new_dense_gradients_do_not_share_their_memory(emb):
    grad = emb.backward([1], ones(1))
    upstream = np.ones((1, 2), np.float32)
    large = pe.Embedding(50_000, 2, "zeros").backward([1], upstream)  # in memory that is reused
    for one in (grad, large):
        first, second = one.to_dense(), one.to_dense()
        assert not np.shares_memory(first, second)
        first[:] = 5
        del first
        third = one.to_dense()
        assert third.sum() == second.sum() == 2


def test_to_dense_writes_over_out(emb):
    out = np.full((6, 2), 7.0)
    assert emb.backward([1], ones(1)).to_dense(out=out) is out
    assert out[:, 0].tolist() == [0, 1, 0, 0, 0, 0]
    out[:] = 7.0
    emb.backward([1], ones(1)).to_dense(out=out, method="atomic")
    assert out[:, 0].tolist() == [0, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("method", ["sorted", "atomic"])
def test_to_dense_refuses_and_changes_nothing(emb, method):
    out = np.full((6, 2), 7.0)
    with pytest.raises(IndexError, match="id 6 at position 1 is outside a table of 6 rows"):
        emb.backward([1, 6], ones(2)).to_dense(out=out, method=method)
    with pytest.raises(ValueError, match="out overlaps grad_output in memory"):
        emb.backward([1, 2], out[:2]).to_dense(out=out, method=method)
    assert (out == 7.0).all()
    table = emb.embeddings.copy()
    with pytest.raises(ValueError, match="out overlaps the table in memory"):
        emb.backward([1, 2], ones(2)).to_dense(out=emb.embeddings, method=method)
    np.testing.assert_array_equal(emb.embeddings, table)
    with pytest.raises(TypeError, match="out must have dtype float64"):
        emb.backward([1], ones(1)).to_dense(out=out.astype("f4"), method=method)
    with pytest.raises(ValueError, match="method='quick' is none of"):
        emb.backward([1], ones(1)).to_dense(method="quick")


@pytest.mark.parametrize(
    ("grad_output", "error", "message"),
    [
        (np.ones((2, 2), np.float32), TypeError, "grad_output must have dtype float64"),
        (np.ones((2, 2), int), TypeError, "grad_output must have dtype float64"),
        (np.ones((2, 3)), ValueError, r"shape \(2, 3\), but must have shape \(2, 2\)"),
        (np.ones((3, 2)), ValueError, r"shape \(3, 2\), but must have shape \(2, 2\)"),
    ],
)
def test_bad_grad_output_is_refused_in_backward(emb, grad_output, error, message):
    with pytest.raises(error, match=message):
        emb.backward([1, 2], grad_output)


def test_odd_layouts_of_grad_output(emb, rng):
    whole = rng.standard_normal((2, 4))
    for grad_output in (whole[:, ::2], whole[::-1, :2], np.asfortranarray(whole[:, :2])):
        np.testing.assert_array_equal(emb.backward([1, 2], grad_output).values, grad_output)
    broadcast = np.broadcast_to([1.0, 2.0], (2, 3, 2))
    assert emb.backward([[1, 2, 3]] * 2, broadcast).to_dense()[3].tolist() == [2, 4]


def test_only_gradients_of_one_table_add_up(emb):
    other = pe.Embedding(6, 2, dtype="float64").backward([1], ones(1))
    with pytest.raises(ValueError, match="two different tables"):
        emb.backward([1], ones(1)) + other
    with pytest.raises(TypeError):
        emb.backward([1], ones(1)) + 1
    with pytest.raises(TypeError):
        emb.backward([1], ones(1)) * "2"


@pytest.mark.parametrize("dim", [1, 5])
def test_the_core_refuses_a_gradient_of_another_width(dim):
    table = _core.Table(np.ones((4, 3), np.float32))
    call = _core.BackwardCall([1], np.ones((1, dim), np.float32), dim, "float32")
    message = f"grad_output has rows of {dim} elements, but those of the table have 3"
    with pytest.raises(ValueError, match=message):
        _core.coalesce(table, (call,))
    state = _core.State(np.zeros((4, 0, 3), np.float32))
    with pytest.raises(ValueError, match=message):
        _core.step([_core.Update(table, [call], _core.Rule("sgd"), state, 0.1)])
    assert state.t == 0
    with pytest.raises(ValueError, match=message):
        _core.to_dense(table, (call,), np.zeros((4, 3), np.float32), "atomic")


@pytest.mark.parametrize("value", [1e200, 1e-200])
def test_a_norm_whose_square_is_out_of_range(value):
    emb = pe.Embedding(4, 2, dtype="float64")
    grad = emb.backward([1, 3], np.array([[value, 2 * value], [2 * value, 4 * value]]))
    assert grad.norm() == pytest.approx(5 * value, rel=1e-15)
    with np.errstate(all="raise"):
        assert grad.norm() == pytest.approx(5 * value, rel=1e-15)
    clipped = grad.clip_norm(value)
    np.testing.assert_allclose(
        clipped.values, [[value / 5, value / 2.5], [value / 2.5, value / 1.25]]
    )
    both = pe.clip_global_norm([grad, grad * 0], value)
    assert both.norm == pytest.approx(5 * value, rel=1e-15)
    np.testing.assert_array_equal(both[0].values, clipped.values)


def test_a_norm_past_float64():
    emb = pe.Embedding(4, 2, dtype="float64")
    grad = emb.backward([1, 3], np.full((2, 2), 1.5e308))
    assert grad.norm() == np.inf
    assert emb.backward([1], np.full((1, 2), 1e308)).norm() == pytest.approx(2**0.5 * 1e308)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_reaches_the_clipped_gradient(emb, value):
    upstream = np.ones((2, emb.output_dim), emb.dtype)
    upstream[1, 0] = value
    norm = emb.backward([1, 2], upstream).norm()
    assert norm == value or np.isnan(norm)
    clipped = emb.backward([1, 2], upstream).clip_norm(1.0)
    assert np.isnan(clipped.values[1, 0])
    (joint,) = pe.clip_global_norm([emb.backward([1, 2], upstream)], 1.0)
    assert np.isnan(joint.values[1, 0])


NUMBERS = (
    3,
    3.0,
    np.float32(3),
    np.float64(3),
    np.int8(3),
    np.uint64(3),
    np.array(3),
    np.array(3.0),
)


@pytest.mark.parametrize("number", NUMBERS, ids=repr)
def test_arithmetic_with_numbers_of_any_kind(number, dtype):
    emb = pe.Embedding(4, 2, dtype=dtype)
    grad = emb.backward([1, 3], np.array([[6, 9], [12, 3]], dtype))
    assert (grad * number).values.tolist() == [[18, 27], [36, 9]]
    assert (number * grad).values.tolist() == [[18, 27], [36, 9]]
    assert np.allclose((grad / number).values, [[2, 3], [4, 1]])


def test_arithmetic_with_tensors_without_axes():
    torch = pytest.importorskip("torch")
    emb = pe.Embedding(4, 2)
    grad = emb.backward([1], np.array([[6, 9]], np.float32))
    assert (grad * torch.tensor(2.0)).values.tolist() == [[12, 18]]
    assert (grad / torch.tensor(3)).values.tolist() == [[2, 3]]


def test_sums_and_differences():
    emb = pe.Embedding(4, 2, "zeros")
    first = emb.backward([1], np.array([[1, 2]], np.float32))
    second = emb.backward([1, 3], np.array([[10, 20], [30, 40]], np.float32))
    assert sum([first, second, first]).coalesce().values.tolist() == [[12, 24], [30, 40]]
    assert (-first).values.tolist() == [[-1, -2]]
    assert (second - first).coalesce().values.tolist() == [[9, 18], [30, 40]]
    assert (first - first).coalesce().values.tolist() == [[0, 0]]
    assert (second / 2).values.tolist() == [[5, 10], [15, 20]]


@pytest.mark.parametrize(
    "other", ["2", None, 1j, np.ones(2), np.array("a"), np.array([3])], ids=repr
)
def test_what_is_no_number_is_refused(other):
    grad = pe.Embedding(4, 2).backward([1], np.ones((1, 2), np.float32))
    for operation in (lambda: grad * other, lambda: other * grad, lambda: grad / other):
        with pytest.raises(TypeError):
            operation()


def test_numbers_that_scale_nothing():
    grad = pe.Embedding(4, 2).backward([1], np.ones((1, 2), np.float32))
    for operation in (lambda: grad * 10**400, lambda: -(10**400) * grad, lambda: grad / 10**400):
        with pytest.raises(ValueError, match=r"a number of 40[12] digits"):
            operation()
    for zero in (0, 0.0, np.float32(0), np.array(0)):
        with pytest.raises(ZeroDivisionError, match="divided by zero"):
            grad / zero
    with pytest.raises(TypeError):
        grad + 1


def test_no_method(emb):
    grad = emb.backward([1], np.ones((1, emb.output_dim), emb.dtype))
    with pytest.raises(ValueError, match="method=None is none of 'auto'"):
        grad.to_dense(method=None)
    with pytest.raises(ValueError, match="method=None is none of 'auto'"):
        pe.ops.scatter_add(np.zeros((2, 2)), [1], np.ones((1, 2)), method=None)


def test_to_dense_into_interleaved_columns_and_not_over_its_own_gradient():
    emb = pe.Embedding(3, 2)
    columns = np.zeros((3, 4), np.float32)
    columns[:2, 2:] = [[1, 2], [3, 4]]
    out = emb.backward([2, 0], columns[:2, 2:]).to_dense(out=columns[:, :2])
    assert columns.tolist() == [[3, 4, 1, 2], [0, 0, 3, 4], [1, 2, 0, 0]]
    assert np.shares_memory(out, columns)
    with pytest.raises(ValueError, match="out overlaps grad_output in memory"):
        emb.backward([2, 0], columns[:2, 2:]).to_dense(out=columns[:, 1:3])
