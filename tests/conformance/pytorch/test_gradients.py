"""What changes a gradient on its way from the output to the table."""

import numpy as np
import pytest

import pyembed as pe
from conformance.pytorch.peer import (
    DIM,
    FORMS,
    ROWS,
    assert_close,
    bags,
    draw,
    embedding_bags,
    embeddings,
    tensor,
    torch,
)


@pytest.mark.parametrize("padding_idx", [None, 5])
@pytest.mark.parametrize("shape", [(0,), (1,), (40, 7)])
def test_scale_by_frequency(table, rng, padding_idx, shape):
    ids, grad = rng.integers(0, ROWS // 2, shape), draw(rng, table, (*shape, DIM))
    ours, theirs = embeddings(table, padding_idx=padding_idx, scale_grad_by_freq=True)
    theirs(tensor(ids)).backward(tensor(grad))
    assert_close(ours.backward(ids, grad).to_dense(), theirs.weight.grad)


def bag_gradients(table, rng, ids, offsets, weighted, by_frequency, **options):
    """Our gradient scaled by frequency, and theirs, scaled or not."""
    weights = draw(rng, table, ids.shape) if weighted else None
    ours = pe.EmbeddingBag(
        *table.shape, weights=table, dtype=table.dtype, scale_grad_by_freq=True, **options
    )
    _, theirs = embedding_bags(table, scale_grad_by_freq=by_frequency, **options)
    output = theirs(tensor(ids), tensor(offsets), per_sample_weights=tensor(weights))
    grad = draw(rng, table, output.shape)
    output.backward(tensor(grad))
    return ours.backward(ids, grad, offsets, weights).to_dense(), theirs.weight.grad


each_mode = pytest.mark.parametrize(
    ("mode", "weighted"), [("sum", False), ("sum", True), ("mean", False)], ids=str
)


@each_mode
@pytest.mark.parametrize("padding_idx", [None, 5])
def test_scale_by_frequency_in_bags_where_all_are_as_frequent(
    table, rng, mode, weighted, padding_idx
):
    ids = rng.permutation(np.repeat(np.arange(ROWS), 3)).reshape(-1, 4)
    options = {"mode": mode, "padding_idx": padding_idx}
    assert_close(*bag_gradients(table, rng, ids, None, weighted, by_frequency=True, **options))


@each_mode
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("padding_idx", [None, 5])
def test_scale_by_frequency_in_bags(table, rng, mode, weighted, form, padding_idx):
    # torch 2.13 divides by counts of other ids here (pytorch/pytorch#190063), so we divide.
    ids, offsets, last = bags(rng, form)
    options = {"mode": mode, "padding_idx": padding_idx, "include_last_offset": last}
    ours, theirs = bag_gradients(table, rng, ids, offsets, weighted, by_frequency=False, **options)
    counts = torch.bincount(tensor(ids).reshape(-1), minlength=ROWS).clamp(min=1)
    assert counts.max() > 1
    assert_close(ours, theirs / counts[:, None])


@pytest.mark.parametrize("make", [embeddings, embedding_bags])
def test_frozen_rows_are_a_mask_of_the_gradient(table, rng, make):
    ids = rng.integers(0, ROWS, (30, 5))
    frozen = [2, 5, ROWS - 1]
    ours, theirs = make(table)
    mask = torch.ones(ROWS, 1, dtype=theirs.weight.dtype)
    mask[frozen] = 0
    theirs.weight.register_hook(lambda grad: grad * mask)
    ours.freeze(frozen)
    output = theirs(tensor(ids))
    grad = draw(rng, table, output.shape)
    output.backward(tensor(grad))
    assert_close(ours(ids), output)
    assert_close(ours.backward(ids, grad).to_dense(), theirs.weight.grad)
    torch.optim.SGD(theirs.parameters(), 0.5).step()
    pe.SparseSGD(ours, 0.5).step(ours.backward(ids, grad))
    assert_close(ours.embeddings, theirs.weight)
    np.testing.assert_array_equal(ours.embeddings[frozen], table[frozen])


@pytest.mark.parametrize("padding_idx", [None, 5])
@pytest.mark.parametrize("dropout", [0.0, 0.3, 1.0])
def test_word_type_dropout(table, rng, padding_idx, dropout):
    ids = rng.integers(0, ROWS, (30, 7))
    ours, theirs = embeddings(table, padding_idx=padding_idx)
    how = {"dropout": dropout, "key": 12345}
    # No value of the table is 0, so the rows that are zeros were dropped.
    kept = ours(np.arange(ROWS), **how).any(axis=1)
    assert kept.all() == (dropout == 0)
    assert kept.any() == (dropout < 1)
    mask = tensor(np.where(kept, 1 / (1 - dropout) if dropout < 1 else 0, 0).astype(table.dtype))
    output = theirs(tensor(ids)) * mask[tensor(ids)][..., None]
    assert_close(ours(ids, **how), output)
    grad = draw(rng, table, output.shape)
    output.backward(tensor(grad))
    assert_close(ours.backward(ids, grad, **how).to_dense(), theirs.weight.grad)


def clipped_by_torch(parameters, max_norm):
    """Clip as torch does, but by max_norm / norm: it divides by norm + 1e-6."""
    norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm)
    if norm + 1e-6 > max_norm:
        for parameter in parameters:
            parameter.grad *= (norm + 1e-6) / norm
    return norm


@pytest.mark.parametrize("max_norm", [0.5, 1e6])
def test_clip_norm(table, rng, max_norm):
    ids, grad = rng.integers(0, ROWS, 200), draw(rng, table, (200, DIM))
    ours, theirs = embeddings(table)
    theirs(tensor(ids)).backward(tensor(grad))
    gradient = ours.backward(ids, grad)
    norm = clipped_by_torch([theirs.weight], max_norm)
    assert gradient.norm() == pytest.approx(norm.item(), rel=1e-6)
    assert_close(gradient.clip_norm(max_norm).to_dense(), theirs.weight.grad)


@pytest.mark.parametrize("max_norm", [0.5, 1e6])
def test_clip_global_norm(table, rng, max_norm):
    ids = rng.integers(0, ROWS, (40, 5))
    layers = [embeddings(table, padding_idx=0), embedding_bags(table / 3, mode="mean")]
    gradients = []
    for ours, theirs in layers:
        output = theirs(tensor(ids))
        grad = draw(rng, table, output.shape)
        output.backward(tensor(grad))
        gradients.append(ours.backward(ids, grad))
    clipped_by_torch([theirs.weight for _, theirs in layers], max_norm)
    clipped = pe.clip_global_norm(gradients, max_norm)
    for ours, (_, theirs) in zip(clipped, layers, strict=True):
        assert_close(ours.to_dense(), theirs.weight.grad)
