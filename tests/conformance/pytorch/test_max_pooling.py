import numpy as np
import pytest

from conformance.pytorch.peer import (
    DIM,
    FORMS,
    ROWS,
    assert_close,
    bags,
    draw,
    embedding_bags,
    tensor,
)


def compare(table, rng, ids, offsets, **options):
    ours, theirs = embedding_bags(table, mode="max", **options)
    output = theirs(tensor(ids), tensor(offsets))
    assert_close(ours(ids, offsets), output)
    grad = draw(rng, table, output.shape)
    output.backward(tensor(grad))
    assert_close(ours.backward(ids, grad, offsets).to_dense(), theirs.weight.grad)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("padding_idx", [None, 5, 5 - ROWS])
def test_values_and_gradients(table, rng, form, padding_idx):
    ids, offsets, last = bags(rng, form)
    compare(table, rng, ids, offsets, padding_idx=padding_idx, include_last_offset=last)


@pytest.mark.parametrize("padding_idx", [None, 5])
def test_the_first_of_several_maxima_gets_the_gradient(dtype, rng, padding_idx):
    few = rng.integers(-1, 2, (ROWS, DIM)).astype(dtype)
    ids = rng.integers(0, ROWS, (30, 12))
    ids[:, ::5] = 5
    tied = (few[ids] == few[ids].max(axis=1, keepdims=True)).sum(axis=1)
    assert (tied > 1).mean() > 0.8
    compare(few, rng, ids, None, padding_idx=padding_idx)


def test_maxima_below_zero_beside_padding(table, rng):
    table = -np.abs(table)
    table[5] = 9  # padding is left out, not taken as zeros or as what it holds
    ids, offsets, _ = bags(rng, "int64")
    compare(table, rng, ids, offsets, padding_idx=5)


def test_large_bags(threads, table, rng):
    lengths = rng.integers(0, 30, 1000)
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    compare(table / 9, rng, rng.integers(0, ROWS, lengths.sum()), offsets, padding_idx=9)
