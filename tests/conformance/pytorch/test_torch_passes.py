"""Which gradients the update in a backward pass applies: those of its lookups, all, and once."""

import contextlib
import copy
import pickle
import threading

import pytest

from conformance.pytorch.peer import pt, torch

ROW = torch.ones(2)


def table(fused_by=None, **options):
    emb = pt.Embedding(4, 2, _weight=torch.zeros(4, 2), sparse=True, **options)
    if fused_by is not None:
        emb.fuse(fused_by)
    return emb


def descent(params):
    return pt.SparseSGD(params, lr=1.0)


def moved(emb):
    """By how many units each row went down the gradient."""
    assert torch.equal(emb.weight[:, 0], emb.weight[:, 1])
    return (-emb.weight[:, 0]).tolist()


def backward(emb, row):
    emb(torch.tensor([row])).sum().backward()


def test_another_weights_gradient_is_applied_by_the_users_step_alone():
    fused, other = table(), table()
    optimizer = descent([fused.weight, other.weight])
    fused.fuse(optimizer)
    (fused(torch.tensor([1])) + other(torch.tensor([2]))).sum().backward()
    assert moved(fused) == [0, 1, 0, 0]
    assert moved(other) == [0, 0, 0, 0]
    optimizer.step()
    assert moved(fused) == [0, 1, 0, 0]
    assert moved(other) == [0, 0, 1, 0]


def test_a_gradient_from_before_is_left_alone():
    emb = table()
    backward(emb, 0)
    emb.fuse(descent)
    backward(emb, 1)
    assert moved(emb) == [0, 1, 0, 0]


def test_another_weights_dense_gradient_does_no_harm():
    dense = torch.nn.Parameter(torch.ones(2))
    emb = table()
    emb.fuse(descent([emb.weight, dense]))
    (emb(torch.tensor([1])) * dense).sum().backward()
    backward(emb, 2)
    assert moved(emb) == [0, 1, 1, 0]
    assert torch.equal(dense, torch.ones(2))


def test_hooks_and_schedulers_count_the_steps_of_backward_passes():
    emb = table(descent)
    calls = []
    emb.optimizer.register_step_pre_hook(lambda *_: calls.append("pre"))
    emb.optimizer.register_step_post_hook(lambda *_: calls.append("post"))
    scheduler = torch.optim.lr_scheduler.StepLR(emb.optimizer, 1, 0.5)
    backward(emb, 1)
    scheduler.step()  # which warns where it saw no step
    backward(emb, 1)
    assert calls == ["pre", "post"] * 2
    assert moved(emb) == [0, 1.5, 0, 0]


def at_once(function):
    function()


def in_a_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


@pytest.mark.parametrize("run", [at_once, in_a_thread])
def test_a_pass_within_and_beside_another(run):
    emb = table(descent)
    inner = emb(torch.tensor([1])).sum()
    first = emb(torch.tensor([0]))
    between = torch.ones(1, 2, requires_grad=True).sin()
    last = emb(torch.tensor([2]))
    seen = []

    def other_pass(_):
        run(inner.backward)
        seen.append(moved(emb))

    between.register_hook(other_pass)
    (first + between + last).sum().backward()  # the last one first
    assert seen == [[0, 1, 0, 0]]
    assert moved(emb) == [1, 1, 1, 0]
    assert not emb.optimizer._passes


def test_reentrant_checkpoints():
    from torch.utils.checkpoint import checkpoint

    emb = table(descent)
    start = torch.zeros(1, 2, requires_grad=True)

    def body(x):
        return x + emb(torch.tensor([1]))

    first = emb(torch.tensor([0]))
    between = checkpoint(body, start, use_reentrant=True)
    last = emb(torch.tensor([2]))
    (first + between + last).sum().backward()
    assert moved(emb) == [1, 1, 1, 0]


def test_a_weight_that_changes_between_lookup_and_backward_is_refused():
    for other in (torch.zeros(4, 3), torch.zeros(4, 2, dtype=torch.half), torch.zeros(4, 2)):
        emb = table(descent, padding_idx=0)
        out = emb(torch.tensor([0, 1])).sum()
        emb.weight.data = other
        with pytest.raises(RuntimeError, match="memory was replaced between a lookup and its back"):
            out.backward()
        assert (emb.weight == 0).all()


def test_a_weight_that_is_no_table_at_the_end_of_a_pass_is_refused():
    first, second = table(), table()
    optimizer = pt.SparseAdam([first.weight, second.weight])
    first.fuse(optimizer)
    second.fuse(optimizer)
    start = torch.zeros(1, 2, requires_grad=True)

    def replace(_):
        second.weight.data = torch.zeros(4, 2, dtype=torch.half)

    start.register_hook(replace)
    out = start.sin() + first(torch.tensor([1])) + second(torch.tensor([1]))
    with pytest.raises(RuntimeError, match=r"SparseAdam cannot train a parameter .*its dtype is"):
        out.sum().backward()
    assert moved(first) == [0, 0, 0, 0]
    assert not optimizer.state


def test_sample_weights_without_a_gradient_keep_no_version_of_the_table():
    bag = pt.EmbeddingBag(4, 2, mode="sum", _weight=torch.zeros(4, 2), optimizer=descent)
    ids, weights = torch.tensor([[1, 2]]), torch.tensor([[1.0, 3.0]])
    losses = [bag(ids, per_sample_weights=weights).sum() for _ in range(2)]
    for loss in losses:
        loss.backward()
    assert moved(bag) == [0, 2, 6, 0]
    short = pt.EmbeddingBag(4, 2, mode="sum", max_norm=0.5)
    losses = []
    for row in (1, 2):
        short.weight.data[row] = ROW
        losses.append(short(torch.tensor([[row]]), per_sample_weights=torch.tensor([[2.0]])).sum())
    sum(losses).backward()
    assert short.weight.grad.tolist() == [[0, 0], [2, 2], [2, 2], [0, 0]]


def test_sample_weights_with_a_gradient_notice_that_the_table_changes():
    bag = pt.EmbeddingBag(4, 2, mode="sum", optimizer=descent)
    weights = torch.ones(1, 2, requires_grad=True)
    losses = [bag(torch.tensor([[1, 2]]), per_sample_weights=weights).sum() for _ in range(2)]
    losses[0].backward()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        losses[1].backward()


@pytest.mark.parametrize("by", ["grad", "backward"])
def test_rows_move_only_where_the_pass_reaches_the_weight(by):
    bag = pt.EmbeddingBag(4, 2, mode="sum", _weight=torch.zeros(4, 2), optimizer=descent)
    weights = torch.ones(1, 1, requires_grad=True)
    other = torch.ones(2, requires_grad=True)

    def loss():
        return (bag(torch.tensor([[1]]), per_sample_weights=weights) * other).sum()

    for wanted in (weights, other):
        if by == "grad":
            torch.autograd.grad(loss(), wanted)
        else:
            loss().backward(inputs=[wanted])
    assert moved(bag) == [0, 0, 0, 0]
    assert not bag.optimizer._passes
    loss().backward(inputs=[bag.weight, other])
    assert moved(bag) == [0, 1, 0, 0]


@pytest.mark.parametrize("create_graph", [False, True])
def test_the_gradient_itself_is_returned_to_who_asks_for_it(create_graph):
    for sparse in (False, True):
        emb = table(descent)
        emb.sparse = sparse
        loss = emb(torch.tensor([1, 1])).sum() + emb.weight[2].sum()
        (grad,) = torch.autograd.grad(loss, emb.weight, create_graph=create_graph)
        assert grad.to_dense().tolist() == [[0, 0], [2, 2], [1, 1], [0, 0]]
        assert moved(emb) == [0, 0, 0, 0]
        assert emb.weight.grad is None


def counted_steps(emb):
    steps = []
    emb.optimizer.register_step_post_hook(lambda *_: steps.append(moved(emb)))
    return steps


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("place", ["first", "last", "alone"])
def test_reentrant_checkpoints_make_one_step(depth, place):
    from torch.utils.checkpoint import checkpoint

    emb = table(descent)
    steps = counted_steps(emb)
    start = torch.zeros(1, 2, requires_grad=True)

    def body(x, depth=depth):
        if depth > 1:
            x = checkpoint(body, x, depth - 1, use_reentrant=True)
        return x + emb(torch.tensor([depth]))

    x = start
    if place == "first":
        x = x + emb(torch.tensor([0]))
    x = checkpoint(body, x, use_reentrant=True)
    if place == "last":
        x = x + emb(torch.tensor([0]))
    x.sum().backward()
    expected = [place != "alone", *(1 <= row <= depth for row in range(1, 4))]
    assert steps == [expected]
    assert moved(emb) == expected
    assert not emb.optimizer._passes


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad:UserWarning")
def test_a_checkpoint_of_nothing_but_lookups_within_another():
    from torch.utils.checkpoint import checkpoint

    emb = table(descent)
    steps = counted_steps(emb)

    def inner(x):
        return x + emb(torch.tensor([1]))

    def outer(x):
        return checkpoint(inner, checkpoint(inner, x, use_reentrant=True), use_reentrant=True)

    start = torch.zeros(1, 2, requires_grad=True)
    checkpoint(outer, start, use_reentrant=True).sum().backward()
    assert steps == [[0, 2, 0, 0]]


TIED = {
    "tied": lambda emb: (torch.ones(1, 2) @ emb.weight.t()).sum(),
    "penalty": lambda emb: (emb.weight + 0.5).pow(2).sum(),
    "sparse": lambda emb: torch.nn.functional.embedding(
        torch.arange(4), emb.weight, sparse=True
    ).sum(),
    "another lookup": lambda emb: table_of(emb.weight)(torch.arange(4)).sum(),
}


def table_of(weight):
    emb = pt.Embedding(4, 2, sparse=True)
    emb.weight = weight
    return emb


@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")
@pytest.mark.parametrize("other", TIED.values(), ids=TIED)
@pytest.mark.parametrize("restored", [False, True])
def test_what_else_has_the_weight_counts_in_the_same_step(other, restored):
    emb = table(descent)
    if restored:
        emb = pickle.loads(pickle.dumps(copy.deepcopy(emb)))
    steps = counted_steps(emb)
    (emb(torch.tensor([1, 1])).sum() + other(emb)).backward()
    assert moved(emb) == [1, 3, 1, 1]
    other(emb).backward()
    assert len(steps) == 2
    assert moved(emb) != [1, 3, 1, 1]
    assert emb.weight.grad is None


def test_a_gradient_from_before_stays_beside_tied_weights():
    emb = table()
    backward(emb, 0)
    emb.fuse(descent)
    kept = emb.weight.grad
    (emb(torch.tensor([1])).sum() + emb.weight.sum()).backward()
    assert moved(emb) == [1, 2, 1, 1]
    assert emb.weight.grad is kept
    assert kept.to_dense().tolist() == [[1, 1], [0, 0], [0, 0], [0, 0]]
    emb.optimizer = None
    emb.weight.grad = None
    backward(emb, 3)
    assert moved(emb) == [1, 2, 1, 1]
    assert emb.weight.grad is not None


@pytest.mark.parametrize("make", [pt.SparseAdam, pt.SparseAdagrad, pt.SparseRowWiseAdagrad])
@pytest.mark.parametrize("kind", ["Embedding", "EmbeddingBag"])
def test_accumulation_makes_one_step_of_many_passes(make, kind):
    found = []
    for fused in (True, False):
        torch.manual_seed(0)
        emb = getattr(pt, kind)(20, 3, padding_idx=2, sparse=True)
        optimizer = make(emb.parameters(), lr=0.1)
        if fused:
            emb.fuse(optimizer)
        ids = torch.empty(5, 4, dtype=torch.long)
        for _ in range(2):
            with emb.accumulate() if fused else contextlib.nullcontext():
                for _ in range(3):
                    ids.random_(0, 20)  # as a loader does that has one buffer
                    emb(ids).pow(2).sum().backward()
            if not fused:
                optimizer.step()
                optimizer.zero_grad()
        found.append(emb.weight.detach())
        assert optimizer.state[emb.weight].get("step", 2) == 2
    torch.testing.assert_close(*found)


def test_accumulation_within_another_and_one_that_fails():
    emb = table(descent)
    steps = counted_steps(emb)
    with emb.accumulate():
        backward(emb, 0)
        with emb.optimizer.accumulate():
            backward(emb, 1)
        assert moved(emb) == [0, 0, 0, 0]
    assert moved(emb) == [1, 1, 0, 0]

    def fail():
        with emb.accumulate():
            backward(emb, 2)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with emb.accumulate():
        pass
    backward(emb, 3)
    assert moved(emb) == [1, 1, 0, 1]
    assert len(steps) == 2
    with pytest.raises(RuntimeError, match=r"call fuse\(\) first"):
        table().accumulate()
