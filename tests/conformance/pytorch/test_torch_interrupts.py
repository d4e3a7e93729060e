"""A Ctrl-C in the middle of a step: all parameters make it, or none."""

import random
import signal
import time

import pytest

from conformance.pytorch.peer import pt, torch

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timed signals")
TABLES = 60


class Interrupted(Exception):
    pass


@pytest.fixture
def interrupts():
    def interrupt(*_):
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    torch.set_grad_enabled(True)  # torch's own no_grad may be broken off as it ends


def gradient():
    return torch.sparse_coo_tensor([[0]], torch.ones(1, 2), (4, 2), check_invariants=False)


def one_step(params, make):
    """How long it is, roughly."""
    optimizer = make(params)
    for p in params:
        p.grad = gradient()
    start = time.perf_counter()
    optimizer.step()
    return time.perf_counter() - start


@pytest.mark.parametrize("make", [pt.SparseAdam, pt.SparseAdagrad], ids=lambda make: make.__name__)
@pytest.mark.parametrize("unfit", [False, True], ids=["tables", "others"])
def test_a_step_is_made_whole_or_not_at_all(interrupts, make, unfit):
    if unfit and make is not pt.SparseAdam:
        pytest.skip("only SparseAdam leaves anything to torch")
    chance = random.Random(0)
    caught = 0

    def weights():
        tables = [torch.nn.Parameter(torch.zeros(4, 2)) for _ in range(TABLES)]
        # Rows that are not contiguous are left to torch.
        others = [torch.nn.Parameter(torch.zeros(2, 4).t()) for _ in range(4 if unfit else 0)]
        return [*tables, *others]

    took = min(one_step(weights(), make) for _ in range(5))
    for _ in range(100):
        params = weights()
        optimizer = make(params)
        for p in params:
            p.grad = gradient()
        try:
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.05, 1.1) * took)
            optimizer.step()
            signal.setitimer(signal.ITIMER_REAL, 0)
        except Interrupted:
            caught += 1
        moved = [bool(p[0, 0] != 0) for p in params]
        counted = [int(optimizer.state[p]["step"]) if p in optimizer.state else 0 for p in params]
        assert len(set(moved)) == 1
        assert counted == [int(m) for m in moved]
        assert all(("exp_avg" in s or "sum" in s) for s in optimizer.state.values())
    assert caught >= 10


@pytest.mark.parametrize("make", [pt.SparseAdam, pt.SparseAdagrad], ids=lambda make: make.__name__)
def test_a_step_that_is_interrupted_while_it_is_noted_is_whole(monkeypatch, make):
    params = [torch.nn.Parameter(torch.zeros(4, 2)) for _ in range(3)]
    optimizer = make(params)
    noted, original = [], make._note

    def note(self, share):
        noted.append(share.p)
        if len(noted) == 2:
            raise KeyboardInterrupt
        original(self, share)

    monkeypatch.setattr(make, "_note", note)
    for p in params:
        p.grad = gradient()
    with pytest.raises(KeyboardInterrupt):
        optimizer.step()
    assert [int(optimizer.state[p]["step"]) for p in params] == [1, 1, 1]
    optimizer.step()
    assert [int(optimizer.state[p]["step"]) for p in params] == [2, 2, 2]
