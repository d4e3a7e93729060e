"""What torch's optimizers do with sparse gradients, asked of them and of ours in their place."""

import copy
import io
import itertools

import pytest

from conformance.pytorch.peer import pt, torch
from conformance.pytorch.training import batches, close, close_state, model, train

pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")  # torch's
PAIRS = {
    "SparseAdam": (torch.optim.SparseAdam, pt.SparseAdam),
    "Adagrad": (torch.optim.Adagrad, pt.SparseAdagrad),
    "SGD": (torch.optim.SGD, pt.SparseSGD),
}
OPTIONS = {
    "SparseAdam": [{}, {"lr": 0.01}, {"betas": (0.5, 0.9), "eps": 0.1}],
    "Adagrad": [{}, {"lr": 0.1, "lr_decay": 0.1}, {"initial_accumulator_value": 0.1, "lr": 0.1}],
    "SGD": [{}, {"lr": 0.01}],
}
CASES = [(rule, options) for rule in PAIRS for options in OPTIONS[rule]]
each_case = pytest.mark.parametrize(("rule", "options"), CASES, ids=str)
each_pair = pytest.mark.parametrize("rule", PAIRS)
lr_scheduler = torch.optim.lr_scheduler


@pytest.fixture(params=[0, 1], ids=["torch", "pyembed"])
def library(request):
    return request.param


@pytest.fixture(params=PAIRS)
def make(request, library):
    """An optimizer's class."""
    return PAIRS[request.param][library]


def parameter(*shape, **options):
    return torch.nn.Parameter(torch.randn(*shape, **options))


def sparse(grad, axes=1):
    return grad.to_sparse(axes)


SCHEDULERS = {
    "steps": lambda o: lr_scheduler.StepLR(o, step_size=3, gamma=0.5),
    "milestones": lambda o: lr_scheduler.MultiStepLR(o, [2, 5], gamma=0.3),
    "a function": lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 1 / (1 + epoch)),
    "products": lambda o: lr_scheduler.MultiplicativeLR(o, lambda epoch: 0.9),
    "constant": lambda o: lr_scheduler.ConstantLR(o, 0.5, total_iters=3),
    "linear": lambda o: lr_scheduler.LinearLR(o, 0.5, total_iters=5),
    "exponential": lambda o: lr_scheduler.ExponentialLR(o, 0.8),
    "polynomial": lambda o: lr_scheduler.PolynomialLR(o, total_iters=20, power=2.0),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=6),
    "warm restarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=3),
    "cyclic": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1, 3, cycle_momentum=False),
    "in sequence": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.ConstantLR(o, 0.1, 2), lr_scheduler.ExponentialLR(o, 0.9)], [3]
    ),
    "chained": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.LinearLR(o, 0.5, total_iters=4), lr_scheduler.ExponentialLR(o, 0.9)]
    ),
    "average": lambda o: torch.optim.swa_utils.SWALR(o, swa_lr=0.05, anneal_epochs=4),
}


@each_pair
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_schedulers_set_rates_and_results_alike(rule, scheduler):
    weights, rates = [], []
    for make in PAIRS[rule]:
        emb = model()
        optimizer = make(emb.parameters(), lr=0.1)
        schedule = SCHEDULERS[scheduler](optimizer)
        rates.append([])
        for ids in batches(1, 12):
            train(emb, optimizer, [ids])
            rates[-1].append(optimizer.param_groups[0]["lr"])
            schedule.step()
        weights.append(emb.weight)
    close(*weights)
    assert rates[0] == rates[1]
    assert len(set(rates[0])) > 1


def test_a_scheduler_that_changes_betas_too():
    weights = []
    for make in PAIRS["SparseAdam"]:
        emb = model()
        optimizer = make(emb.parameters(), lr=0.1)
        schedule = lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=20)
        train(emb, optimizer, batches(1, 15), [schedule])
        assert optimizer.param_groups[0]["betas"][0] != 0.9
        weights.append(emb.weight)
    close(*weights)


@each_pair
def test_a_scheduler_that_waits_for_a_plateau_and_is_resumed(rule):
    ends = []
    for make in PAIRS[rule]:
        emb = model()
        optimizer = make(emb.parameters(), lr=0.1)
        schedule = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=0.5)
        for number, ids in enumerate(batches(1, 20)):
            [loss] = train(emb, optimizer, [ids])
            schedule.step(loss)
            if number == 10:
                state = copy.deepcopy((optimizer.state_dict(), schedule.state_dict()))
                optimizer = make(emb.parameters(), lr=0.5)
                optimizer.load_state_dict(state[0])
                schedule = lr_scheduler.ReduceLROnPlateau(optimizer)
                schedule.load_state_dict(state[1])
        ends.append((emb.weight, optimizer.param_groups[0]["lr"]))
    close(ends[0][0], ends[1][0])
    assert ends[0][1] == ends[1][1] < 0.1


def test_a_scheduler_notices_that_it_comes_before_the_step(make):
    emb = model()
    optimizer = make(emb.parameters())
    schedule = lr_scheduler.StepLR(optimizer, 1)
    with pytest.warns(UserWarning, match="call of `lr_scheduler.step..` before `optimizer.step"):
        schedule.step()


@each_case
@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("axes", [1, 2])
def test_a_loss_goes_the_right_way(rule, options, maximize, axes, library):
    torch.manual_seed(0)
    weight, bias, x = parameter(10, 5), parameter(10), torch.randn(5)
    optimizer = PAIRS[rule][library]([weight, bias], maximize=maximize, **options)
    losses = []

    def closure():
        optimizer.zero_grad()
        loss = (weight.mv(x) + bias).pow(2).sum()
        loss.backward()
        weight.grad, bias.grad = sparse(weight.grad, axes), sparse(bias.grad)
        losses.append(loss.item())
        return loss

    for _ in range(20):
        optimizer.step(closure)
    closure()
    assert losses[-1] > losses[0] if maximize else losses[-1] < losses[0]
    assert len(losses) == 21


RATES = {"SparseAdam": 4e-2, "Adagrad": 0.1, "SGD": 4e-4}


@each_pair
@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("scheduled", [False, True])
def test_rosenbrocks_valley_by_one_coordinate_at_a_time(rule, maximize, scheduled):
    ends = []
    for make in PAIRS[rule]:
        point = torch.nn.Parameter(torch.tensor([1.5, 1.5], dtype=torch.float64))
        optimizer = make([point], lr=RATES[rule] / (100 if maximize else 1), maximize=maximize)
        schedule = lr_scheduler.StepLR(optimizer, 100, 0.9999) if scheduled else None
        values = []

        def closure(step, point=point, optimizer=optimizer, values=values):
            optimizer.zero_grad()
            x, y = point
            value = (1 - x) ** 2 + 100 * (y - x**2) ** 2
            value.backward()
            slope = point.grad[step % 2]
            parts = torch.stack([slope / 4, slope - slope / 4])  # as uncoalesced as can be
            point.grad = torch.sparse_coo_tensor(torch.full((1, 2), step % 2), parts, (2,))
            values.append(value.item())
            return value

        for step in range(40 if maximize else 200):
            optimizer.step(lambda step=step: closure(step))
            if schedule is not None:
                schedule.step()
        ends.append((point, values))
    torch.testing.assert_close(ends[0][0], ends[1][0], rtol=1e-9, atol=1e-9)
    values = ends[1][1]
    assert values[-1] > values[0] if maximize else values[-1] < values[0]


@each_pair
@pytest.mark.parametrize("axes", [0, 1, 2])
def test_rates_that_are_tensors(rule, axes, library):
    ends = []
    for lr in (1e-2, torch.tensor(1e-2, dtype=torch.float64).reshape([1] * axes)):
        emb = model()
        optimizer = PAIRS[rule][library](emb.parameters(), lr=lr)
        train(emb, optimizer, batches(1, 5))
        assert optimizer.param_groups[0]["lr"] is lr  # to be changed in place
        ends.append(emb.weight)
    close(*ends)


def test_without_gradients_nothing_is_done(make):
    emb = model()
    before = emb.weight.detach().clone()
    optimizer = make(emb.parameters())
    states = copy.deepcopy(optimizer.state_dict())
    for _ in range(2):
        assert optimizer.step() is None
    assert torch.equal(emb.weight, before)
    found = optimizer.state_dict()
    assert found["param_groups"] == states["param_groups"]
    assert found["state"].keys() == states["state"].keys() or not found["state"]


@pytest.mark.parametrize("empty", [True, False], ids=["empty", "zeros"])
def test_gradients_of_nothing_move_nothing(make, empty):
    emb = model()
    before = emb.weight.detach().clone()
    optimizer = make(emb.parameters())
    for _ in range(3):
        optimizer.zero_grad()
        rows = emb(torch.tensor([1, 1, 5])[: 0 if empty else 3])
        rows.backward(torch.zeros_like(rows))
        optimizer.step()
    assert torch.equal(emb.weight, before)


def test_an_optimizer_tells_what_it_is(make):
    text = repr(make([{"params": parameter(2)}, {"params": parameter(3), "lr": 0.25}]))
    assert text.startswith(f"{make.__name__} (\nParameter Group 0\n")
    assert "lr: 0.25" in text


ERRORS = [
    (lambda p: p, TypeError, "argument given to the optimizer should be an iterable of Tensors"),
    (lambda p: [], ValueError, "optimizer got an empty parameter list"),
    (lambda p: [1], TypeError, "can only optimize Tensors, but one of the params is int"),
    (lambda p: [p * 2], ValueError, "can't optimize a non-leaf Tensor"),
    (lambda p: [{"params": p}, {"params": p}], ValueError, "appear in more than one parameter gr"),
    (lambda p: [{"params": {p}}], TypeError, "organized in ordered collections"),
    (lambda p: [("w", p), parameter(1)], ValueError, "be with/without names. Some param names"),
    (
        lambda p: [{"params": [p]}, {"params": [("w", parameter(1))]}],
        ValueError,
        "all optimizer param groups should be with/without names",
    ),
]


@pytest.mark.parametrize(("params", "error", "message"), ERRORS)
def test_unusable_parameters_are_refused(make, params, error, message):
    with pytest.raises(error, match=message):
        make(params(parameter(2, 2)))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"lr": -0.5}, ValueError, "Invalid learning rate: -0.5"),
        ({"lr": torch.tensor([0.1, 0.1])}, ValueError, "Tensor lr must be 1-element"),
        ({"lr": "fast"}, TypeError, "not supported between instances"),
        ({"no_such_option": 1}, TypeError, "unexpected keyword argument 'no_such_option'"),
    ],
)
def test_unusable_options_are_refused(make, options, error, message):
    with pytest.raises(error, match=message):
        make([parameter(2, 2)], **options)


@pytest.mark.parametrize("betas", [(1.0, 0.0), (0.5, 1.0), (-0.1, 0.5), (0.9,)])
def test_unusable_betas_are_refused(library, betas):
    with pytest.raises((ValueError, IndexError)):
        PAIRS["SparseAdam"][library]([parameter(2, 2)], betas=betas)


def test_a_parameter_that_is_given_twice_is_warned_of(make):
    p = parameter(2, 2)
    with pytest.warns(UserWarning, match="a parameter group with duplicate parameters"):
        make([p, p])


def test_groups_are_added_and_filled_up(make):
    first, second = parameter(2, 2), parameter(3, 2)
    optimizer = make([first], lr=0.5)
    with pytest.raises(TypeError, match="param_group must be a dict"):
        optimizer.add_param_group([second])
    with pytest.raises(ValueError, match="appear in more than one parameter group"):
        optimizer.add_param_group({"params": first})
    assert len(optimizer.param_groups) == 1
    optimizer.add_param_group({"params": second, "note": "kept"})
    assert optimizer.param_groups[1]["lr"] == 0.5
    assert optimizer.param_groups[1]["note"] == "kept"
    assert optimizer.state_dict()["param_groups"][1]["params"] == [1]


@each_case
def test_groups_are_as_several_optimizers(rule, options, library):
    make, ends = PAIRS[rule][library], []
    for together in (True, False):
        embs = [model(seed) for seed in range(3)]
        groups = [{"params": [emb.weight], "lr": 0.1 / (1 + n)} for n, emb in enumerate(embs)]
        if together:
            optimizers = [make(groups, **options)]
        else:
            optimizers = [make(group.pop("params"), **{**options, **group}) for group in groups]
        for ids in batches(1, 6):
            for emb in embs:
                emb.zero_grad()
                emb(ids).pow(2).sum().backward()
            for optimizer in optimizers:
                optimizer.step()
        ends.append([emb.weight for emb in embs])
    for one, other in zip(*ends, strict=True):
        assert torch.equal(one, other)


@each_case
def test_a_state_goes_on_deterministically(rule, options, library):
    make = PAIRS[rule][library]
    emb = model()
    optimizer = make(emb.parameters(), **options)
    train(emb, optimizer, batches(1, 10))
    other = copy.deepcopy(emb)
    further = make(other.parameters())
    state = copy.deepcopy(optimizer.state_dict())
    further.load_state_dict(state)
    for ids in batches(2, 10):
        for m, o in ((emb, optimizer), (other, further)):
            train(m, o, [ids])
        assert torch.equal(emb.weight, other.weight)
    close_state(further, optimizer)
    assert further.state_dict()["param_groups"] == optimizer.state_dict()["param_groups"]
    again = make(other.parameters())
    again.load_state_dict(state)
    assert repr(state) == repr(again.state_dict())  # what was loaded was not trained


@each_case
def test_states_from_before_an_option_was_there(rule, options):
    _, make = PAIRS[rule]  # torch's own SparseAdam has no "maximize" then
    emb = model()
    optimizer = make(emb.parameters(), **options)
    train(emb, optimizer, batches(1, 3))
    defaults = make(emb.parameters()).param_groups[0]
    for name in ("maximize", "foreach", "differentiable", "fused", "nesterov"):
        state = optimizer.state_dict()
        if name in state["param_groups"][0]:
            del state["param_groups"][0][name]
            optimizer.load_state_dict(state)
            train(emb, optimizer, batches(2, 1))
            assert optimizer.param_groups[0][name] == defaults[name]


def test_steps_that_are_counted_in_numbers_and_in_tensors(library):
    make, ends = PAIRS["Adagrad"][library], []
    for plain in (False, True):
        emb = model()
        optimizer = make(emb.parameters(), lr_decay=0.5, lr=0.1)
        train(emb, optimizer, batches(1, 3))
        state = optimizer.state_dict()
        if plain:
            state["state"][0]["step"] = state["state"][0]["step"].item()
        optimizer.load_state_dict(state)
        train(emb, optimizer, batches(2, 3))
        ends.append(emb.weight)
    assert torch.equal(*ends)


@each_case
def test_a_state_is_cast_to_the_parameters_dtype(rule, options):
    ends = []
    for make in PAIRS[rule]:
        emb = model()
        optimizer = make(emb.parameters(), **options)
        train(emb, optimizer, batches(1, 5))
        other = copy.deepcopy(emb).double()
        further = make(other.parameters())
        further.load_state_dict(optimizer.state_dict())
        train(other, further, batches(2, 5))
        assert all(
            value.dtype == torch.float64
            for name, value in further.state.get(other.weight, {}).items()
            if isinstance(value, torch.Tensor) and name != "step"
        )
        ends.append((other.weight, further))
    close(ends[0][0], ends[1][0])
    close_state(ends[1][1], ends[0][1])


def test_a_state_of_other_groups_is_refused(make):
    optimizer = make([parameter(2, 2)])
    state = optimizer.state_dict()
    with pytest.raises(ValueError, match="parameter group that doesn't match the size"):
        make([parameter(2, 2), parameter(2)]).load_state_dict(state)
    with pytest.raises(ValueError, match="different number of parameter groups"):
        make([{"params": parameter(2)}, {"params": parameter(2)}]).load_state_dict(state)


def test_named_parameters_and_their_states(make):
    emb = model()
    named, plain = make(emb.named_parameters()), make(emb.parameters())
    assert named.param_groups[0]["param_names"] == ["weight"]
    train(emb, named, batches(1, 3))
    state = named.state_dict()
    assert state["param_groups"][0]["param_names"] == ["weight"]
    plain.load_state_dict(copy.deepcopy(state))
    assert plain.param_groups[0]["param_names"] == ["weight"]
    for further in (named, make(emb.named_parameters())):
        further.load_state_dict(make(emb.parameters()).state_dict())
        assert further.param_groups[0]["param_names"] == ["weight"]
    named.load_state_dict(state)
    close_state(plain, named)


def test_hooks_of_states_and_of_all_optimizers(make):
    from torch.optim.optimizer import (
        register_optimizer_step_post_hook,
        register_optimizer_step_pre_hook,
    )

    emb, calls = model(), []
    optimizer = make(emb.parameters())
    for hook, name in (
        (optimizer.register_step_pre_hook, "own pre"),
        (optimizer.register_step_post_hook, "own post"),
        (optimizer.register_state_dict_pre_hook, "before saving"),
        (optimizer.register_load_state_dict_pre_hook, "before loading"),
        (optimizer.register_load_state_dict_post_hook, "after loading"),
    ):
        hook(lambda *_, name=name: calls.append(name))
    optimizer.register_state_dict_post_hook(lambda _, state: {**state, "note": calls.append("!")})
    handles = [
        register_optimizer_step_pre_hook(lambda *_: calls.append("all pre")),
        register_optimizer_step_post_hook(lambda *_: calls.append("all post")),
    ]
    train(emb, optimizer, batches(1, 1))
    for handle in handles:
        handle.remove()
    train(emb, optimizer, batches(1, 1))
    state = optimizer.state_dict()
    assert "note" in state
    optimizer.load_state_dict(state)
    assert calls[:6] == ["all pre", "own pre", "own post", "all post", "own pre", "own post"]
    assert calls[6:] == ["before saving", "!", "before loading", "after loading"]


def test_a_hook_may_change_the_arguments_of_a_step(make):
    emb = model()
    optimizer = make(emb.parameters())

    def with_closure(_, args, kwargs):
        return (optimizer, lambda: torch.tensor(7.0)), {}

    optimizer.register_step_pre_hook(with_closure)
    assert optimizer.step() == 7.0


def test_copies_have_all_that_the_optimizer_has(make):
    emb = model()
    optimizer = make(emb.parameters())
    train(emb, optimizer, batches(1, 2))
    other = copy.deepcopy(optimizer)

    def public(one):
        return {name for name in vars(one) if not name.startswith("_")}

    assert public(other) == public(optimizer)
    file = io.BytesIO()
    torch.save(optimizer, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    assert public(loaded) == public(optimizer)
    close_state(loaded, optimizer)


@pytest.mark.parametrize("set_to_none", [True, False])
def test_gradients_are_zeroed(make, set_to_none):
    emb = model()
    optimizer = make(emb.parameters(), lr=0.1)
    for ids in batches(1, 3):
        optimizer.zero_grad(set_to_none=set_to_none)
        assert emb.weight.grad is None or not emb.weight.grad.to_dense().any()
        emb(ids).sum().backward()
        optimizer.step()
        assert emb.weight.grad is not None


@each_case
def test_parameters_of_other_shapes_and_dtypes_side_by_side(rule, options):
    shapes = [((7, 3), torch.float32), ((4,), torch.float64), ((5, 2, 3), torch.float32)]
    shapes += [((1, 1), torch.float64), ((0, 3), torch.float32), ((6, 0), torch.float32)]
    ends = []
    for make in PAIRS[rule]:
        torch.manual_seed(0)
        params = [parameter(*shape, dtype=dtype) for shape, dtype in shapes]
        params.append(parameter(3))  # without a gradient
        optimizer = make(params, **options)
        for _ in range(4):
            for p in params[:-1]:
                p.grad = sparse(torch.randn_like(p))
            optimizer.step()
        ends.append(params)
    for theirs, ours in zip(*ends, strict=True):
        close(ours, theirs)


@each_case
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_that_lie_in_any_way(rule, options, dtype):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(0, 9, (2, 30), generator=generator)
    values = torch.randn(4, 60, dtype=dtype, generator=generator)
    grads = [
        torch.sparse_coo_tensor(rows[:1, ::2], values.t()[:15], (9, 4)),  # transposed
        torch.sparse_coo_tensor(rows[1:, :30], values[:, :1].t().expand(30, 4), (9, 4)),
        torch.sparse_coo_tensor(rows[:1, :0], values.t()[:0], (9, 4)),
        torch.sparse_coo_tensor(rows[:1], values.t()[:30], (9, 4)).coalesce(),
    ]
    grads.append(grads[0] + grads[1])
    ends = []
    for make in PAIRS[rule]:
        p = torch.nn.Parameter(torch.ones(9, 4, dtype=dtype))
        optimizer = make([p], **options)
        for grad in grads:
            p.grad = grad.clone()
            optimizer.step()
        ends.append((p, optimizer))
    close(ends[0][0], ends[1][0])
    close_state(ends[1][1], ends[0][1])


def test_frozen_and_thawed_parameters(make):
    embs = [model(0), model(1)]
    optimizer = make([emb.weight for emb in embs], lr=0.1)
    for step, ids in enumerate(batches(1, 3)):
        embs[1].requires_grad_(step != 1)
        optimizer.zero_grad()
        before = embs[1].weight.detach().clone()
        (embs[0](ids).pow(2).sum() + embs[1](ids).pow(2).sum()).backward()
        optimizer.step()
        assert torch.equal(embs[1].weight, before) == (step == 1)


def test_dense_gradients_are_not_for_sparse_adam(library):
    emb = torch.nn.Embedding(4, 2)
    optimizer = PAIRS["SparseAdam"][library](emb.parameters())
    emb(torch.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match="SparseAdam does not support dense gradients, please"):
        optimizer.step()


@pytest.mark.usefixtures("two_torch_threads")
@each_pair
@pytest.mark.parametrize(("rows", "count"), [(20_000, 1 << 15), (300, 1 << 14)])
def test_a_large_batch_by_several_threads(rule, rows, count):
    ends = []
    for make in PAIRS[rule]:
        torch.manual_seed(0)
        emb = torch.nn.Embedding(rows, 8, sparse=True, dtype=torch.float64)
        optimizer = make(emb.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            ids = (torch.rand(count) ** 3 * rows).long()
            (emb(ids) - 0.3).pow(2).mean().backward()
            optimizer.step()
        ends.append(emb.weight)
    torch.testing.assert_close(*ends, rtol=1e-9, atol=1e-9)


def test_combinations_train_together():
    """Embeddings and optimizers of both libraries, mixed as a half-changed program mixes them."""
    ends = []
    for modules, make in itertools.product((torch.nn, pt), PAIRS["SparseAdam"]):
        torch.manual_seed(0)
        emb = modules.Embedding(40, 6, sparse=True)
        bag = modules.EmbeddingBag(40, 6, mode="sum", sparse=True)
        out = torch.nn.Linear(12, 1)
        optimizers = make([emb.weight, bag.weight], lr=0.05), torch.optim.Adam(out.parameters())
        losses = []
        for ids in batches(1, 10, shape=(5, 3)):
            loss = (out(torch.cat([emb(ids).mean(1), bag(ids)], 1)) - 1).pow(2).sum()
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
            losses.append(loss.detach())
        ends.append(torch.stack(losses))
    for end in ends[1:]:
        close(end, ends[0])
    assert ends[0][-1] < ends[0][0]
