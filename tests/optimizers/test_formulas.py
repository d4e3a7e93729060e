"""Every optimizer beside its formula, to the bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyembed as pe
import reference
from formulas import ADAM, OPTIMIZERS, Reference, adam_reference
from strategies import arrays_of_ids, floats, tables


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


def train_with_a_hot_id(emb, opt, expected, rng, count):
    """Two steps of `count` ids, half of them the same, here and beside the reference."""
    for _ in range(2):
        ids = rng.integers(0, emb.input_dim, count)
        ids[rng.random(count) < 0.5] = 11
        grad = rng.standard_normal((count, emb.output_dim)).astype(emb.dtype)
        opt.step(emb.backward(ids, grad))
        expected.step(ids, grad)
    np.testing.assert_array_equal(emb.embeddings, expected.table)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dim", [1, 7, 64, 100])
def test_large_batches_with_a_hot_id(name, dim, threads, dtype, rng):
    make, update = OPTIMIZERS[name]
    table = rng.standard_normal((3000, dim)).astype(dtype)
    expected = Reference(table, update)
    emb = pe.Embedding(3000, dim, weights=table, dtype=dtype)
    opt = make(emb)
    train_with_a_hot_id(emb, opt, expected, rng, 6000)


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
    train_with_a_hot_id(emb, opt, expected, rng, 900)


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


def test_adagrad_worked_case():
    # As in torch: a sum of duplicates is squared, not each of them.
    emb = pe.Embedding(2, 1, weights=[[0.0], [2.0]], dtype="float64")
    pe.SparseAdagrad(emb, 3.0, 0.1).step(emb.backward([1, 1], [[0.1], [0.1]]))
    np.testing.assert_allclose(emb.embeddings, [[0.0], [0.39643298]], atol=5e-8)


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
    if name.startswith("lion") and np.isinf(bad):  # whose step is of the sign alone
        assert np.isinf(opt.state_dict()["tables"][0]["m"][1, 2])
        return
    assert not np.isfinite(emb.embeddings[1, 2])
