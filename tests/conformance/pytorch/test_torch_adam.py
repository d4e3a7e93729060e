"""`pyembed.torch.SparseAdam` in the place of `torch.optim.SparseAdam`."""

import copy

import pytest

from conformance.pytorch.peer import pt, torch
from conformance.pytorch.training import batches, close, close_state, model, train
from pyembed.torch import SparseAdam

Theirs = torch.optim.SparseAdam


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"lr": 0.1, "betas": (0.5, 0.9), "eps": 0.1},
        {"lr": torch.tensor(0.01), "maximize": True},
        {"betas": (0.0, 0.0)},
    ],
    ids=str,
)
@pytest.mark.parametrize("padding_idx", [None, 3])
def test_an_unchanged_model_trains_alike(options, dtype, padding_idx):
    ours, theirs = (model(dtype=dtype, padding_idx=padding_idx) for _ in range(2))
    start = theirs.weight.detach().clone()
    optimizer, peer = (
        SparseAdam(ours.parameters(), **options),
        Theirs(theirs.parameters(), **options),
    )
    losses = [train(m, o, batches(1, 60)) for m, o in ((ours, optimizer), (theirs, peer))]
    close(torch.tensor(losses[0]), torch.tensor(losses[1]))
    close(ours.weight, theirs.weight)
    close_state(optimizer, peer)
    assert (ours.weight != start).any(1).sum() == 20 - (padding_idx is not None)


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_bags_train_alike(mode):
    ours, theirs = (model(module=torch.nn.EmbeddingBag, mode=mode) for _ in range(2))
    pairs = (ours, SparseAdam(ours.parameters())), (theirs, Theirs(theirs.parameters()))
    for emb, optimizer in pairs:
        train(emb, optimizer, batches(2, 20))
    close(ours.weight, theirs.weight)


def rosenbrock_gradient(p, step):
    """The gradient of one coordinate at a time, uncoalesced."""
    x, y = p.detach()
    slope = -400 * x * (y - x**2) - 2 * (1 - x) if step % 2 else 200 * (y - x**2)
    indices = torch.tensor([[0, 0]]) if step % 2 else torch.tensor([[1, 1]])
    return torch.sparse_coo_tensor(indices, torch.stack([slope / 4, slope - slope / 4]), (2,))


@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")
def test_one_axis_and_uncoalesced_gradients():
    params = [torch.nn.Parameter(torch.tensor([1.5, 1.5], dtype=torch.float64)) for _ in range(2)]
    optimizers = SparseAdam([params[0]], lr=4e-2), Theirs([params[1]], lr=4e-2)
    for step in range(300):
        for p, optimizer in zip(params, optimizers, strict=True):
            p.grad = rosenbrock_gradient(p, step)
            optimizer.step()
    close(*params)
    close_state(*optimizers)
    assert (params[0] - 1.5).abs().min() > 0.1


@pytest.mark.parametrize("sparse_dim", [1, 2, 3])
@pytest.mark.parametrize("coalesced", [True, False])
def test_gradients_sparse_in_any_axes(sparse_dim, coalesced):
    shape = (7, 3, 2)
    params = [torch.nn.Parameter(torch.ones(shape)) for _ in range(2)]
    optimizers = SparseAdam([params[0]], lr=0.1), Theirs([params[1]], lr=0.1)
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        indices = torch.stack(
            [torch.randint(0, shape[axis], (5,), generator=generator) for axis in range(sparse_dim)]
        )
        values = torch.randn(5, *shape[sparse_dim:], generator=generator)
        grad = torch.sparse_coo_tensor(indices, values, shape, check_invariants=True)
        for p, optimizer in zip(params, optimizers, strict=True):
            p.grad = grad.coalesce() if coalesced else grad
            optimizer.step()
    close(*params)
    close_state(*optimizers)


def test_an_empty_gradient_counts_as_a_step_and_none_does_not():
    emb = model()
    before = emb.weight.detach().clone()
    optimizer = SparseAdam(emb.parameters())
    optimizer.step()
    assert not optimizer.state
    emb(torch.empty(0, dtype=torch.long)).sum().backward()
    optimizer.step()
    assert optimizer.state[emb.weight]["step"] == 1
    assert torch.equal(emb.weight, before)


def test_accumulated_gradients_are_one_step():
    ours, theirs = model(), model()
    for emb, kind in ((ours, SparseAdam), (theirs, Theirs)):
        optimizer = kind(emb.parameters(), lr=0.1)
        for ids in batches(4, 4):
            emb(ids).pow(2).sum().backward()
        optimizer.step()
    close(ours.weight, theirs.weight)


def test_gradients_are_read_where_they_lie():
    emb = model()
    optimizer = SparseAdam(emb.parameters())
    emb(torch.tensor([1, 1, 2])).sum().backward()
    grad = emb.weight.grad
    values = grad._values().clone()
    optimizer.step()
    assert emb.weight.grad is grad
    assert not grad.is_coalesced()
    assert torch.equal(grad._values(), values)


def test_a_closure_is_evaluated_with_gradients_on():
    emb = model()
    optimizer = SparseAdam(emb.parameters(), lr=0.1)
    before = emb.weight.detach().clone()

    def closure():
        optimizer.zero_grad()
        loss = emb(torch.tensor([0])).pow(2).sum()
        loss.backward()
        return loss

    with torch.no_grad():
        loss = optimizer.step(closure)
    assert loss.requires_grad
    assert (emb.weight != before).any(1).nonzero().tolist() == [[0]]
    assert optimizer.step() is None


def test_param_groups_and_schedulers():
    pairs = []
    for kind in (SparseAdam, Theirs):
        first, second = model(0), model(1)
        optimizer = kind([{"params": first.weight}, {"params": [second.weight], "lr": 0.5}], lr=0.1)
        schedulers = [
            torch.optim.lr_scheduler.StepLR(optimizer, 4, 0.5),
            torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9),
        ]
        for emb in (first, second):
            train(emb, optimizer, batches(5, 12), schedulers)
        pairs.append((first.weight, second.weight, optimizer))
    for ours, theirs in zip(*(pair[:2] for pair in pairs), strict=True):
        close(ours, theirs)
    assert [g["lr"] for g in pairs[0][2].param_groups] == [
        g["lr"] for g in pairs[1][2].param_groups
    ]
    extra = model(2)
    pairs[0][2].add_param_group({"params": extra.parameters(), "betas": (0.1, 0.2)})
    assert pairs[0][2].param_groups[2]["betas"] == (0.1, 0.2)


def test_hooks_around_a_step():
    emb = model()
    optimizer = SparseAdam(emb.parameters())
    calls = []
    optimizer.register_step_pre_hook(lambda *_: calls.append("pre"))
    optimizer.register_step_post_hook(lambda *_: calls.append("post"))
    train(emb, optimizer, batches(6, 2))
    assert calls == ["pre", "post"] * 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, "Invalid learning rate: -1.0"),
        ({"lr": torch.ones(2)}, "Tensor lr must be 1-element"),
        ({"eps": 0.0}, "Invalid epsilon value: 0.0"),
        ({"betas": (1.0, 0.0)}, "Invalid beta parameter at index 0: 1.0"),
        ({"betas": (0.0, -0.1)}, "Invalid beta parameter at index 1: -0.1"),
        ({"weight_decay": -1.0}, "Invalid weight_decay value: -1.0"),
        ({"update": "dense"}, "update='dense' is none of 'lazy', 'exact'"),
    ],
    ids=str,
)
def test_unusable_options_are_refused(options, message):
    p = torch.nn.Parameter(torch.ones(2, 2))
    with pytest.raises(ValueError, match=message):
        SparseAdam([p], **options)
    with pytest.raises(ValueError, match=message):
        SparseAdam([{"params": [p], **options}])


def test_a_groups_learning_rate_alone_may_be_zero():
    resting, moving = model(0), model(1)
    before = [m.weight.detach().clone() for m in (resting, moving)]
    optimizer = SparseAdam([{"params": resting.weight, "lr": 0.0}, {"params": moving.weight}])
    (resting(torch.tensor([1])) + moving(torch.tensor([1]))).sum().backward()
    optimizer.step()
    assert torch.equal(resting.weight, before[0])
    assert not torch.equal(moving.weight, before[1])
    with pytest.raises(ValueError, match=r"Invalid learning rate: 0.0"):
        SparseAdam([resting.weight], lr=0.0)


def test_unusable_parameters_are_refused():
    good = torch.zeros(3)
    with pytest.raises(ValueError, match=r"Sparse params at indices \[\[0, 1\]\]: SparseAdam req"):
        SparseAdam([good, torch.zeros(3, layout=torch.sparse_coo)])
    with pytest.raises(
        ValueError, match=r"Complex params at indices \[\[1, 0\]\]: SparseAdam does"
    ):
        SparseAdam([{"params": good}, {"params": torch.zeros(3, dtype=torch.complex64)}])


def test_a_refused_step_changes_nothing():
    first, second = model(0), torch.nn.Embedding(40, 6)
    optimizer = SparseAdam([*first.parameters(), *second.parameters()])
    before = first.weight.detach().clone()
    (first(torch.tensor([1])).sum() + second(torch.tensor([1])).sum()).backward()
    with pytest.raises(
        RuntimeError, match="SparseAdam does not support dense gradients, please co"
    ):
        optimizer.step()
    assert torch.equal(first.weight, before)
    assert not optimizer.state


@pytest.mark.parametrize("update", ["lazy", "exact"])
def test_an_index_outside_one_parameter_leaves_all_as_they_were(update):
    embs = [pt.Embedding(40, 6, sparse=True) for _ in range(2)]
    twin = copy.deepcopy(embs[0])
    optimizer = SparseAdam([emb.weight for emb in embs], update=update)
    before = [emb.weight.detach().clone() for emb in embs]
    for emb in (*embs, twin):
        emb(torch.tensor([1])).sum().backward()
    embs[1].weight.grad = torch.sparse_coo_tensor(
        torch.tensor([[40]]), torch.ones(1, 6), (40, 6), check_invariants=False
    )
    with pytest.raises(IndexError, match="id 40 at position 0 is outside a table of 40 rows"):
        optimizer.step()
    assert all(torch.equal(emb.weight, then) for emb, then in zip(embs, before, strict=True))
    assert not optimizer.state
    embs[1].weight.grad = None
    for o in (optimizer, SparseAdam([twin.weight], update=update)):
        o.step()
    assert torch.equal(embs[0].weight, twin.weight)


@pytest.mark.parametrize("wanted", ["half", "transposed"])
def test_parameters_that_are_no_tables_are_left_to_torch(wanted):
    dtype = torch.float16 if wanted == "half" else torch.float32
    made = []
    for kind in (SparseAdam, Theirs):
        values = torch.ones(6, 4).t() if wanted == "transposed" else torch.ones(4, 6, dtype=dtype)
        p = torch.nn.Parameter(values)
        optimizer = kind([p], lr=0.1)
        p.grad = torch.sparse_coo_tensor(
            torch.tensor([[1, 1]]), torch.ones(2, 6, dtype=dtype), (4, 6), check_invariants=True
        )
        optimizer.step()
        made.append(p)
    close(*made)
    assert (made[0] != 1).any(1).tolist() == [False, True, False, False]
    decayed = SparseAdam([made[0]], weight_decay=0.1)
    with pytest.raises(RuntimeError, match="SparseAdam cannot train a parameter of shape"):
        decayed.step()


def test_weight_decay_is_decoupled():
    emb = model(dtype=torch.float64)
    plain = model(dtype=torch.float64)
    ids = torch.tensor([2, 5])
    for m, options in ((emb, {"weight_decay": 0.5}), (plain, {})):
        optimizer = SparseAdam(m.parameters(), lr=0.1, **options)
        before = m.weight.detach().clone()
        m(ids).sum().backward()
        optimizer.step()
    decayed = before.clone()
    decayed[ids] *= 1 - 0.1 * 0.5
    close(emb.weight - decayed, plain.weight - before)
    optimizer = SparseAdam(emb.parameters(), lr=0.5, weight_decay=2.0)
    with pytest.raises(ValueError, match=r"lr=0.5 times weight_decay=2 must be < 1"):
        optimizer.step()


def test_a_change_in_place_is_noticed_by_autograd():
    p = torch.nn.Parameter(torch.ones(3, 2))
    loss = (p * p).sum()
    optimizer = SparseAdam([p])
    p.grad = torch.sparse_coo_tensor(
        torch.tensor([[1]]), torch.ones(1, 2), (3, 2), check_invariants=True
    )
    version = p._version
    optimizer.step()
    assert p._version > version
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
