"""Gradients of gradients of lookups: gradient penalties, Hessian-vector products."""

import pytest

from conformance.pytorch.peer import pt, torch
from conformance.pytorch.training import close

pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")

IDS = torch.tensor([1, 2, 2, 3, 0, 0, 4])
OFFSETS = torch.tensor([0, 3, 3, 5])
OPTIONS = [{}, {"padding_idx": 2}, {"scale_grad_by_freq": True}, {"max_norm": 50.0}]


def checked(module, *arguments, weights=None):
    """Gradcheck and gradgradcheck a module's rows by its weight, and by weights per sample."""
    torch.manual_seed(0)
    weight = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    inputs = (weight,) if weights is None else (weight, weights)

    def looked_up(weight, *weights):
        rows = torch.func.functional_call(module, {"weight": weight}, (*arguments, *weights))
        return rows.pow(2)

    return torch.autograd.gradgradcheck(looked_up, inputs)


@pytest.mark.parametrize("options", [{}, {"padding_idx": 2}, {"max_norm": 50.0}])
@pytest.mark.parametrize("shape", [(7,), (1, 7), ()])
def test_of_rows(options, shape):
    ids = IDS.view(shape) if shape else IDS[0]
    assert checked(pt.Embedding(5, 3, dtype=torch.float64, **options), ids)


@pytest.mark.parametrize("mode", ["sum", "mean", "sqrtn", "max"])
@pytest.mark.parametrize("options", [{}, {"padding_idx": 2}, {"padding_idx": 0}])
@pytest.mark.parametrize("form", ["offsets", "last", "matrix"])
def test_of_bags(mode, options, form):
    bag = pt.EmbeddingBag(
        5, 3, mode=mode, dtype=torch.float64, include_last_offset=form == "last", **options
    )
    given = {
        "offsets": (IDS, OFFSETS),
        "last": (IDS, torch.tensor([0, 3, 3, 5, 7])),
        "matrix": (IDS[:6].view(2, 3), None),
    }[form]
    assert checked(bag, *given)
    if mode != "max":
        weights = torch.rand(given[0].shape, dtype=torch.float64, requires_grad=True)
        assert checked(bag, *given, weights=weights)


def penalized(emb, *given, wrt, **weights):
    """The gradients of a loss with a penalty of its own gradients."""
    loss = emb(*given, **weights).pow(3).sum()
    found = torch.autograd.grad(loss, wrt, create_graph=True)
    dense = [grad.to_dense() if grad.is_sparse else grad for grad in found]
    (loss + sum(grad.pow(2).sum() for grad in dense)).backward()
    return [found[0].detach(), *(w.grad.to_dense() if w.grad.is_sparse else w.grad for w in wrt)]


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("options", [{}, {"padding_idx": 2}])
def test_a_penalty_of_the_gradient_is_that_of_torch(sparse, options):
    found = []
    for library in (pt, torch.nn):
        torch.manual_seed(0)
        emb = library.Embedding(5, 3, sparse=sparse, **options)
        first, second = penalized(emb, IDS, wrt=[emb.weight])
        assert first.is_sparse == sparse
        found.append((first.to_dense(), second))
    for ours, theirs in zip(*found, strict=True):
        close(ours, theirs)


def test_a_second_derivative_is_not_dropped():
    emb = pt.Embedding(3, 1, _weight=torch.tensor([[1.0], [2.0], [3.0]]))
    loss = emb(torch.tensor([1])).pow(2).sum()
    (g,) = torch.autograd.grad(loss, emb.weight, create_graph=True)
    (both,) = torch.autograd.grad(loss + g.pow(2).sum(), emb.weight)
    assert both.flatten().tolist() == [0, 20, 0]


@pytest.mark.parametrize("mode", ["sum", "mean", "max", "sqrtn"])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_with_a_graph_are_those_without(mode, sparse, weighted):
    if mode == "max" and weighted:
        return
    torch.manual_seed(0)
    for options in OPTIONS:
        if mode == "max" and "scale_grad_by_freq" in options:
            continue
        bag = pt.EmbeddingBag(5, 3, mode=mode, sparse=sparse, dtype=torch.float64, **options)
        wrt = [bag.weight]
        given = {}
        if weighted:
            given["per_sample_weights"] = torch.rand(7, dtype=torch.float64, requires_grad=True)
            wrt.append(given["per_sample_weights"])
        found = []
        for create_graph in (False, True):
            loss = bag(IDS, OFFSETS, **given).pow(3).sum()
            grads = torch.autograd.grad(loss, wrt, create_graph=create_graph)
            assert grads[0].is_sparse == sparse
            assert all(grad.requires_grad == create_graph for grad in grads)
            found.append([grad.detach().to_dense() for grad in grads])
        for plain, derivable in zip(*found, strict=True):
            torch.testing.assert_close(plain, derivable)


def test_frequencies_count_in_second_derivatives():
    ids = torch.tensor([1, 1, 2])
    emb = pt.Embedding(3, 2, scale_grad_by_freq=True)
    (grad,) = torch.autograd.grad(emb(ids).pow(2).sum(), emb.weight, create_graph=True)
    # 2 w of each row, of which a half is each position's; and that is scaled again.
    close(grad.detach()[1:], 2 * emb.weight.detach()[1:])
    (again,) = torch.autograd.grad(grad.sum(), emb.weight)
    assert again.tolist() == [[0, 0], [1, 1], [2, 2]]


def test_a_hessian_vector_product_and_batched_gradients():
    torch.manual_seed(0)
    emb, theirs = pt.Embedding(4, 2), torch.nn.Embedding(4, 2)
    with torch.no_grad():
        theirs.weight.copy_(emb.weight)
    found = []
    for module in (emb, theirs):
        rows = module(torch.tensor([1, 1, 3]))
        basis = torch.eye(6).view(6, 3, 2)
        (jacobian,) = torch.autograd.grad(
            rows, module.weight, basis, is_grads_batched=True, retain_graph=True
        )
        (grad,) = torch.autograd.grad(rows.pow(3).sum(), module.weight, create_graph=True)
        (product,) = torch.autograd.grad(grad, module.weight, torch.ones(4, 2))
        found.append((jacobian, product))
    for ours, expected in zip(*found, strict=True):
        close(ours, expected)


def test_exact_adams_rows_that_are_behind_count_as_they_are_read():
    bag = pt.EmbeddingBag(6, 3, mode="max", sparse=True)
    optimizer = pt.SparseAdam([bag.weight], lr=0.5, update="exact")
    for row in (0, 1, 2, 3, 3, 3):
        optimizer.zero_grad()
        bag(torch.tensor([[row]])).pow(2).sum().backward()
        optimizer.step()
    ids, found = torch.tensor([[0, 1, 2]]), []
    for create_graph in (False, True):
        loss = bag(ids).pow(2).sum()
        (grad,) = torch.autograd.grad(loss, bag.weight, create_graph=create_graph)
        found.append(grad.detach().to_dense())
    close(*found)


def test_what_is_updated_in_the_backward_pass_has_them_by_its_weights_too():
    bag = pt.EmbeddingBag(3, 1, mode="sum", _weight=torch.ones(3, 1))
    bag.fuse(lambda params: pt.SparseSGD(params, lr=1.0))
    weights = torch.tensor([[2.0]], requires_grad=True)
    loss = bag(torch.tensor([[1]]), per_sample_weights=weights).pow(2).sum()
    (slope,) = torch.autograd.grad(loss, weights, create_graph=True)  # 2 s w^2
    assert slope.item() == 4.0
    assert bag.weight.flatten().tolist() == [1, 1, 1]
    slope.sum().backward()  # 2 w^2 by s, 4 s w by w
    assert weights.grad.item() == 2.0
    assert bag.weight.flatten().tolist() == [1, -7, 1]
