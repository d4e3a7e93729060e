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


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("padding_idx", [None, 0, -3])
@pytest.mark.parametrize("shape", [(0,), (1,), (4, 7), (2, 3, 2, 5)])
@pytest.mark.parametrize("id_dtype", [np.int32, np.int64])
def test_embedding(table, rng, sparse, padding_idx, shape, id_dtype):
    ids = rng.integers(0, ROWS, shape).astype(id_dtype)
    grad = draw(rng, table, (*shape, DIM))
    if ids.size > 1:
        ids.reshape(-1)[::3] = (padding_idx or 0) % ROWS
    ours, theirs = embeddings(table, padding_idx=padding_idx, sparse=sparse)
    assert ours.padding_idx == theirs.padding_idx
    output = theirs(tensor(ids))
    assert_close(ours(ids), output)
    output.backward(tensor(grad))
    assert_close(ours.backward(ids, grad).to_dense(), theirs.weight.grad)


@pytest.mark.parametrize("id", [0, 4])
def test_an_id_without_axes(table, rng, id):
    # torch 2.13 fails here where the gradient is sparse and there is padding.
    ours, theirs = embeddings(table, padding_idx=0)
    grad = draw(rng, table, DIM)
    output = theirs(torch.tensor(id))
    assert_close(ours(id), output)
    output.backward(tensor(grad))
    assert_close(ours.backward(id, grad).to_dense(), theirs.weight.grad)


def test_coalesced_gradient(threads, table, rng):
    ids = rng.integers(0, ROWS, 5000)
    grad = draw(rng, table, (5000, DIM)) / 9  # summed by some 80
    ours, theirs = embeddings(table, padding_idx=2, sparse=True)
    theirs(tensor(ids)).backward(tensor(grad))
    summed, coalesced = ours.backward(ids, grad).coalesce(), theirs.weight.grad.coalesce()
    np.testing.assert_array_equal(summed.ids, coalesced.indices()[0].numpy(), strict=True)
    assert_close(summed.values, coalesced.values())


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("padding_idx", [None, 5, 5 - ROWS])
@pytest.mark.parametrize(
    ("mode", "weighted"), [("sum", False), ("sum", True), ("mean", False)], ids=str
)
def test_embedding_bag(table, rng, sparse, form, padding_idx, mode, weighted):
    ids, offsets, last = bags(rng, form)
    weights = draw(rng, table, ids.shape) if weighted else None
    ours, theirs = embedding_bags(
        table, mode=mode, padding_idx=padding_idx, include_last_offset=last, sparse=sparse
    )
    assert ours.padding_idx == theirs.padding_idx
    output = theirs(tensor(ids), tensor(offsets), per_sample_weights=tensor(weights))
    assert_close(ours(ids, offsets, weights), output)

    grad = draw(rng, table, output.shape)
    output.backward(tensor(grad))
    assert_close(ours.backward(ids, grad, offsets, weights).to_dense(), theirs.weight.grad)


def test_large_bags(threads, table, rng):
    lengths = rng.integers(0, 30, 1000)
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    ids = rng.integers(0, ROWS, lengths.sum())
    ours, theirs = embedding_bags(table, mode="mean", padding_idx=9)
    assert_close(ours(ids, offsets), theirs(tensor(ids), tensor(offsets)))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(pe.Embedding, torch.nn.Embedding), (pe.EmbeddingBag, torch.nn.EmbeddingBag)],
)
def test_pretrained_tables_are_shared_and_not_trained_unless_asked(table, rng, ours, theirs):
    mine, yours = table.copy(), tensor(table)
    layer, their_layer = ours.from_pretrained(mine), theirs.from_pretrained(yours)
    assert layer.trainable is their_layer.weight.requires_grad is False
    assert layer.mode == their_layer.mode if ours is pe.EmbeddingBag else True
    ids = rng.integers(0, ROWS, (4, 3))
    mine[ids[0]] = 7
    yours[tensor(ids[0])] = 7
    assert_close(layer(ids), their_layer(tensor(ids)))

    layer = ours.from_pretrained(mine, trainable=True, padding_idx=-1)
    their_layer = theirs.from_pretrained(yours, freeze=False, padding_idx=-1)
    assert layer.trainable is their_layer.weight.requires_grad is True
    ids[1] = ROWS - 1
    output = their_layer(tensor(ids))
    grad = draw(rng, table, output.shape)
    output.backward(tensor(grad))
    torch.optim.SGD(their_layer.parameters(), 0.5).step()
    pe.SparseSGD(layer, 0.5).step(layer.backward(ids, grad))
    assert_close(mine, yours)  # trained in the memory that was given
    np.testing.assert_array_equal(mine[-1], table[-1])


@pytest.mark.parametrize("padding_idx", [1, -2])
def test_the_padding_row_of_a_new_table(padding_idx):
    for ours, theirs in (
        (pe.Embedding, torch.nn.Embedding),
        (pe.EmbeddingBag, torch.nn.EmbeddingBag),
    ):
        made = ours(3, 2, padding_idx=padding_idx).embeddings
        peer = theirs(3, 2, padding_idx=padding_idx).weight.detach().numpy()
        np.testing.assert_array_equal(made == 0, peer == 0)
        assert not made[1].any()


def test_two_layers_on_one_table(table, rng):
    ids = rng.integers(0, ROWS, (6, 4))
    grad, bag_grad = draw(rng, table, (6, 4, DIM)), draw(rng, table, (6, DIM))
    ours, theirs = embeddings(table, padding_idx=3)
    bag = pe.EmbeddingBag.sharing(ours, mode="sum")
    their_bag = torch.nn.EmbeddingBag(ROWS, DIM, mode="sum", _weight=theirs.weight, padding_idx=3)
    their_bag.weight = theirs.weight
    output, pooled = theirs(tensor(ids)), their_bag(tensor(ids))
    assert_close(bag(ids), pooled)
    (output * tensor(grad)).sum().add((pooled * tensor(bag_grad)).sum()).backward()
    both = ours.backward(ids, grad) + bag.backward(ids, bag_grad)
    assert_close(both.to_dense(), theirs.weight.grad)
