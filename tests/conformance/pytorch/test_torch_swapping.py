"""Weights that are swapped, freed or shared after a lookup, and tables that outlive modules."""

import copy
import gc
import weakref

import pytest

from conformance.pytorch.peer import pt, torch
from conformance.pytorch.training import close
from pyembed.torch import _tables

nn = torch.nn
IDS = torch.tensor([[0, 1], [1, 5]])


@pytest.fixture
def swapping():
    torch.__future__.set_swap_module_params_on_conversion(True)
    yield
    torch.__future__.set_swap_module_params_on_conversion(False)


@pytest.mark.parametrize("kind", ["Embedding", "EmbeddingBag"])
@pytest.mark.usefixtures("swapping")
def test_a_weight_is_swapped_after_a_lookup(kind):
    emb = getattr(pt, kind)(6, 3, sparse=True)
    before = emb(IDS).detach()
    weight = emb.weight
    emb.double()
    assert emb.weight is weight
    close(emb(IDS), before.double())
    emb.load_state_dict({"weight": torch.ones(6, 3)})
    emb(IDS).sum().backward()
    pt.SparseSGD([weight], lr=1.0).step()
    assert weight[5].tolist() != [1.0] * 3
    torch.utils.swap_tensors(emb.weight, nn.Parameter(torch.full((6, 3), 2.0)))
    assert emb(IDS).unique().numel() == 1
    assert emb(IDS).dtype == torch.float32


@pytest.mark.usefixtures("swapping")
def test_a_weight_that_exact_adam_trains_is_swapped():
    emb = pt.Embedding(6, 3, sparse=True)
    optimizer = pt.SparseAdam(emb.parameters(), lr=0.1, update="exact")
    other = copy.deepcopy((emb, optimizer))
    for swaps, (module, trained_by) in ((False, other), (True, (emb, optimizer))):
        for ids in (IDS, IDS[:1], IDS[1:], IDS):
            trained_by.zero_grad()
            module(ids).pow(2).sum().backward()
            trained_by.step()
            if swaps:
                trained_by.zero_grad()
                module.double().float()
        trained_by.flush()
    close(emb.weight, other[0].weight)


@pytest.mark.parametrize("kind", ["Embedding", "EmbeddingBag"])
def test_a_weight_whose_storage_was_freed(kind):
    messages = []
    for module in (getattr(pt, kind)(6, 3), getattr(nn, kind)(6, 3)):
        module.weight = nn.Parameter(torch.ones(6, 3))
        module.weight.untyped_storage().resize_(0)
        with pytest.raises(RuntimeError) as raised:
            module(IDS)
        messages.append(str(raised.value))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("kind", ["Embedding", "EmbeddingBag"])
@pytest.mark.parametrize("shape", [(3,), (), (4, 3, 2)])
def test_a_weight_that_is_no_matrix(kind, shape):
    messages = []
    for module in (getattr(pt, kind)(6, 3), getattr(nn, kind)(6, 3)):
        module.weight = nn.Parameter(torch.ones(shape))
        with pytest.raises((IndexError, RuntimeError, ValueError)) as raised:
            module(IDS)
        messages.append((type(raised.value), str(raised.value)))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("update", ["lazy", "exact"])
def test_a_module_is_gone_before_its_backward_pass(update):
    def looked_up():
        emb = pt.Embedding(6, 3, optimizer=lambda p: pt.SparseAdam(p, lr=0.1, update=update))
        weights.append((emb.weight, emb.weight.detach().clone(), emb.optimizer))
        return emb(IDS)

    weights = []
    looked_up().sum().backward()
    [(weight, before, optimizer)] = weights
    gc.collect()
    optimizer.flush()
    assert ((weight - before).abs() > 0.09).all(1).tolist() == [True, True, *[False] * 3, True]


def test_rows_that_are_behind_outlive_their_module():
    found = []
    for update in ("exact", None):
        torch.manual_seed(0)
        emb = pt.Embedding(6, 3, sparse=update is not None)
        make = torch.optim.Adam if update is None else pt.SparseAdam
        optimizer = make(emb.parameters(), lr=0.1, **({"update": update} if update else {}))
        for ids in (IDS, IDS[:1], IDS[:1]):
            optimizer.zero_grad()
            emb(ids).sum().backward()
            optimizer.step()
        weight = emb.weight
        del emb
        gc.collect()
        if update:
            optimizer.flush()
        found.append(weight.detach())
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)


def test_memory_is_freed_with_the_module():
    emb = pt.Embedding(6, 3)
    bag = pt.EmbeddingBag(6, 3, padding_idx=1)
    bag.weight = emb.weight
    emb(IDS), bag(IDS)
    tables = [weakref.ref(module._held.lookup.table) for module in (emb, bag)]
    assert tables[0]() is not tables[1]()
    assert tables[0]().steps is tables[1]().steps is _tables.known_table(emb.weight)
    weight = emb.weight
    del emb, bag
    gc.collect()
    assert [table() for table in tables] == [None, None]
    assert _tables.known_table(weight) is None


def test_modules_that_share_a_weight_and_differ_go_on_alike():
    emb = pt.Embedding(6, 3, sparse=True)
    bag = pt.EmbeddingBag(6, 3, padding_idx=1, sparse=True)
    bag.weight = emb.weight
    for _ in range(2):
        emb(IDS)
        first = emb._held.lookup
        bag(IDS)
        emb(IDS)
        assert emb._held.lookup is first  # made once
    emb.padding_idx = 0
    (emb(IDS).sum() + bag(IDS).sum()).backward()
    counted = emb.weight.grad.to_dense()[:, 0].tolist()
    close(torch.tensor(counted), torch.tensor([1.0, 2.0, 0, 0, 0, 2.0]))


def test_what_a_module_holds_is_not_copied():
    emb = pt.Embedding(6, 3)
    emb(IDS)
    assert "_held" not in emb.__getstate__()
    other = copy.deepcopy(emb)
    other.weight.data.zero_()
    assert not torch.equal(emb(IDS), other(IDS))
