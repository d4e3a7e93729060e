"""`SparseAdam(update="exact")` on torch's tensors: dense Adam's weights."""

import copy
import pickle

import pytest

from conformance.pytorch.peer import pt, torch
from conformance.pytorch.training import batches, train


def dense_adam(weight, ids_of_steps, lr=0.05, betas=(0.9, 0.999), eps=1e-8, decay=0.0):
    """Adam on all rows, epsilon before the bias correction, in float64."""
    w = weight.detach().clone().requires_grad_()
    m, v = torch.zeros_like(w), torch.zeros_like(w)
    for step, ids in enumerate(ids_of_steps, 1):
        w.grad = None
        ((torch.nn.functional.embedding(ids, w) - 0.3) ** 2).sum().backward()
        m += (1 - betas[0]) * (w.grad - m)
        v += (1 - betas[1]) * (w.grad**2 - v)
        rate = lr * (1 - betas[1] ** step) ** 0.5 / (1 - betas[0] ** step)
        with torch.no_grad():
            w *= 1 - lr * decay
            w -= rate * m / (v.sqrt() + eps)
    return w.detach()


def exact(weight, **options):
    emb = pt.Embedding(40, 6, sparse=True, _weight=weight.detach().clone())
    return emb, pt.SparseAdam(emb.parameters(), lr=0.05, update="exact", **options)


def same(found, expected):
    torch.testing.assert_close(found.detach(), expected, rtol=1e-7, atol=1e-9)


@pytest.fixture
def weight():
    torch.manual_seed(0)
    return torch.randn(40, 6, dtype=torch.float64)


def few(seed, steps):
    return list(batches(seed, steps, shape=(2,)))


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("fused", [False, True])
def test_weights_are_those_of_a_dense_adam(weight, decay, fused):
    emb, optimizer = exact(weight, weight_decay=decay)
    if fused:
        emb.fuse(optimizer)
    train(emb, optimizer, few(1, 60))
    expected = dense_adam(weight, few(1, 60), decay=decay)
    same(emb(torch.arange(40)), expected)  # lookups are up to date
    assert (emb.weight != expected).any()  # and the weight itself
    optimizer.flush()
    same(emb.weight, expected)


def test_saving_copying_and_loading_bring_rows_up_to_date(weight):
    emb, optimizer = exact(weight)
    train(emb, optimizer, few(1, 20))
    expected = dense_adam(weight, few(1, 20) + few(2, 20))
    copies = [pickle.loads(pickle.dumps((emb, optimizer))), copy.deepcopy((emb, optimizer))]
    again, resumed = exact(torch.zeros_like(weight))
    train(again, resumed, few(3, 5))  # rows that are behind when others are loaded
    again.load_state_dict(emb.state_dict())
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for other, further in ((emb, optimizer), (again, resumed), *copies):
        train(other, further, few(2, 20))
        same(other(torch.arange(40)), expected)


def test_another_optimizer_takes_over(weight):
    emb, optimizer = exact(weight)
    train(emb, optimizer, few(1, 20))
    expected = dense_adam(weight, few(1, 20))
    still = pt.SparseSGD(emb.parameters(), lr=0.0)
    train(emb, still, few(2, 1))
    same(emb.weight, expected)
    train(emb, optimizer, few(2, 20))
    same(emb(torch.arange(40)), dense_adam(weight, few(1, 20) + few(2, 20)))


def test_changed_betas_count_from_then_on(weight):
    emb, optimizer = exact(weight)
    train(emb, optimizer, few(1, 20))
    expected = emb(torch.arange(40)).detach()
    optimizer.param_groups[0]["betas"] = (0.8, 0.999)
    optimizer.param_groups[0]["lr"] = 0.0
    train(emb, optimizer, few(2, 1))
    same(emb(torch.arange(40)), expected)


def test_other_modules_are_refused(weight):
    emb = torch.nn.Embedding(40, 6, sparse=True)
    optimizer = pt.SparseAdam(emb.parameters(), update="exact")
    with pytest.raises(ValueError, match="other lookups would read rows that are behind"):
        train(emb, optimizer, few(1, 1))
    emb, optimizer = exact(weight)
    train(emb, optimizer, few(1, 1))
    other = pt.Embedding(40, 6, padding_idx=0)
    other.weight = emb.weight
    with pytest.raises(RuntimeError, match="can be shared only by modules with the same padding"):
        other(torch.tensor([1]))
    with pytest.raises(ValueError, match="needs more than 24 terms"):
        pt.SparseAdam(emb.parameters(), betas=(0.99, 0.5), update="exact")


@pytest.mark.parametrize(
    "move",
    [
        torch.nn.Module.float,
        torch.nn.Module.share_memory,
        lambda model: model.to(torch.float32),
        lambda model: model._apply(torch.clone),
    ],
)
def test_moving_a_model_brings_rows_up_to_date(weight, move):
    emb, optimizer = exact(weight)
    train(emb, optimizer, few(1, 20))
    optimizer.zero_grad()
    move(torch.nn.Sequential(emb))
    moved, expected = emb.weight.detach().double(), dense_adam(weight, few(1, 20))
    torch.testing.assert_close(moved, expected, rtol=1e-6, atol=1e-6)
    train(emb, optimizer, few(2, 20))
    found = emb(torch.arange(40)).detach().double()
    expected = dense_adam(weight, few(1, 20) + few(2, 20))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
