import gc
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyembed as pe
import reference
from strategies import arrays_of_ids, floats, tables

# Every optimizer beside its reference: make(layer) and update(rows, state, gradient, t).
ADAM = {"learning_rate": 0.03, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-6}


def adam_reference(w, state, g, t, decay=0.0):
    reference.adam(w, state[0], state[1], g, t, 0.03, 0.8, 0.95, 1e-6, decay)


def row_wise_adagrad_reference(w, state, g):
    # The accumulators of all rows are kept in the first column.
    accumulator = state[:, 0].copy() if state.shape[1] else np.zeros(len(w), w.dtype)
    reference.row_wise_adagrad(w, accumulator, g, 0.1, 1e-6, 0.25)
    state[:, :1] = accumulator[:, None]


OPTIMIZERS = {
    "adam": (lambda e: pe.SparseAdam(e, **ADAM), adam_reference),
    "adam with decay": (
        lambda e: pe.SparseAdam(e, **ADAM, weight_decay=0.5),
        lambda w, state, g, t: adam_reference(w, state, g, t, 0.5),
    ),
    "sgd": (lambda e: pe.SparseSGD(e, 0.1), lambda w, s, g, t: reference.sgd(w, s[0], g, 0.1)),
    "sgd with decay": (
        lambda e: pe.SparseSGD(e, 0.1, weight_decay=0.25),
        lambda w, s, g, t: reference.sgd(w, s[0], g, 0.1, decay=0.25),
    ),
    "momentum": (
        lambda e: pe.SparseSGD(e, 0.1, 0.9),
        lambda w, s, g, t: reference.sgd(w, s[0], g, 0.1, 0.9),
    ),
    "nesterov": (
        lambda e: pe.SparseSGD(e, 0.1, 0.9, True, weight_decay=0.25),
        lambda w, s, g, t: reference.sgd(w, s[0], g, 0.1, 0.9, True, 0.25),
    ),
    "adagrad": (
        lambda e: pe.SparseAdagrad(e, 0.1, 0.0, 1e-6),
        lambda w, s, g, t: reference.adagrad(w, s[0], g, 0.1, 1e-6),
    ),
    "adagrad with decay": (
        lambda e: pe.SparseAdagrad(e, 0.1, 0.0, 1e-6, weight_decay=0.25),
        lambda w, s, g, t: reference.adagrad(w, s[0], g, 0.1, 1e-6, 0.25),
    ),
    "row-wise adagrad": (
        lambda e: pe.SparseRowWiseAdagrad(e, 0.1, 0.0, 1e-6, weight_decay=0.25),
        lambda w, s, g, t: row_wise_adagrad_reference(w, s[0], g),
    ),
    "rmsprop": (
        lambda e: pe.SparseRMSprop(e, 0.1, 0.8, 1e-6),
        lambda w, s, g, t: reference.rms_prop(w, s[0], g, 0.1, 0.8, 1e-6),
    ),
    "rmsprop with decay": (
        lambda e: pe.SparseRMSprop(e, 0.1, 0.8, 1e-6, weight_decay=0.25),
        lambda w, s, g, t: reference.rms_prop(w, s[0], g, 0.1, 0.8, 1e-6, 0.25),
    ),
}


class Reference:
    """A table trained in plain NumPy: the same sums, the same formula, row by row."""

    def __init__(self, table, update):
        self.table = table.copy()
        self.state = np.zeros((2, *table.shape), table.dtype)
        self.update = update
        self.t = 0

    def step(self, ids, values):
        self.t += 1
        rows, sums = reference.coalesce(ids, values)
        w, state = self.table[rows], self.state[:, rows]
        self.update(w, state, sums, self.t)
        self.table[rows], self.state[:, rows] = w, state


@pytest.mark.parametrize("name", OPTIMIZERS)
@given(st.data())
def test_steps_are_the_reference_to_the_bit(name, data):
    make, update = OPTIMIZERS[name]
    table = data.draw(tables())
    expected = Reference(table, update)
    emb = pe.Embedding.from_pretrained(table, trainable=True)
    opt = make(emb)
    rng = np.random.default_rng(7)
    for _ in range(data.draw(st.integers(1, 4))):
        ids = data.draw(arrays_of_ids(len(table)))
        grad = floats(rng, (*ids.shape, table.shape[1]), table.dtype)
        opt.step(emb.backward(ids, grad))
        expected.step(ids.reshape(-1).astype(int), grad.reshape(ids.size, table.shape[1]))
        np.testing.assert_array_equal(emb.embeddings, expected.table)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dim", [1, 7, 64, 100])
def test_large_batches_with_a_hot_id(name, dim, threads, dtype, rng):
    make, update = OPTIMIZERS[name]
    table = rng.standard_normal((3000, dim)).astype(dtype)
    expected = Reference(table, update)
    emb = pe.Embedding(3000, dim, weights=table, dtype=dtype)
    opt = make(emb)
    for _ in range(2):
        ids = rng.integers(0, 3000, 6000)
        ids[rng.random(6000) < 0.5] = 11
        grad = rng.standard_normal((6000, dim)).astype(dtype)
        opt.step(emb.backward(ids, grad))
        expected.step(ids, grad)
    np.testing.assert_array_equal(emb.embeddings, expected.table)


# Every kind of regularization beside its reference: arguments of the layer, penalty, constraint.
REGULARIZATIONS = [
    ({"embeddings_regularizer": pe.regularizers.L1(0.02)}, {"l1": 0.02}, {}),
    ({"embeddings_regularizer": pe.regularizers.L2(0.03)}, {"l2": 0.03}, {}),
    (
        {
            "embeddings_regularizer": pe.regularizers.L1L2(0.02, 0.03),
            "embeddings_constraint": pe.constraints.NonNeg(),
        },
        {"l1": 0.02, "l2": 0.03},
        {"non_negative": True},
    ),
    ({"embeddings_constraint": pe.constraints.MaxNorm(0.7, axis=1)}, {}, {"norm": (0, 0.7, 1)}),
    ({"embeddings_constraint": pe.constraints.UnitNorm(axis=-1)}, {}, {"norm": (1, 1, 1)}),
    (
        {"embeddings_constraint": pe.constraints.MinMaxNorm(0.5, 0.8, 0.6, axis=(1,))},
        {},
        {"norm": (0.5, 0.8, 0.6)},
    ),
]


@pytest.mark.parametrize(("arguments", "penalty", "constraint"), REGULARIZATIONS, ids=str)
@pytest.mark.parametrize("dim", [7, 64])
def test_regularization_in_the_pass(arguments, penalty, constraint, dim, threads, dtype, rng):
    def update(w, state, g, t):
        adam_reference(w, state, reference.penalised(w, g, **penalty), t)
        reference.constrain(w, **constraint)

    table = rng.standard_normal((300, dim)).astype(dtype)
    expected = Reference(table, update)
    emb = pe.Embedding(300, dim, weights=table, dtype=dtype, **arguments)
    opt = pe.SparseAdam(emb, **ADAM)
    for _ in range(2):
        ids = rng.integers(0, 300, 900)
        ids[rng.random(900) < 0.5] = 11
        grad = rng.standard_normal((900, dim)).astype(dtype)
        opt.step(emb.backward(ids, grad))
        expected.step(ids, grad)
    np.testing.assert_array_equal(emb.embeddings, expected.table)


def test_bags_and_lookups_train_one_table_in_one_step(threads, dtype, rng):
    table = rng.standard_normal((50, 20)).astype(dtype)
    bag = pe.EmbeddingBag(50, 20, mode="mean", weights=table, dtype=dtype, padding_idx=2)
    opt = pe.SparseAdam(bag, **ADAM)
    expected = Reference(table, adam_reference)
    ids = rng.integers(0, 50, (200, 9))
    weights = rng.random((200, 9)).astype(dtype)
    grad = rng.standard_normal((200, 20)).astype(dtype)
    opt.step(bag.backward(ids, grad, None, weights), bag.backward(ids[:5], grad[:5]))
    summands = [
        reference.bag_gradient(table, ids, grad, None, "mean", weights, padding=2),
        reference.bag_gradient(table, ids[:5], grad[:5], None, "mean", padding=2),
    ]
    expected.step(*map(np.concatenate, zip(*summands, strict=True)))
    np.testing.assert_array_equal(bag.embeddings, expected.table)


def test_adam_worked_case():
    emb = pe.Embedding(1, 1, weights=[[0.0]], dtype="float64")
    opt = pe.SparseAdam(emb, 0.01, 0.9, 0.99, 0.01)
    seen = []
    for _ in range(2):
        opt.step(emb.backward([0], [[10.0]]))
        seen.append(emb.embeddings.item())
    np.testing.assert_allclose(seen, [-0.00990099, -0.01983060], atol=5e-9)


def test_adagrad_worked_case():
    # As in torch: a sum of duplicates is squared, not each of them.
    emb = pe.Embedding(2, 1, weights=[[0.0], [2.0]], dtype="float64")
    pe.SparseAdagrad(emb, 3.0, 0.1).step(emb.backward([1, 1], [[0.1], [0.1]]))
    np.testing.assert_allclose(emb.embeddings, [[0.0], [0.39643298]], atol=5e-8)


def test_row_steps_count_each_row_by_itself(dtype, rng):
    table = rng.standard_normal((4, 3)).astype(dtype)
    emb = pe.Embedding(4, 3, weights=table, dtype=dtype)
    opt = pe.SparseAdam(emb, **ADAM, step_bias="row")
    w, m, v = table.copy(), np.zeros_like(table), np.zeros_like(table)
    steps = np.zeros(4, int)
    for ids in ([0, 1], [1], [1, 1, 3], [0]):
        grad = rng.standard_normal((len(ids), 3)).astype(dtype)
        opt.step(emb.backward(ids, grad))
        rows, sums = reference.coalesce(np.array(ids), grad)
        steps[rows] += 1
        parts = [array[rows] for array in (w, m, v)]
        reference.adam(*parts, sums, steps[rows], 0.03, 0.8, 0.95, 1e-6)
        for array, part in zip((w, m, v), parts, strict=True):
            array[rows] = part
        np.testing.assert_array_equal(emb.embeddings, w)


def test_row_steps_that_a_caller_wrote_are_no_way_out_of_the_table_of_corrections():
    emb, far = (pe.Embedding(3, 2, "zeros") for _ in range(2))
    opts = [pe.SparseAdam(layer, 0.1, step_bias="row") for layer in (emb, far)]
    for layer, opt, count in zip((emb, far), opts, (-1000, 1000), strict=True):
        for _ in range(3):
            opt.state_dict()["tables"][0]["row_t"][1] = count
            opt.step(layer.backward([1], np.ones((1, 2), np.float32)))
    np.testing.assert_array_equal(emb.embeddings, far.embeddings)


def test_row_steps_far_past_the_horizon():
    # With small betas the correction is 1 after a few steps, and its table stops growing.
    emb = pe.Embedding(1, 1, weights=[[0.0]], dtype="float64")
    opt = pe.SparseAdam(emb, 0.5, 0.1, 0.2, 0.0, step_bias="row")
    for _ in range(200):
        opt.step(emb.backward([0], [[2.0]]))
    assert len(opt._row_corrections) < 50
    np.testing.assert_allclose(emb.embeddings, -100.0, rtol=1e-12)


@pytest.mark.parametrize("make", [lambda e, lr: pe.SparseAdam(e, lr), pe.SparseSGD])
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


def test_an_empty_gradient_advances_t_and_an_absent_one_does_not():
    def step_after(empty_steps):
        emb, other = pe.Embedding(3, 1, weights=[[0.0]] * 3), pe.Embedding(3, 1)
        opt = pe.SparseAdam([emb, other])
        for _ in range(4):
            opt.step(other.backward([0], np.ones((1, 1), np.float32)))
        for _ in range(empty_steps):
            opt.step(emb.backward([], np.empty((0, 1), np.float32)))
        opt.step(emb.backward([1], np.ones((1, 1), np.float32)))
        return emb.embeddings[1, 0]

    # t=1: -lr; t=3: -lr (sqrt(1-b2^3) / (1-b1^3)) (1-b1) / sqrt(1-b2)
    np.testing.assert_allclose(step_after(0), -0.001, rtol=1e-5)
    later = (1 - 0.999**3) ** 0.5 / (1 - 0.9**3) * 0.1 / 0.001**0.5
    np.testing.assert_allclose(step_after(2), -0.001 * later, rtol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_nan_reaches_its_own_row_alone(name, bad):
    emb = pe.Embedding(4, 3, seed=0)
    opt = OPTIMIZERS[name][0](emb)
    grad = np.ones((3, 3), np.float32)
    grad[1, 2] = bad
    opt.step(emb.backward([0, 1, 3], grad))
    assert np.isfinite(emb.embeddings[[0, 2, 3]]).all()
    if not name.startswith("row-wise"):  # where a row has one accumulator
        assert np.isfinite(emb.embeddings[1, :2]).all()
    assert not np.isfinite(emb.embeddings[1, 2])


@pytest.mark.parametrize("make", [pe.SparseAdam, lambda e: pe.SparseSGD(e, 0.1, 0.9)])
class TestARefusedStepChangesNothing:
    def refuse(self, error, message, opt, layers, *grads):
        before = [layer.embeddings.copy() for layer in layers]
        with pytest.raises(error, match=message):
            opt.step(*grads)
        for layer, was in zip(layers, before, strict=True):
            np.testing.assert_array_equal(layer.embeddings, was)
        assert {state.t for state in opt._states.values()} == {0}
        assert all((state.array == 0).all() for state in opt._states.values())

    def test_an_id_in_the_middle_of_the_second_table(self, make, threads):
        first, second = pe.Embedding(9, 4), pe.Embedding(7, 4)
        opt = make([first, second])
        ids = np.arange(50_000) % 7
        ids[30_000] = 7
        good = first.backward([1, 2], np.ones((2, 4), np.float32))
        bad = second.backward(ids, np.ones((50_000, 4), np.float32))
        message = "id 7 at position 30000 is outside a table of 7 rows"
        self.refuse(IndexError, message, opt, [first, second], good, bad)
        self.refuse(IndexError, message, opt, [first, second], good, good, bad + bad)

    def test_a_foreign_gradient(self, make):
        emb, foreign = pe.Embedding(5, 2), pe.Embedding(5, 2)
        opt = make(emb)
        good = emb.backward([1], np.ones((1, 2), np.float32))
        bad = foreign.backward([1], np.ones((1, 2), np.float32))
        self.refuse(ValueError, "gradient 1 is of a table", opt, [emb, foreign], good, bad)

    def test_no_gradient_and_no_sparse_grad(self, make):
        emb = pe.Embedding(5, 2)
        opt = make(emb)
        self.refuse(ValueError, "at least one gradient", opt, [emb])
        self.refuse(TypeError, "gradient 0 must be a SparseGrad", opt, [emb], np.ones((5, 2)))

    def test_a_gradient_that_is_part_of_the_table(self, make):
        emb = pe.Embedding(5, 2)
        opt = make(emb)
        grad = emb.backward([1], emb.embeddings[3:4])
        self.refuse(ValueError, "the table overlaps grad_output in memory", opt, [emb], grad)

    def test_a_learning_rate_out_of_bounds(self, make):
        emb = pe.Embedding(5, 2)
        opt = make(emb)
        opt.learning_rate = lambda t: -1.0
        grad = emb.backward([1], np.ones((1, 2), np.float32))
        self.refuse(
            ValueError, r"learning_rate=-1.0 must be a finite number >= 0", opt, [emb], grad
        )


class Quadratic:
    """A regularizer of a user's own, which the step's one pass does not know."""

    def __call__(self, w):
        return float(np.sum(w * w))

    def gradient(self, w):
        return 2 * w


def test_a_regularizer_sees_rows_as_they_are_and_a_refused_step_keeps_them():
    arguments = {"embeddings_regularizer": Quadratic(), "max_norm": 1.0}
    emb = pe.Embedding(3, 2, weights=np.full((3, 2), 4.0), **arguments)
    other = pe.Embedding(3, 2)
    opt = pe.SparseSGD([emb, other], 0.25)
    grad = emb.backward([1], np.zeros((1, 2), np.float32))
    with pytest.raises(IndexError, match="id 9"):
        opt.step(grad, other.backward([9], np.zeros((1, 2), np.float32)))
    assert emb.embeddings.tolist() == [[4, 4]] * 3
    opt.step(grad)
    assert emb.embeddings.tolist() == [[4, 4], [2, 2], [4, 4]]


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


def test_a_table_that_was_made_read_only_stops_the_whole_step():
    first, second = pe.Embedding(3, 2), pe.Embedding(3, 2, weights=np.ones((3, 2)))
    opt = pe.SparseSGD([first, second], 1.0)
    grads = [layer.backward([1], np.ones((1, 2), np.float32)) for layer in (first, second)]
    second._table.array.flags.writeable = False
    before = first.embeddings.copy()
    with pytest.raises(ValueError, match="the table is read-only"):
        opt.step(*grads)
    np.testing.assert_array_equal(first.embeddings, before)
    assert {state.t for state in opt._states.values()} == {0}


def test_what_was_checked_together_cannot_be_changed_alone():
    adam, sgd = pe.SparseAdam(pe.Embedding(3, 2)), pe.SparseSGD(pe.Embedding(3, 2))
    for opt, name in [(adam, "beta_1"), (adam, "weight_decay"), (sgd, "momentum")]:
        with pytest.raises(AttributeError, match=f"{name} cannot be changed"):
            setattr(opt, name, 0.5)


@pytest.mark.parametrize("update", ["lazy", "exact"])
def test_a_learning_rate_may_release_its_optimizer(update):
    emb = pe.Embedding(3, 2)
    before = emb.embeddings.copy()
    opt = pe.SparseAdam(emb, lambda t: opt.release() or 0.1, update=update)
    with pytest.raises(RuntimeError, match=r"release\(\)"):
        opt.step(emb.backward([1], np.ones((1, 2), np.float32)))
    np.testing.assert_array_equal(emb.embeddings, before)
    pe.SparseSGD(emb)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda e: pe.SparseAdam(e, -0.1), "learning_rate=-0.1 must be"),
        (lambda e: pe.SparseAdam(e, np.nan), "learning_rate=nan must be"),
        (lambda e: pe.SparseAdam(e, "0.1"), "learning_rate='0.1' must be"),
        (lambda e: pe.SparseAdam(e, beta_1=1.0), "beta_1=1.0 must be .* >= 0 and < 1"),
        (lambda e: pe.SparseAdam(e, beta_2=-0.1), "beta_2=-0.1 must be"),
        (lambda e: pe.SparseAdam(e, epsilon=-1e-9), "epsilon=-1e-09 must be"),
        (lambda e: pe.SparseAdam(e, weight_decay=-1), "weight_decay=-1 must be"),
        (lambda e: pe.SparseAdam(e, 0.5, weight_decay=2.0), "learning_rate=0.5 must be .* < 0.5"),
        (lambda e: pe.SparseAdam(e, update="eager"), "update='eager' is none of 'lazy', 'exact'"),
        (lambda e: pe.SparseAdam(e, step_bias="t"), "step_bias='t' is none of 'global', 'row'"),
        (lambda e: pe.SparseSGD(e, momentum=1.0), "momentum=1.0 must be"),
        (lambda e: pe.SparseSGD(e, nesterov=True), "nesterov=True needs a momentum"),
        (lambda e: pe.SparseSGD([]), "tables is empty"),
        (lambda e: pe.SparseSGD([e, e]), "stands in tables twice: name it once"),
    ],
)
def test_unusable_arguments(make, message):
    emb = pe.Embedding(3, 2)
    with pytest.raises(ValueError, match=message):
        make(emb)
    pe.SparseSGD(emb)  # the refused one holds no claim


def test_refused_types():
    with pytest.raises(TypeError, match="unexpected keyword argument 'lr'"):
        pe.SparseAdam(pe.Embedding(3, 2), lr=0.1)
    with pytest.raises(TypeError, match="tables must be layers"):
        pe.SparseAdam([np.zeros((3, 2))])


def test_a_table_in_two_optimizers():
    emb, other = pe.Embedding(3, 2, name="words"), pe.Embedding(3, 2)
    opt = pe.SparseAdam(emb)
    with pytest.raises(ValueError, match=r"words is updated by another .* opt.release\(\)"):
        pe.SparseSGD([other, emb])
    pe.SparseSGD(other)  # the refused optimizer claimed neither
    opt.release()
    sgd = pe.SparseSGD(emb)
    sgd.step(emb.backward([1], np.ones((1, 2), np.float32)))
    with pytest.raises(RuntimeError, match=r"release\(\)"):
        opt.step(emb.backward([1], np.ones((1, 2), np.float32)))
    opt.release()  # again: nothing to give up, and nothing taken from its successor
    with pytest.raises(ValueError, match="updated by another optimizer"):
        pe.SparseSGD(emb)


def test_a_dead_optimizer_claims_nothing():
    emb = pe.Embedding(3, 2)
    pe.SparseAdam(emb)
    gc.collect()
    pe.SparseAdam(emb)


def test_garbage_that_is_collected_during_a_claim_may_release_its_own():
    script = """if True:
        import gc
        import pyembed as pe

        class Owner:
            def __init__(self):
                self.opt = pe.SparseSGD(pe.Embedding(1, 1))
                self.itself = self

            def __del__(self):
                self.opt.release()

        emb = pe.Embedding(1, 1)
        for allocations in range(1, 100):  # until the collector comes, at every place there is
            Owner()
            gc.set_threshold(allocations)
            opt = pe.SparseSGD(emb)
            gc.set_threshold(700)
            opt.release()
    """
    here = Path(__file__).parent
    subprocess.run([sys.executable, "-c", script], cwd=here, check=True, timeout=20)
