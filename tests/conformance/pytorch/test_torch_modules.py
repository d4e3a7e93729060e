"""`pyembed.torch.Embedding` and `EmbeddingBag` beside the modules that they stand for."""

import copy
import pickle

import pytest

from conformance.pytorch.peer import pt, torch
from conformance.pytorch.training import batches, close, train
from pyembed.torch import _tables

nn = torch.nn


def both(kind, *args, **options):
    """Our module and torch's, made alike."""
    made = []
    for module in (getattr(pt, kind), getattr(nn, kind)):
        torch.manual_seed(0)
        made.append(module(*args, **options))
    return made


def dense(grad):
    return grad.to_dense() if grad.is_sparse else grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"padding_idx": 2}, {"padding_idx": -1}, {"max_norm": 1.5, "norm_type": 1.0}]
)
@pytest.mark.parametrize("shape", [(), (0,), (7,), (3, 4)])
@pytest.mark.parametrize("id_type", [torch.int32, torch.int64])
def test_lookups_and_gradients(dtype, sparse, options, shape, id_type):
    ours, theirs = both("Embedding", 10, 5, **options, sparse=sparse, dtype=dtype)
    assert torch.equal(ours.weight, theirs.weight)
    ids = torch.randint(0, 10, shape, dtype=id_type)
    upstream = torch.randn(*shape, 5, dtype=dtype)
    ours(ids).backward(upstream)
    theirs(ids.reshape(-1)).backward(upstream.reshape(-1, 5))  # a 0-d id is too much for it
    close(ours(ids), theirs(ids))
    close(ours.weight, theirs.weight)
    assert ours.weight.grad.is_sparse == sparse
    close(dense(ours.weight.grad), dense(theirs.weight.grad))
    assert repr(ours) == repr(theirs)


def test_frequency_with_dense_and_sparse_gradients():
    ours, theirs = both("Embedding", 10, 5, scale_grad_by_freq=True)
    sparse = pt.Embedding(10, 5, scale_grad_by_freq=True, sparse=True)
    ids = torch.tensor([[1, 1, 4], [1, 2, 4]])
    for emb in (ours, theirs, sparse):
        emb(ids).sum().backward()
    close(ours.weight.grad, theirs.weight.grad)
    close(sparse.weight.grad.to_dense(), theirs.weight.grad)


BAGS = [
    (torch.tensor([[1, 2, 2], [3, 3, 9]]), None),
    (torch.tensor([1, 2, 2, 3, 3, 9]), torch.tensor([0, 0, 2, 6])),
    (torch.tensor([1, 2, 2, 3]), torch.tensor([0, 1], dtype=torch.int64)),
    (torch.empty(0, dtype=torch.long), torch.tensor([0, 0])),
]


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("options", [{}, {"padding_idx": 3}, {"max_norm": 1.0}])
@pytest.mark.parametrize(("ids", "offsets"), BAGS)
def test_bags_and_their_gradients(mode, sparse, options, ids, offsets):
    ours, theirs = both("EmbeddingBag", 10, 5, mode=mode, **options)
    ours.sparse = sparse
    for emb in (ours, theirs):
        out = emb(ids, offsets)
        (out * torch.arange(out.numel()).view_as(out)).sum().backward()
    close(ours(ids, offsets), theirs(ids, offsets))
    assert ours.weight.grad.is_sparse == sparse
    close(dense(ours.weight.grad), theirs.weight.grad)


@pytest.mark.parametrize("include_last_offset", [False, True])
def test_weights_of_samples(include_last_offset):
    ours, theirs = both("EmbeddingBag", 10, 5, mode="sum", include_last_offset=include_last_offset)
    ids, offsets = torch.tensor([1, 2, 2, 3]), torch.tensor([0, 3, 4])[: 2 + include_last_offset]
    found = []
    for emb in (ours, theirs):
        weights = torch.linspace(0, 1, 4).requires_grad_()
        emb(ids, offsets, weights).pow(2).sum().backward()
        found.append(weights.grad)
    close(*found)
    close(ours.weight.grad, theirs.weight.grad)


def test_gradients_by_finite_differences():
    ids, offsets = torch.tensor([1, 2, 2, 3]), torch.tensor([0, 3])
    weight = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    weights = torch.rand(4, dtype=torch.float64, requires_grad=True)

    def looked_up(module, *arguments):
        return lambda w, *s: torch.func.functional_call(module, {"weight": w}, (*arguments, *s))

    emb = pt.Embedding(5, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(looked_up(emb, ids), (weight,))
    for mode in ("sum", "mean", "sqrtn"):
        bag = pt.EmbeddingBag(5, 3, mode=mode, dtype=torch.float64)
        assert torch.autograd.gradcheck(looked_up(bag, ids, offsets), (weight, weights))
    bag = pt.EmbeddingBag(5, 3, mode="max", dtype=torch.float64)
    assert torch.autograd.gradcheck(looked_up(bag, ids, offsets), (weight,))


def test_empty_tables_and_rows():
    for rows, dim in ((0, 0), (0, 3), (4, 0)):
        emb = pt.Embedding(rows, dim, sparse=True)
        ids = torch.zeros(4 if rows else 0, dtype=torch.long)
        emb(ids).sum().backward()
        assert emb.weight.grad.shape == (rows, dim)


def test_pretrained_weights_are_shared():
    matrix = torch.rand(4, 3)
    emb = pt.Embedding.from_pretrained(matrix)
    assert not emb.weight.requires_grad
    matrix[1] = 7.0
    assert torch.equal(emb(torch.tensor([1])), torch.full((1, 3), 7.0))
    bag = pt.EmbeddingBag.from_pretrained(matrix, mode="sum", freeze=False)
    assert torch.equal(bag(torch.tensor([[1, 1]])), torch.full((1, 3), 14.0))


def test_state_dicts_of_both_libraries():
    ours, theirs = both("Embedding", 6, 3)
    ours.weight.data.add_(1.0)
    theirs.load_state_dict(ours.state_dict())
    assert torch.equal(ours.weight, theirs.weight)
    theirs.weight.data.mul_(2.0)
    ours.load_state_dict(theirs.state_dict())
    assert torch.equal(ours(torch.arange(6)), theirs.weight)
    ours.load_state_dict(theirs.state_dict(), assign=True)
    theirs.weight.data.mul_(2.0)
    assert torch.equal(ours(torch.arange(6)), theirs.weight)


def test_a_weight_that_is_replaced_is_the_one_looked_up():
    emb = pt.Embedding(6, 3)
    emb(torch.tensor([0]))
    emb.weight.data = torch.ones(6, 3)
    assert torch.equal(emb(torch.tensor([0])), torch.ones(1, 3))
    emb.double()
    assert torch.equal(emb(torch.tensor([0])), torch.ones(1, 3, dtype=torch.float64))
    tables = len(_tables._known)
    emb.half()
    assert len(_tables._known) == tables - 1  # which would keep the old memory
    assert torch.equal(emb(torch.tensor([0])), torch.ones(1, 3, dtype=torch.float16))
    fused = pt.Embedding(6, 3, optimizer=pt.SparseSGD).half()
    with pytest.raises(TypeError, match="cannot be looked up where it lies: its dtype is"):
        fused(torch.tensor([0]))


def test_bad_ids_are_refused():
    emb = pt.Embedding(6, 3)
    with pytest.raises(IndexError, match="id 6 at position 1 is outside a table of 6 rows"):
        emb(torch.tensor([0, 6]))
    with pytest.raises(TypeError, match="ids must be integers, not float32"):
        emb(torch.tensor([0.0]))
    with pytest.raises(ValueError, match="mode='median' is none of"):
        pt.EmbeddingBag(6, 3, mode="median")


REFUSED = [
    (lambda emb, bag: emb(torch.tensor([6])), IndexError),
    (lambda emb, bag: emb(torch.tensor([0.5])), TypeError),
    (lambda emb, bag: bag(torch.tensor([[-1]])), IndexError),
    (lambda emb, bag: bag(torch.tensor([1, 2]), torch.tensor([1])), ValueError),
    (lambda emb, bag: bag(torch.tensor([1, 2]), torch.tensor([0, 3])), ValueError),
    (lambda emb, bag: bag(torch.tensor([[0.5]])), TypeError),
    (lambda emb, bag: bag(torch.tensor([[1]]), None, torch.ones(1, 2)), ValueError),
    (lambda emb, bag: bag(torch.tensor([[1]]), None, torch.ones(1, 1).double()), TypeError),
    (lambda emb, bag: bag(torch.tensor([[1]]), None, torch.ones(1, 1).bfloat16()), TypeError),
    (lambda emb, bag: bag(torch.tensor([[1]]), None, torch.ones(1, 1).int()), TypeError),
]


@pytest.mark.parametrize(("attempt", "kind"), REFUSED)
def test_what_is_refused_is_a_runtime_error_too(attempt, kind):
    theirs = nn.Embedding(6, 3), nn.EmbeddingBag(6, 3, mode="sum")
    with pytest.raises((RuntimeError, IndexError, ValueError)):
        attempt(*theirs)
    modules = pt.Embedding(6, 3), pt.EmbeddingBag(6, 3, mode="sum")
    with pytest.raises(kind) as raised:
        attempt(*modules)
    assert isinstance(raised.value, RuntimeError)


def test_weights_of_samples_of_another_dtype_are_named():
    bag = pt.EmbeddingBag(6, 3, mode="sum")
    with pytest.raises(
        TypeError, match=r"per_sample_weights must have the weight's dtype torch.fl"
    ):
        bag(torch.tensor([[1]]), None, torch.ones(1, 1, dtype=torch.bfloat16))
    half, ones = bag.bfloat16(), torch.ones(1, 1, dtype=torch.bfloat16)
    assert half(torch.tensor([[1]]), None, ones).dtype == torch.bfloat16


def test_autocast_changes_nothing():
    emb = pt.Embedding(6, 3)
    with torch.autocast("cpu", torch.bfloat16):
        rows = emb(torch.tensor([1]))
        product = rows @ torch.ones(3, 2)
    assert rows.dtype == torch.float32
    assert product.dtype == torch.bfloat16
    product.float().sum().backward()
    assert emb.weight.grad[1].tolist() == [2.0] * 3


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # torch's own
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_model_looks_up_outside_its_graph_what_torch_cannot():
    emb = pt.EmbeddingBag(6, 3, mode="sqrtn")
    compiled = torch.compile(lambda ids: emb(ids * 1).sum(-1) * 2, backend="eager")
    out = compiled(torch.tensor([[1], [2]]))
    close(out, emb.weight[[1, 2]].sum(-1) * 2)
    out.sum().backward()
    assert emb.weight.grad[1].tolist() == [2.0] * 3


class Looked(torch.utils.data.Dataset):
    """Looks its items up, in the worker that asks for them."""

    def __init__(self, emb):
        self.emb = emb

    def __len__(self):
        return 8

    def __getitem__(self, at):
        with torch.no_grad():
            return self.emb(torch.full((20_000,), at)).sum(0)


def test_workers_look_up():
    emb = pt.Embedding(8, 64)
    emb(torch.randint(0, 8, (100_000,)))  # with all threads, before the fork
    loader = torch.utils.data.DataLoader(
        Looked(emb), batch_size=4, num_workers=2, multiprocessing_context="fork"
    )
    torch.testing.assert_close(
        torch.cat(list(loader)), emb.weight.detach() * 20_000, rtol=1e-4, atol=1e-2
    )


@pytest.mark.parametrize("kind", ["Embedding", "EmbeddingBag"])
@pytest.mark.parametrize("make", [pt.SparseAdam, pt.SparseSGD, pt.SparseRowWiseAdagrad])
def test_rows_are_updated_in_the_backward_pass(kind, make):
    torch.manual_seed(0)
    fused = getattr(pt, kind)(40, 6, padding_idx=2, optimizer=lambda params: make(params, lr=0.1))
    torch.manual_seed(0)
    plain = getattr(pt, kind)(40, 6, padding_idx=2, sparse=True)
    optimizer = make(plain.parameters(), lr=0.1)
    for ids in batches(1, 10):
        for emb in (fused, plain):
            loss = emb(ids).pow(2).sum() + emb(ids + 1).sum()  # the table twice
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        assert fused.weight.grad is None
    close(fused.weight, plain.weight)
    steps = fused.optimizer.state[fused.weight].get("step", 10)
    assert steps == 10


def test_a_failed_backward_pass_leaves_nothing_for_the_next():
    emb = pt.Embedding(4, 2, optimizer=lambda params: pt.SparseSGD(params, lr=1.0))
    ids = torch.tensor([0])
    before = emb.weight.detach().clone()
    parameter = torch.ones(1, 2, requires_grad=True)
    rows = emb(ids)
    product = parameter.sin()

    def fail(_):
        raise RuntimeError("on purpose")

    product.register_hook(fail)
    with pytest.raises(RuntimeError, match="on purpose"):
        (emb(ids) + product).sum().backward()
    emb(torch.tensor([1])).sum().backward()
    assert torch.equal(emb.weight[0], before[0])
    assert torch.equal(emb.weight[1], before[1] - 1)
    del rows


def test_a_scheduler_and_checkpoints_of_a_fused_update():
    emb = pt.Embedding(40, 6, optimizer=lambda params: pt.SparseAdam(params, lr=0.1))
    scheduler = torch.optim.lr_scheduler.StepLR(emb.optimizer, 1, 0.5)
    for ids in batches(1, 2):
        emb(ids).pow(2).sum().backward()
        emb.optimizer.step()  # of a loop that has it: nothing is left to do
        scheduler.step()
    assert emb.optimizer.param_groups[0]["lr"] == 0.025
    assert emb.optimizer.state[emb.weight]["step"] == 2
    for other in (copy.deepcopy(emb), pickle.loads(pickle.dumps(emb))):
        assert other.optimizer.param_groups[0]["params"][0] is other.weight
        other(torch.tensor([1])).sum().backward()
        assert other.optimizer.state[other.weight]["step"] == 3
        assert not torch.equal(other.weight[1], emb.weight[1])


def test_two_modules_share_a_weight_and_its_optimizer():
    emb = pt.Embedding(8, 3, optimizer=lambda params: pt.SparseAdam(params, lr=0.1))
    bag = pt.EmbeddingBag(8, 3, _weight=emb.weight, mode="sum")
    bag.weight = emb.weight
    bag.fuse(emb.optimizer)
    (emb(torch.tensor([1])).sum() + bag(torch.tensor([[1, 2]])).sum()).backward()
    state = emb.optimizer.state[emb.weight]
    assert state["step"] == 1
    close(state["exp_avg"][1], torch.full((3,), 0.2))
    emb.weight = torch.nn.Parameter(torch.ones(8, 3))
    with pytest.raises(RuntimeError, match=r"no longer the one .*: call fuse\(\) again"):
        emb(torch.tensor([1])).sum().backward()
    with pytest.raises(ValueError, match="optimizer does not train this module's weight"):
        pt.Embedding(8, 3).fuse(emb.optimizer)
    with pytest.raises(TypeError, match=r"must be one of pyembed.torch, or make one, not SGD"):
        emb.fuse(torch.optim.SGD)


def test_two_threads_look_up_while_a_third_trains():
    from concurrent.futures import ThreadPoolExecutor

    emb = pt.Embedding(1000, 64, sparse=True)
    optimizer = pt.SparseAdam(emb.parameters())
    ids = torch.arange(20_000) % 1000

    def look_up(_):
        with torch.no_grad():
            return bool(torch.isfinite(emb(ids)).all())

    with ThreadPoolExecutor(2) as pool:
        looked_up = pool.map(look_up, range(40))
        train(emb, optimizer, [ids] * 20)
        assert all(looked_up)


@pytest.mark.parametrize("kind", ["Embedding", "EmbeddingBag"])
@pytest.mark.parametrize("sparse", [False, True])
def test_gradients_that_are_the_negative_of_what_is_in_memory(kind, sparse):
    ids, found, negative = torch.tensor([[1, 2], [2, 5]]), [], []
    for emb in both(kind, 6, 3, sparse=sparse):
        imaginary = emb(ids)
        imaginary.register_hook(lambda grad: negative.append(grad.is_neg()))
        number = torch.complex(torch.ones_like(imaginary), imaginary).conj()
        (number.real + 2 * number.imag).sum().backward()
        found.append(dense(emb.weight.grad))
    assert all(negative)
    close(*found)


class Twice(nn.Module):
    calls = 0

    def forward(self, weight):
        self.calls += 1
        return weight * 2


def test_a_parametrized_weight_is_made_once_a_lookup():
    emb = pt.Embedding(6, 3)
    nn.utils.parametrize.register_parametrization(emb, "weight", Twice())
    twice = emb.parametrizations.weight[0]
    twice.calls = 0
    rows = emb(torch.tensor([1]))
    assert twice.calls == 1
    original = emb.parametrizations.weight.original
    assert torch.equal(rows[0], original[1] * 2)
    rows.sum().backward()
    assert original.grad[1].tolist() == [2.0] * 3
