"""Whose memory gradients are, and what lookups leave of the memory that they read."""

import subprocess
import sys
from pathlib import Path

import pytest

from conformance.pytorch.peer import pt, torch

IDS = torch.tensor([1, 2, 5])
ONES = torch.ones(3, 3)


def added(a, b, x):
    return ((a(IDS) + b(IDS)) * ONES).sum()


def viewed(a, b, x):
    return ((a(IDS).view(9) + b(IDS).view(9)) * ONES.view(9)).sum()


def viewed_beside_a_leaf(a, b, x):
    return ((a(IDS).view(9) + x.view(9)) * ONES.view(9)).sum() + (b(IDS) * ONES).sum()


def beside_a_leaf(a, b, x):
    return ((x + a(IDS) + b(IDS)) * ONES).sum()


def expanded(a, b, x):
    return (a(IDS) + b(IDS)).sum()


def joined(a, b, x):
    return (torch.cat([a(IDS), b(IDS)]) * torch.ones(6, 3)).sum()


def negated(a, b, x):
    return ((a(IDS) + b(IDS)) * -ONES).sum() * -1


@pytest.mark.parametrize(
    "loss", [added, viewed, viewed_beside_a_leaf, beside_a_leaf, expanded, joined, negated]
)
def test_gradients_share_no_memory(loss):
    a, b = (pt.Embedding(10, 3, sparse=True) for _ in range(2))
    x = torch.zeros(3, 3, requires_grad=True)
    loss(a, b, x).backward()
    for grad in (a.weight.grad._values(), b.weight.grad._values(), x.grad):
        if grad is not None:
            grad.div_(2)
    for emb in (a, b):
        assert emb.weight.grad.to_dense()[IDS].eq(0.5).all()
    assert x.grad is None or x.grad.eq(0.5).all()


@pytest.mark.parametrize("as_view", [False, True])
def test_gradients_do_not_share_the_users_memory(as_view):
    emb = pt.Embedding(10, 3, sparse=True)
    upstream, kept = torch.ones(3, 3), []
    emb(IDS).backward(upstream.view(3, 3) if as_view else upstream)
    rows = emb(IDS)
    rows.register_hook(kept.append)
    (rows * ONES).sum().backward()
    emb.weight.grad._values().div_(2)
    assert upstream.eq(1).all()
    assert kept[0].eq(1).all()


@pytest.mark.skipif(not hasattr(torch.Tensor, "_use_count"), reason="torch does not count")
@pytest.mark.parametrize("as_view", [False, True])
def test_gradients_that_nobody_holds_are_not_copied(as_view):
    emb = pt.Embedding(10, 3, sparse=True)
    for _ in range(2):  # the first counts how many hold such a gradient
        emb.weight.grad, at = None, []
        rows = emb(IDS)
        rows.register_hook(lambda grad: at.append(grad.data_ptr()))  # noqa: B023
        if as_view:
            (rows.view(9) * ONES.view(9)).sum().backward()
        else:
            (rows * ONES).sum().backward()
    assert emb.weight.grad._values().data_ptr() == at[0]


def test_gradient_scaling_unscales_each_once():
    a, b = (pt.Embedding(10, 3, sparse=True, _weight=torch.ones(10, 3)) for _ in range(2))
    optimizer = torch.optim.SGD([a.weight, b.weight], lr=1.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    scaler.scale(added(a, b, None)).backward()
    scaler.step(optimizer)
    assert a.weight[1].tolist() == b.weight[1].tolist() == [0.0] * 3


@pytest.mark.filterwarnings("ignore:The number of elements in the out tensor:UserWarning")
@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized:UserWarning")
def test_what_lookups_read_can_be_resized():
    ids, offsets = torch.tensor([1, 2, 5]), torch.tensor([0, 2])
    weights = torch.ones(3, requires_grad=True)
    upstream = torch.ones(2, 3)
    emb = pt.Embedding(10, 3, sparse=True, _weight=torch.ones(10, 3))
    bag = pt.EmbeddingBag(10, 3, mode="sum", sparse=True, _weight=torch.ones(10, 3))
    optimizer = pt.SparseAdam([emb.weight, bag.weight])
    (emb(ids) * ONES).sum().backward()
    bag(ids, offsets, weights).backward(upstream)
    optimizer.step()
    for tensor in (ids, offsets, weights, upstream, emb.weight, bag.weight):
        assert tensor.untyped_storage().resizable()
    torch.arange(5, out=ids)
    emb.weight.data.resize_(5000, 3).fill_(7.0)  # in other memory
    assert emb(torch.tensor([1])).tolist() == [[7.0] * 3]


def test_memory_that_was_freed_is_not_read():
    emb = pt.Embedding(10, 3, _weight=torch.ones(10, 3))
    bag = pt.EmbeddingBag(10, 3, mode="max", _weight=emb.weight)
    bag.weight = emb.weight
    ids = torch.tensor([[1, 2]])
    emb(ids)
    rows = bag(ids)
    emb.weight.untyped_storage().resize_(0)
    # Both in torch's own words.
    with pytest.raises(RuntimeError, match="out of bounds for storage of size 0"):
        emb(ids)
    with pytest.raises(RuntimeError, match="its data is not allocated yet"):
        bag(ids)
    with pytest.raises(RuntimeError, match="storage was freed"):
        rows.sum().backward()
    ids.untyped_storage().resize_(0)
    with pytest.raises(RuntimeError, match="storage was freed"):
        pt.Embedding(10, 3)(ids)


def test_memory_that_was_moved_is_read_where_it_is():
    bag = pt.EmbeddingBag(10, 3, mode="max", _weight=torch.arange(30.0).view(10, 3))
    rows = bag(torch.tensor([[1, 2]]))
    values = bag.weight.detach().clone()
    storage = bag.weight.untyped_storage()
    storage.resize_(0)
    blocks = [torch.empty(30) for _ in range(8)]  # which take the place that is free
    storage.resize_(values.nbytes)
    bag.weight.detach().data.copy_(values)
    rows.sum().backward()
    assert bag.weight.grad[2].tolist() == [1.0] * 3
    del blocks


@pytest.mark.skipif(sys.platform == "win32", reason="the stores of gloo are slow there")
@pytest.mark.skipif(not torch.distributed.is_available(), reason="no torch.distributed")
def test_two_processes_shard_the_tables(tmp_path):
    program = Path(__file__).parent / "sharded.py"
    command = [sys.executable, program, tmp_path / "store"]
    ranks = [
        subprocess.Popen([*command, str(rank)], stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    errors = [rank.communicate(timeout=120)[1] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], "\n".join(errors)
