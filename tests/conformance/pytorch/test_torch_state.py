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
