"""Lookups of few ids, which torch's own function does: the same bits as those of many."""

import numpy as np
import pytest

import pyembed as pe
from conformance.pytorch.peer import pt, torch

ROWS, DIM = 300, 7


def drawn(count, id_type=torch.int64):
    """Ids of which one is more than half of all, and gradients that rounding changes."""
    rng = np.random.default_rng(count)
    ids = np.where(rng.random(count) < 0.6, 5, rng.integers(0, ROWS, count))
    grad = rng.standard_normal((count, DIM)).astype(np.float32)
    grad[rng.random(grad.shape) < 0.1] = -0.0
    return torch.from_numpy(ids).to(id_type), torch.from_numpy(grad)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("padding_idx", [None, 5])
@pytest.mark.parametrize("id_type", [torch.int64, torch.int32, torch.int16])
@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 8192, 8193])
def test_rows_and_gradients_are_the_bits_of_the_core(count, id_type, padding_idx, sparse):
    module = pt.Embedding(ROWS, DIM, padding_idx, sparse=sparse)
    layer = pe.Embedding.from_pretrained(
        module.weight.detach().numpy().copy(), trainable=True, padding_idx=padding_idx
    )
    ids, upstream = drawn(count, id_type)
    for _ in range(2):  # only a second lookup may be torch's
        module.weight.grad = None
        rows = module(ids)
        rows.backward(upstream)
        assert rows.detach().numpy().tobytes() == layer(ids.numpy()).tobytes()
        grad = layer.backward(ids.numpy(), upstream.numpy())
        if sparse:
            found = module.weight.grad
            assert found._indices()[0].tolist() == grad.ids.tolist()
            np.testing.assert_array_equal(found._values().numpy(), grad.values)
        else:
            assert module.weight.grad.numpy().tobytes() == grad.to_dense().tobytes()


@pytest.mark.parametrize("count", [3, 10_000])
@pytest.mark.parametrize("kind", [pt.Embedding, pt.EmbeddingBag])
def test_a_buffer_of_ids_may_be_reused_before_the_step(kind, count):
    module = kind(2 * count, 1, sparse=True, _weight=torch.zeros(2 * count, 1))
    ids = torch.empty(1, count, dtype=torch.long)
    for start in (0, 0, count):
        module.weight.grad = module.weight.grad if start else None
        ids.copy_(torch.arange(start, start + count))
        module(ids).sum().backward()
    torch.optim.SGD([module.weight], lr=1.0).step()
    expected = -1.0 if kind is pt.Embedding else -1.0 / count
    assert module.weight.detach().allclose(torch.tensor(expected))


@pytest.mark.parametrize("count", [2, 10_000])
def test_an_id_outside_the_table_is_named(count):
    module = pt.Embedding(6, 2)
    ids = torch.zeros(count, dtype=torch.long)
    module(ids)
    ids[-1] = 6
    with pytest.raises(IndexError, match=f"id 6 at position {count - 1} "):
        module(ids)


def test_options_that_change_count_in_the_next_lookup():
    module = pt.Embedding(6, 2, _weight=torch.ones(6, 2))
    ids = torch.tensor([1, 1])
    module(ids)
    module.sparse = True
    module(ids).sum().backward()
    assert module.weight.grad.is_sparse
    module.weight.grad = None
    module.sparse, module.scale_grad_by_freq = False, True
    module(ids).sum().backward()
    assert module.weight.grad[1].tolist() == [1.0, 1.0]
    module.max_norm = 1.0
    assert module(ids).norm(dim=1).allclose(torch.ones(2))
    module.max_norm, module.padding_idx, module.scale_grad_by_freq = None, 1, False
    module.weight.grad = None
    module(ids).sum().backward()
    assert module.weight.grad.abs().sum() == 0


def test_rows_that_are_behind_are_made_up_for_in_small_lookups():
    weights = []
    for update in ("lazy", "exact"):
        torch.manual_seed(0)
        module = pt.Embedding(50, 3, sparse=True)
        ids = torch.arange(50)
        module(ids)
        optimizer = pt.SparseAdam(module.parameters(), lr=0.1, update=update)
        for _ in range(3):
            optimizer.zero_grad()
            module(torch.tensor([1, 2])).pow(2).sum().backward()
            optimizer.step()
        optimizer.zero_grad()
        module(torch.tensor([3])).pow(2).sum().backward()
        optimizer.step()
        read = module(ids).detach().clone()
        module.state_dict()  # brings all rows up to date
        assert torch.equal(read, module.weight)
        weights.append(read)
    assert not torch.equal(*weights)


def test_a_weight_that_is_trained_later_keeps_its_gradients_apart():
    a, b = (pt.Embedding(10, 3, sparse=True, _freeze=True) for _ in range(2))
    ids = torch.tensor([1, 2, 5])
    for module in (a, b):
        module(ids)
        module.weight.requires_grad_(True)
    ((a(ids) + b(ids)) * torch.ones(3, 3)).sum().backward()
    for module in (a, b):
        module.weight.grad._values().div_(2)
        assert module.weight.grad.to_dense()[ids].eq(0.5).all()
