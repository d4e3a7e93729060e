"""Our classes under torch's names, and beside libraries that list torch's subclasses."""

import copy
import pickle

import pytest

from conformance.pytorch.peer import pt, torch
from conformance.pytorch.test_torch_package import run

OWN = torch.nn.Embedding, torch.nn.EmbeddingBag, torch.optim.SparseAdam
OURS = pt.Embedding, pt.EmbeddingBag, pt.SparseAdam


def named():
    return torch.nn.Embedding, torch.nn.EmbeddingBag, torch.optim.SparseAdam


@pytest.fixture(autouse=True)
def _unpatched():
    yield
    pt.unpatch()
    assert named() == OWN


class Model(torch.nn.Module):
    """As in a library that cannot be edited."""

    def __init__(self):
        super().__init__()
        self.emb = torch.nn.Embedding(6, 3, padding_idx=0, sparse=True)
        self.bag = torch.nn.EmbeddingBag.from_pretrained(torch.ones(6, 3), freeze=False)

    def forward(self, ids):
        return self.emb(ids).sum(1) + self.bag(ids)


def test_a_model_is_made_of_ours_and_trains():
    theirs = torch.nn.Embedding(6, 3)
    with pt.patch():
        assert named() == OURS
        model = Model()
        optimizer = torch.optim.SparseAdam(model.emb.parameters())
        model(torch.tensor([[1, 2]])).sum().backward()
        optimizer.step()
        again = pickle.loads(pickle.dumps(copy.deepcopy(model.half().float())))
        assert torch.equal(again(torch.tensor([[1, 2]])), model(torch.tensor([[1, 2]])))
        assert type(pickle.loads(pickle.dumps(theirs))) is OWN[0]  # torch's own still pickles
    assert named() == OWN
    assert [type(model.emb), type(model.bag), type(optimizer)] == list(OURS)


def test_calls_and_blocks_within_each_other():
    pt.patch()
    with pt.patch():
        assert named() == OURS
    assert named() == OURS
    pt.unpatch()
    assert named() == OWN
    pt.unpatch()
    with pytest.raises(RuntimeError, match="on purpose"), pt.patch():
        raise RuntimeError("on purpose")
    assert named() == OWN
    with pt.patch():
        pt.unpatch()
        assert named() == OWN


def test_a_class_that_somebody_else_put_there_comes_back(monkeypatch):
    class Other(torch.nn.Embedding):
        pass

    monkeypatch.setattr(torch.nn, "Embedding", Other)
    with pt.patch():
        assert torch.nn.Embedding is pt.Embedding
    assert torch.nn.Embedding is Other


SWAPPED_BY_HAND = """
import importlib, warnings
import torch, pyembed.torch as pt
warnings.simplefilter("ignore")
torch.nn.Embedding = torch.nn.modules.Embedding = pt.Embedding
torch.nn.EmbeddingBag = pt.EmbeddingBag
torch.optim.SparseAdam, torch.optim.Adagrad = pt.SparseAdam, pt.SparseAdagrad
torch.optim.SGD, torch.optim.RMSprop = pt.SparseSGD, pt.SparseRMSprop
ids = torch.tensor([1])

class Twice(torch.nn.Embedding):
    def forward(self, ids):
        return super().forward(ids) * 2

for module in (torch.nn.Embedding(4, 3, sparse=True), Twice(4, 3, sparse=True)):
    for optimizer in (torch.optim.SparseAdam, torch.optim.Adagrad, torch.optim.SGD):
        trained = optimizer(module.parameters(), lr=0.1)
        module(ids).sum().backward()
        trained.step()
    torch.jit.trace(module, (ids,))
    torch.export.export(module, (ids,))
    module.half()(ids)
torch.jit.script(torch.nn.Embedding(4, 3))
torch.nn.EmbeddingBag.from_pretrained(torch.ones(4, 3))(ids[None])
import pyembed.torch.embedding
assert importlib.reload(pyembed.torch.embedding).Embedding(4, 3)(ids).shape == (1, 3)
"""


def test_names_that_are_swapped_by_hand(tmp_path):
    run(SWAPPED_BY_HAND, tmp_path)


def subclasses(cls):
    """As class_resolver lists them, for pykeen: by name, those of the base's own package."""
    for subclass in cls.__subclasses__():
        yield from subclasses(subclass)
        if subclass.__module__.split(".")[0] == cls.__module__.split(".")[0]:
            yield subclass


def test_who_lists_torchs_optimizers_finds_no_name_twice():
    names = [cls.__name__.lower() for cls in set(subclasses(torch.optim.Optimizer))]
    assert names.count("sparseadam") == 1
    assert isinstance(pt.SparseAdam([torch.nn.Parameter(torch.ones(1))]), torch.optim.Optimizer)


def test_pykeens_resolver_is_made_after_ours_are_imported(tmp_path):
    pytest.importorskip("class_resolver")
    run("import pyembed.torch, class_resolver.contrib.torch", tmp_path)
