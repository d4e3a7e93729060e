"""Modules that share a weight, but not their options."""

import pytest

from conformance.pytorch.peer import pt, torch
from conformance.pytorch.training import close

DIFFER = r"can be shared only by modules with the same padding_idx and max_norm"


def pair(library, options):
    """A module with padding, and another without, on one weight."""
    torch.manual_seed(0)
    padded = library.Embedding(6, 3, padding_idx=0, sparse=True)
    other = library.Embedding(6, 3, sparse=True, **options)
    other.weight = padded.weight
    return padded, other


@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")  # torch's own
@pytest.mark.parametrize("options", [{}, {"max_norm": 0.5}, {"padding_idx": 1}], ids=str)
@pytest.mark.parametrize("padded_first", [True, False])
@pytest.mark.parametrize("trained", [[0], [1], [0, 1]])
def test_each_has_its_own_rule(options, padded_first, trained):
    weights = []
    for library, descent in ((pt, pt.SparseSGD), (torch.nn, torch.optim.SGD)):
        modules = pair(library, options)
        weight = modules[0].weight
        optimizer = descent([weight], lr=0.1)
        ids = torch.tensor([0, 1, 2, 0, 5])
        for _ in range(3):
            optimizer.zero_grad()
            losses = {}
            for at in (0, 1) if padded_first else (1, 0):
                losses[at] = (modules[at](ids) - 0.3).pow(2).sum()
            sum(losses[at] for at in trained).backward()
            optimizer.step()
        weights.append(weight.detach())
    close(*weights)


def test_updates_in_the_backward_pass_are_refused():
    padded, other = pair(pt, {})
    padded.fuse(pt.SparseSGD)
    other.fuse(padded.optimizer)
    before = padded.weight.detach().clone()
    for modules in ((padded, other), (other, padded)):
        loss = sum(m(torch.tensor([0, 1])).sum() for m in modules)
        with pytest.raises(RuntimeError, match=f"is updated in the backward pass {DIFFER}"):
            loss.backward()
    assert torch.equal(padded.weight, before)


def test_exact_adam_is_refused():
    padded, other = pair(pt, {})
    optimizer = pt.SparseAdam([padded.weight], update="exact")
    (padded(torch.tensor([0, 1])).sum() + other(torch.tensor([0, 1])).sum()).backward()
    before = padded.weight.detach().clone()
    with pytest.raises(RuntimeError, match=rf"SparseAdam\(update='exact'\) trains {DIFFER}"):
        optimizer.step()
    assert torch.equal(padded.weight, before)
