"""Saving, loading and copying the state of optimizers of `pyembed.torch`."""

import contextlib
import copy
import io
import pickle

import pytest

from conformance.pytorch.peer import pt, torch
from conformance.pytorch.training import batches, close, close_state, model, train
from pyembed import _core

PEERS = {
    pt.SparseAdam: (torch.optim.SparseAdam, {"lr": 0.05}),
    pt.SparseAdagrad: (
        torch.optim.Adagrad,
        {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.1},
    ),
}
OURS = [
    (pt.SparseAdam, {}),
    (pt.SparseAdagrad, {"initial_accumulator_value": 0.5}),
    (pt.SparseRowWiseAdagrad, {}),
    (pt.SparseRMSprop, {}),
    (pt.SparseSGD, {"momentum": 0.9}),
    (pt.SparseFTRL, {"l1": 0.01}),
    (pt.SparseLion, {"weight_decay": 0.1}),
]
quiet = pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")


@quiet
@pytest.mark.parametrize("ours", PEERS)
@pytest.mark.parametrize("direction", ["ours to theirs", "theirs to ours"])
def test_a_state_goes_on_in_the_other_library(ours, direction):
    theirs, options = PEERS[ours]
    before, after = (ours, theirs) if direction == "ours to theirs" else (theirs, ours)
    emb = model()
    optimizer = before(emb.parameters(), **options)
    train(emb, optimizer, batches(1, 20))
    other = copy.deepcopy(emb)
    further = after(other.parameters())
    further.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert further.param_groups[0]["lr"] == options["lr"]
    for m, o in ((emb, optimizer), (other, further)):
        train(m, o, batches(2, 20))
    close(emb.weight, other.weight)
    close_state(further, optimizer)


@pytest.mark.parametrize(("ours", "options"), OURS)
def test_training_goes_on_to_the_bit_from_a_file(ours, options):
    emb = model()
    optimizer = ours(emb.parameters(), lr=0.1, **options)
    train(emb, optimizer, batches(1, 10))
    file = io.BytesIO()
    torch.save((emb.state_dict(), optimizer.state_dict()), file)
    file.seek(0)
    saved, state = torch.load(file, weights_only=True)
    again = model(seed=9)
    again.load_state_dict(saved)
    resumed = ours(again.parameters())
    resumed.load_state_dict(state)
    for m, o in ((emb, optimizer), (again, resumed)):
        train(m, o, batches(2, 10))
    assert torch.equal(emb.weight, again.weight)


@pytest.mark.parametrize(("ours", "options"), OURS)
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda both: pickle.loads(pickle.dumps(both))])
def test_copies_train_alike_and_apart(ours, options, copied):
    emb = model()
    optimizer = ours(emb.parameters(), **options)
    train(emb, optimizer, batches(1, 5))
    before = emb.weight.detach().clone()
    other, further = copied((emb, optimizer))
    train(other, further, batches(2, 5))
    assert torch.equal(emb.weight, before)
    train(emb, optimizer, batches(2, 5))
    assert torch.equal(emb.weight, other.weight)


def test_moments_are_tensors_that_share_memory():
    emb = model()
    optimizer = pt.SparseAdam(emb.parameters())
    train(emb, optimizer, batches(1, 3))
    state = optimizer.state[emb.weight]
    assert state["step"] == 3
    assert state["exp_avg"].stride() == (12, 1)
    assert state["exp_avg_sq"].data_ptr() == state["exp_avg"].data_ptr() + 6 * 4
    address = state["exp_avg"].data_ptr()
    train(emb, optimizer, batches(2, 3))
    assert optimizer.state[emb.weight]["exp_avg"].data_ptr() == address
    state["exp_avg"].zero_()  # a user's change counts
    state["exp_avg_sq"].zero_()
    state["step"] = 0
    before = emb.weight.detach().clone()
    optimizer.zero_grad()
    emb(torch.tensor([1])).sum().backward()
    optimizer.step()
    expected = torch.full((6,), 1e-3)
    torch.testing.assert_close((before - emb.weight)[1].detach(), expected, rtol=1e-3, atol=0)


@pytest.mark.parametrize(("ours", "options"), OURS)
def test_a_step_that_was_made_is_noted_whatever_comes_after_it(ours, options, monkeypatch):
    made = []
    for step in (_core.step, interrupted_after(_core.step)):
        monkeypatch.setattr(_core, "step", step)
        emb = model()
        optimizer = ours(emb.parameters(), **options)
        for ids in batches(1, 3):
            optimizer.zero_grad()
            emb(ids).pow(2).sum().backward()
            with contextlib.suppress(KeyboardInterrupt):
                optimizer.step()
        made.append((emb.weight, optimizer))
    (weight, optimizer), (again, further) = made
    assert torch.equal(weight, again)
    assert weight._version == again._version
    close_state(further, optimizer)


def interrupted_after(step):
    def stop(updates):
        step(updates)
        raise KeyboardInterrupt

    return stop


def test_a_state_of_another_shape_is_refused():
    emb = model()
    optimizer = pt.SparseAdam(emb.parameters())
    optimizer.state[emb.weight] = {"exp_avg": torch.ones(1, 6), "exp_avg_sq": torch.ones(1, 6)}
    before = emb.weight.detach().clone()
    emb(torch.tensor([1])).sum().backward()
    with pytest.raises(ValueError, match=r"exp_avg has shape \(1, 6\), but must have shape \(40"):
        optimizer.step()
    assert torch.equal(emb.weight, before)


def test_memory_that_is_replaced_is_the_one_trained():
    emb = model()
    optimizer = pt.SparseAdam(emb.parameters(), lr=0.1)
    train(emb, optimizer, batches(1, 2))
    old = emb.weight.data
    kept = old.clone()
    emb.weight.data = torch.zeros(40, 6)
    train(emb, optimizer, batches(1, 2))
    assert torch.equal(old, kept)
    assert (emb.weight != 0).any(1).sum() > 10
    optimizer.zero_grad()
    emb.share_memory()
    optimizer.state[emb.weight]["exp_avg"].share_memory_()
    train(emb, optimizer, batches(1, 2))
    assert emb.weight.is_shared()
    assert optimizer.state[emb.weight]["exp_avg_sq"].is_shared()


def hogwild(emb, seed):
    torch.set_num_threads(1)
    train(emb, pt.SparseAdam(emb.parameters(), lr=0.05), batches(seed, 30))


def test_processes_that_share_a_table():
    emb = model()
    first = train(emb, pt.SparseSGD(emb.parameters(), lr=0.0), batches(1, 1))
    emb.zero_grad()
    emb.share_memory()
    context = torch.multiprocessing.get_context("fork")
    workers = [context.Process(target=hogwild, args=(emb, seed)) for seed in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert train(emb, pt.SparseSGD(emb.parameters(), lr=0.0), batches(1, 1))[0] < first[0] / 4


def tensors(optimizer):
    return [
        value.clone()
        for state in optimizer.state.values()
        for value in state.values()
        if isinstance(value, torch.Tensor)
    ]


@pytest.mark.parametrize(("ours", "options"), OURS)
def test_a_state_is_copied_when_it_is_loaded(ours, options):
    emb, other = model(), model()
    optimizer, further = (ours(m.parameters(), lr=0.1, **options) for m in (emb, other))
    train(emb, optimizer, batches(1, 5))
    before = tensors(optimizer)
    assert before
    further.load_state_dict(optimizer.state_dict())
    train(other, further, batches(2, 5))
    for now, then in zip(tensors(optimizer), before, strict=True):
        assert torch.equal(now, then)


@pytest.mark.parametrize(("ours", "options"), OURS)
@pytest.mark.parametrize("rows", [1, 40])
def test_a_state_is_savable_by_safetensors_and_flat(ours, options, rows):
    save = pytest.importorskip("safetensors.torch")
    emb = torch.nn.Embedding(rows, 6, sparse=True)
    optimizer = ours(emb.parameters(), **options)
    train(emb, optimizer, [torch.tensor([0])] * 3)
    held = {name: v for name, v in optimizer.state[emb.weight].items() if name != "step"}
    state = optimizer.state_dict()["state"][0]
    tensors = {name: state[name] for name in held}
    loaded = save.load(save.save(tensors))
    assert tensors
    for name, value in held.items():
        assert torch.equal(loaded[name], value)
        assert torch.equal(tensors[name].view(-1), value.reshape(-1))
    address = next(iter(held.values())).data_ptr()
    train(emb, optimizer, [torch.tensor([0])])  # the live state lies where it was
    assert optimizer.state[emb.weight][next(iter(held))].data_ptr() == address


@pytest.mark.parametrize(
    ("ours", "options"), [*OURS, (pt.SparseSGD, {}), (torch.optim.SparseAdam, {})]
)
def test_a_round_trip_leaves_groups_equal(ours, options):
    optimizer = ours(model().parameters(), **options)
    before = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict(optimizer.state_dict())
    assert optimizer.state_dict()["param_groups"] == before
    again = pickle.loads(pickle.dumps(optimizer))
    assert again.state_dict()["param_groups"] == before


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (pt.SparseAdam, torch.optim.SparseAdam),
        (pt.SparseAdagrad, torch.optim.Adagrad),
        (pt.SparseSGD, torch.optim.SGD),
        (pt.SparseRMSprop, torch.optim.RMSprop),
    ],
)
def test_groups_have_the_names_of_torchs(ours, theirs):
    made = [cls(model().parameters()) for cls in (ours, theirs)]
    mine, its = (optimizer.state_dict()["param_groups"][0] for optimizer in made)
    assert its.items() <= mine.items()
    for optimizer, state in zip(made, (its, mine), strict=True):
        optimizer.load_state_dict({"state": {}, "param_groups": [state]})
        assert optimizer.param_groups[0].keys() >= its.keys()


@quiet
@pytest.mark.parametrize(("ours", "options"), [c for c in OURS if c[0] is not pt.SparseFTRL])
def test_distributed_checkpoints_of_fresh_optimizers(ours, options):
    dcp = pytest.importorskip("torch.distributed.checkpoint.state_dict")
    net = torch.nn.Sequential(model())
    optimizer = ours(net.parameters(), lr=0.1, **options)
    before = net[0].weight.detach().clone()
    _, fresh = dcp.get_state_dict(net, optimizer)
    assert fresh["state"]["0.weight"]
    assert fresh["param_groups"][0]["lr"] == 0.1
    assert torch.equal(net[0].weight, before)
    train(net, optimizer, batches(1, 5))
    weights, state = dcp.get_state_dict(net, optimizer)
    weights = copy.deepcopy(weights)
    again = torch.nn.Sequential(model(seed=9))
    further = ours(again.parameters())
    dcp.set_state_dict(again, further, model_state_dict=weights, optim_state_dict=state)
    for m, o in ((net, optimizer), (again, further)):
        train(m, o, batches(2, 5))
    assert torch.equal(net[0].weight, again[0].weight)


def test_dense_gradients_are_refused_where_they_could_move_anything():
    emb = torch.nn.Embedding(4, 2)
    optimizer = pt.SparseSGD(emb.parameters(), lr=0.0, momentum=0.9)
    emb.weight.grad = torch.tensor([[0.0, 0], [0, 0], [0, 1], [0, 0]])
    with pytest.raises(RuntimeError, match="does not support dense gradients"):
        optimizer.step()
    optimizer.param_groups[0]["lr"] = 0.1
    emb.weight.grad.zero_()
    with pytest.raises(RuntimeError, match="does not support dense gradients"):
        optimizer.step()


@pytest.mark.parametrize("change", ["tensor", "memory", "values"])
def test_state_that_is_replaced_between_steps_is_the_one_that_counts(change):
    weights = []
    for library in (pt.SparseAdam, torch.optim.SparseAdam):
        weight = torch.nn.Parameter(torch.zeros(4, 2))
        optimizer = library([weight], lr=0.1)
        for step in range(5):
            weight.grad = torch.sparse_coo_tensor([[1, 3]], torch.full((2, 2), 1.0 + step), (4, 2))
            if step == 3:
                state = optimizer.state[weight]
                if change == "tensor":
                    state["exp_avg"] = torch.full((4, 2), 5.0)
                elif change == "memory":
                    state["exp_avg"].data = torch.full((4, 2), 5.0)
                else:
                    state["exp_avg"].fill_(5.0)
            optimizer.step()
        weights.append(weight.detach())
    close(*weights)
