import math

import numpy as np
import pytest

from conformance.pytorch.peer import (
    ROWS,
    assert_close,
    bags,
    draw,
    embedding_bags,
    embeddings,
    tensor,
)

# The p of each norm, and a bound that some rows of standard normal numbers are above.
NORMS = [(0.5, 200.0), (1.0, 13.0), (2.0, 4.0), (3.0, 3.0), (math.inf, 2.0)]


def assert_some_are_scaled(table, rows, after):
    changed = (after != table).any(axis=1)
    assert 0 < changed.sum() < len(np.unique(rows))
    assert not np.delete(changed, rows).any()


def compare(ours, theirs, table, rng, ids, *offsets):
    for _ in range(2):  # the second time, there is nothing to scale
        output = theirs(tensor(ids), *map(tensor, offsets))
        assert_close(ours(ids, *offsets), output)
        assert_close(ours.embeddings, theirs.weight)
    assert_some_are_scaled(table, ids[ids != 5], ours.embeddings)
    grad = draw(rng, table, output.shape)
    output.backward(tensor(grad))
    assert_close(ours.backward(ids, grad, *offsets).to_dense(), theirs.weight.grad)


@pytest.mark.parametrize(("norm_type", "max_norm"), NORMS)
@pytest.mark.parametrize("padding_idx", [None, 5])
def test_embedding(table, rng, norm_type, max_norm, padding_idx):
    table[5] = 0.01  # below every bound
    options = {"norm_type": norm_type, "max_norm": max_norm, "padding_idx": padding_idx}
    ids = rng.integers(0, ROWS // 2, (6, 10))
    compare(*embeddings(table, **options), table, rng, ids)


@pytest.mark.parametrize(("norm_type", "max_norm"), NORMS)
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("form", ["2-D", "int64"])
def test_embedding_bag(table, rng, norm_type, max_norm, mode, form):
    table[5] = 0.01
    options = {"norm_type": norm_type, "max_norm": max_norm, "padding_idx": 5, "mode": mode}
    ids, offsets, _ = bags(rng, form)
    given = [] if offsets is None else [offsets]
    compare(*embedding_bags(table, **options), table, rng, ids, *given)


@pytest.mark.parametrize("make", [embeddings, embedding_bags])
def test_padding_is_scaled_by_torch_and_never_by_us(table, rng, make):
    ours, theirs = make(table, max_norm=1.0, padding_idx=5)
    ids = np.array([[5, 3], [7, 5]])
    theirs(tensor(ids))
    ours(ids)
    np.testing.assert_array_equal(ours.embeddings[5], table[5])
    assert np.linalg.norm(theirs.weight[5].detach()) == pytest.approx(1.0)
    others = np.arange(ROWS) != 5
    assert_close(ours.embeddings[others], theirs.weight[others])


def test_the_published_case(dtype):
    table = np.array([[1, 2, 3], [4, 5, 6]], dtype)
    ours, theirs = embeddings(table, max_norm=2.0, norm_type=0.5)
    assert_close(ours([0, 1]), theirs(tensor([0, 1])))
    assert ours.embeddings[0, 0] == pytest.approx(0.11633651)
