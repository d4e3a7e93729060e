import pytest

from conformance.pytorch.peer import torch
from conformance.pytorch.training import close, model
from pyembed.torch import clip_grad_norm_


def gradients(sparse):
    """Parameters with gradients: a table's and a dense one."""
    emb, linear = model(), torch.nn.Linear(6, 2)
    with torch.no_grad():
        linear.weight.fill_(0.5)
    emb.sparse = sparse
    linear(emb(torch.tensor([1, 1, 4]))).pow(2).sum().backward()
    unused = torch.nn.Parameter(torch.ones(2))
    linear.bias.grad = None
    return [emb.weight, linear.weight, unused]


@pytest.mark.parametrize("norm_type", [2.0, 1.0, float("inf"), 3])
@pytest.mark.parametrize("max_norm", [0.1, 1e6])
def test_norms_and_gradients_are_those_of_dense_ones(norm_type, max_norm):
    torch.manual_seed(0)
    theirs = gradients(sparse=False)
    torch.manual_seed(0)
    ours = gradients(sparse=True)
    before = ours[0].grad
    norm = clip_grad_norm_(iter(ours), max_norm, norm_type, foreach=True)
    close(norm, torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type))
    close(ours[0].grad.to_dense(), theirs[0].grad)
    close(ours[1].grad, theirs[1].grad)
    assert ours[2].grad is None
    assert (ours[0].grad is before) == (max_norm > 1)
    assert ours[0].grad.is_coalesced() == (max_norm < 1)


def test_upstream_gradients_are_left_alone():
    emb = model()
    upstream = torch.ones(2, 6)
    emb(torch.tensor([1, 2])).backward(upstream)
    clip_grad_norm_(emb.weight, 0.1)
    assert torch.equal(upstream, torch.ones(2, 6))
    close(emb.weight.grad.to_dense().norm(), torch.tensor(0.1))


def test_norms_that_are_not_finite():
    emb = model()
    emb(torch.tensor([1, 2])).backward(torch.full((2, 6), float("nan")))
    with pytest.raises(RuntimeError, match=r"norm of order 2.0 for gradients .* is non-finite"):
        clip_grad_norm_(emb.parameters(), 1.0, error_if_nonfinite=True)
    assert not emb.weight.grad.is_coalesced()
    assert clip_grad_norm_(emb.parameters(), 1.0).isnan()
    assert clip_grad_norm_([torch.ones(2)], 1.0) == 0.0


def test_several_sparse_axes():
    p = torch.nn.Parameter(torch.zeros(3, 4))
    p.grad = torch.sparse_coo_tensor(
        torch.tensor([[0, 0], [1, 1]]), torch.tensor([3.0, 1.0]), (3, 4), check_invariants=True
    )
    assert clip_grad_norm_([p], 1.0) == 4.0
    close(p.grad.to_dense()[0, 1], torch.tensor(1.0))
