"""Losses and gradients of regularizers, against autograd of their formulas."""

import numpy as np
import pytest

import pyembed as pe
from conformance.pytorch.peer import (
    TOLERANCE,
    assert_close,
    draw,
    embedding_bags,
    tensor,
    torch,
)

L1, L2 = 0.25, 0.75
REGULARIZERS = {
    pe.regularizers.L1(L1): lambda w: L1 * w.abs().sum(),
    pe.regularizers.L2(L2): lambda w: L2 * w.square().sum(),
    pe.regularizers.L1L2(L1, L2): lambda w: L1 * w.abs().sum() + L2 * w.square().sum(),
}
each_regularizer = pytest.mark.parametrize(
    ("regularizer", "formula"), REGULARIZERS.items(), ids=["L1", "L2", "L1L2"]
)


def assert_same_loss(ours, theirs):
    assert isinstance(ours, float)
    tolerance = TOLERANCE[str(theirs.dtype).removeprefix("torch.")]["rtol"]
    assert ours == pytest.approx(theirs.item(), rel=tolerance)


@each_regularizer
def test_penalties(table, regularizer, formula):
    table[3, ::2] = 0
    weight = tensor(table).requires_grad_()
    loss = formula(weight)
    loss.backward()
    assert_same_loss(regularizer(table), loss)
    assert_close(regularizer.gradient(table), weight.grad)


@pytest.mark.parametrize("where", ["embeddings", "activity", "both"])
@pytest.mark.parametrize("layer", [pe.Embedding, pe.EmbeddingBag])
@each_regularizer
def test_a_training_step(table, rng, regularizer, formula, layer, where):
    of_rows = formula if where != "activity" else lambda w: w.new_zeros(())
    of_output = formula if where != "embeddings" else lambda y: y.new_zeros(())
    ours = layer(
        *table.shape,
        embeddings_regularizer=regularizer if where != "activity" else None,
        activity_regularizer=regularizer if where != "embeddings" else None,
        weights=table,
        dtype=table.dtype,
    )
    make = torch.nn.Embedding if layer is pe.Embedding else torch.nn.EmbeddingBag
    theirs = make.from_pretrained(tensor(table), freeze=False)
    ids = rng.integers(0, 20, (8, 5))
    optimizer = pe.SparseSGD(ours, 0.05)
    for _ in range(3):
        assert_same_loss(ours.regularization_loss(), of_rows(theirs.weight))
        output = theirs(tensor(ids))
        penalty = of_rows(theirs.weight[torch.unique(tensor(ids))]) + of_output(output) / len(ids)
        assert_same_loss(ours.regularization_loss(ids), penalty)

        grad = draw(rng, table, output.shape)
        theirs.weight.grad = None
        ((output * tensor(grad)).sum() + penalty).backward()
        with torch.no_grad():
            theirs.weight -= 0.05 * theirs.weight.grad
        optimizer.step(ours.backward(ids, grad))
        assert_close(ours.embeddings, theirs.weight)
    changed = (ours.embeddings != table).any(axis=1)
    np.testing.assert_array_equal(np.flatnonzero(changed), np.unique(ids))


@each_regularizer
def test_clipping_leaves_the_penalty_alone(table, rng, regularizer, formula):
    ids = rng.integers(0, 20, (8, 5))
    ours, theirs = embedding_bags(table, mode="sum")
    ours = pe.EmbeddingBag(
        *table.shape, "zeros", regularizer, weights=table, dtype=table.dtype, mode="sum"
    )
    output = theirs(tensor(ids))
    grad = draw(rng, table, output.shape)
    output.backward(tensor(grad))
    by = 1 / float(theirs.weight.grad.norm())
    rows = theirs.weight[torch.unique(tensor(ids))]
    (gradient,) = torch.autograd.grad(formula(rows), theirs.weight)
    expected = theirs.weight - 0.5 * (by * theirs.weight.grad + gradient)
    pe.SparseSGD(ours, 0.5).step(ours.backward(ids, grad).clip_norm(1.0))
    assert_close(ours.embeddings, expected)
