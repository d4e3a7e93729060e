"""Gradients of per-sample weights, and the weighted pooling that torch has no kernel for."""

import numpy as np
import pytest

import pyembed as pe
from conformance.pytorch.peer import (
    FORMS,
    assert_close,
    bags,
    draw,
    embedding_bags,
    pooled,
    tensor,
    torch,
)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("padding_idx", [None, 5])
@pytest.mark.parametrize("sparse", [False, True])
def test_the_gradient_of_weights_in_a_sum(table, rng, form, padding_idx, sparse):
    ids, offsets, last = bags(rng, form)
    weights = draw(rng, table, ids.shape)
    ours, theirs = embedding_bags(
        table, mode="sum", padding_idx=padding_idx, include_last_offset=last, sparse=sparse
    )
    their_weights = tensor(weights).requires_grad_()
    output = theirs(tensor(ids), tensor(offsets), per_sample_weights=their_weights)
    grad = draw(rng, table, output.shape)
    output.backward(tensor(grad))
    assert_close(ours.backward_weights(ids, grad, offsets, weights), their_weights.grad)


def compare_with_formula(rng, bag, ids, offsets, weights, given):
    """Compare with autograd in float64: in float32 its own rounding would count."""
    dtype = getattr(torch, bag.dtype)
    weight = tensor(bag.embeddings).double().requires_grad_()
    their_weights = tensor(weights).double().requires_grad_()
    output = pooled(weight, ids, offsets, their_weights, bag.mode, bag.padding_idx)
    assert_close(bag(ids, offsets, given), output.to(dtype))
    grad = draw(rng, bag.embeddings, output.shape)
    output.backward(tensor(grad).double())
    assert_close(bag.backward(ids, grad, offsets, given).to_dense(), weight.grad.to(dtype))
    expected = their_weights.grad.to(dtype)
    assert_close(bag.backward_weights(ids, grad, offsets, given), expected)


@pytest.mark.parametrize("mode", ["sum", "mean", "sqrtn"])
@pytest.mark.parametrize("form", ["2-D", "int64"])
@pytest.mark.parametrize("padding_idx", [None, 5])
@pytest.mark.parametrize("weighted", [False, True])
def test_weighted_pooling(table, rng, mode, form, padding_idx, weighted):
    ids, offsets, _ = bags(rng, form)
    # A divisor near 0 would only magnify rounding.
    weights = rng.uniform(0.25, 2, ids.shape).astype(table.dtype)
    if not weighted:
        weights[...] = 1
    bag = pe.EmbeddingBag(
        *table.shape, weights=table, dtype=table.dtype, mode=mode, padding_idx=padding_idx
    )
    compare_with_formula(rng, bag, ids, offsets, weights, weights if weighted else None)


@pytest.mark.parametrize("mode", ["mean", "sqrtn"])
def test_weights_of_both_signs(table, rng, mode):
    bag = pe.EmbeddingBag(*table.shape, weights=table, dtype=table.dtype, mode=mode)
    ids = rng.integers(0, len(table), (20, 3))
    weights = np.array([-2.0, 0.5, 3.0], table.dtype) * np.ones_like(ids, table.dtype)
    compare_with_formula(rng, bag, ids, None, weights, weights)
