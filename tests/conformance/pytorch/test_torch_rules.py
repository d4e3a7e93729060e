"""The formulas of `pyembed.torch`'s other optimizers, beside torch's."""

import inspect

import numpy as np
import pytest

import pyembed as pe
from conformance.pytorch.peer import pt, torch
from conformance.pytorch.training import batches, close, close_state, model, train

quiet = pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")


def train_dense(peer, ids_of_steps, **options):
    """Train torch's optimizer, which may not take sparse gradients, on dense ones."""
    torch.manual_seed(0)
    emb = torch.nn.Embedding(40, 6)
    optimizer = peer(emb.parameters(), **options)
    for ids in ids_of_steps:
        optimizer.zero_grad()
        ((emb(ids) - 0.3) ** 2).sum().backward()
        optimizer.step()
    return emb.weight, optimizer


def every_row(steps):
    """Ids with every row among them: torch's dense optimizers move all rows."""
    generator = torch.Generator().manual_seed(3)
    for _ in range(steps):
        yield torch.cat([torch.randperm(40, generator=generator), torch.arange(10)])


@quiet
@pytest.mark.parametrize(
    "options",
    [{}, {"lr": 0.1, "lr_decay": 0.3, "initial_accumulator_value": 0.2, "eps": 1e-3}],
    ids=str,
)
@pytest.mark.parametrize("maximize", [False, True])
def test_adagrad_on_sparse_gradients(options, maximize):
    ours, theirs = model(), model()
    optimizer = pt.SparseAdagrad(ours.parameters(), **options, maximize=maximize)
    peer = torch.optim.Adagrad(theirs.parameters(), **options, maximize=maximize)
    for emb, o in ((ours, optimizer), (theirs, peer)):
        train(emb, o, batches(1, 40))
    close(ours.weight, theirs.weight)
    close_state(optimizer, peer)


@pytest.mark.parametrize(
    ("ours", "peer", "options"),
    [
        (pt.SparseAdagrad, torch.optim.Adagrad, {"weight_decay": 0.1, "lr": 0.1}),
        (pt.SparseRMSprop, torch.optim.RMSprop, {}),
        (pt.SparseRMSprop, torch.optim.RMSprop, {"alpha": 0.5, "eps": 0.3, "weight_decay": 0.1}),
        (pt.SparseRMSprop, torch.optim.RMSprop, {"maximize": True, "weight_decay": 0.1}),
        (pt.SparseSGD, torch.optim.SGD, {}),
        (pt.SparseSGD, torch.optim.SGD, {"lr": 0.05, "weight_decay": 0.1, "maximize": True}),
        (pt.SparseSGD, torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
        (pt.SparseSGD, torch.optim.SGD, {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1}),
    ],
    ids=str,
)
def test_where_every_batch_has_every_row(ours, peer, options):
    emb = model()
    optimizer = ours(emb.parameters(), **options)
    train(emb, optimizer, every_row(30))
    weight, other = train_dense(peer, every_row(30), **options)
    close(emb.weight, weight)
    close_state(optimizer, other)


def test_row_wise_adagrad():
    emb = model(dtype=torch.float64)
    optimizer = pt.SparseRowWiseAdagrad(emb.parameters(), lr=0.5, initial_accumulator_value=0.25)
    before = emb.weight.detach().clone()
    for step in range(1, 3):
        optimizer.zero_grad()
        emb(torch.tensor([3, 3])).sum().backward()
        optimizer.step()
        before[3] -= 0.5 * 2 / (0.25 + 4 * step) ** 0.5  # two ids: a gradient of 2
    torch.testing.assert_close(emb.weight.detach(), before, rtol=1e-9, atol=0)
    assert optimizer.state[emb.weight]["sum"].shape == (40,)
    assert optimizer.state[emb.weight]["sum"][3] == 8.25


FTRL = {"lr": 0.1, "lr_power": -0.6, "l1": 0.01, "l2": 0.02, "l2_shrinkage": 0.03, "beta": 0.4}
KERAS_FTRL = (0.1, -0.6, 0.1, 0.01, 0.02, 0.03, 0.4)
MOMENTS = {"exp_avg": "m", "exp_avg_sq": "v"}


@pytest.mark.parametrize(
    ("ours", "options", "numpys", "names"),
    [
        (pt.SparseSGD, {}, lambda emb: pe.SparseSGD(emb, 1e-3), {}),
        (
            pt.SparseSGD,
            {"momentum": 0.9, "nesterov": True},
            lambda emb: pe.SparseSGD(emb, 1e-3, 0.9, nesterov=True),
            {"momentum_buffer": "momentum"},
        ),
        (
            pt.SparseAdagrad,
            {"initial_accumulator_value": 0.1},
            lambda emb: pe.SparseAdagrad(emb, 0.01, epsilon=1e-10),
            {"sum": "accumulator"},
        ),
        (
            pt.SparseRowWiseAdagrad,
            {"initial_accumulator_value": 0.1},
            lambda emb: pe.SparseRowWiseAdagrad(emb, 0.01, epsilon=1e-10),
            {"sum": "accumulator"},
        ),
        (
            pt.SparseAdam,
            {"weight_decay": 0.1},
            lambda emb: pe.SparseAdam(emb, epsilon=1e-8, weight_decay=0.1),
            MOMENTS,
        ),
        (
            pt.SparseAdam,
            {"update": "exact"},
            lambda emb: pe.SparseAdam(emb, epsilon=1e-8, update="exact"),
            MOMENTS,
        ),
        (pt.SparseFTRL, {}, pe.SparseFTRL, {"accumulator": "accumulator", "linear": "linear"}),
        (
            pt.SparseFTRL,
            FTRL,
            lambda emb: pe.SparseFTRL(emb, *KERAS_FTRL),
            {"accumulator": "accumulator", "linear": "linear"},
        ),
        (pt.SparseLion, {}, lambda emb: pe.SparseLion(emb, 1e-4), {"exp_avg": "m"}),
        (
            pt.SparseLion,
            {"lr": 0.01, "betas": (0.5, 0.8), "weight_decay": 0.1},
            lambda emb: pe.SparseLion(emb, 0.01, 0.5, 0.8, weight_decay=0.1),
            {"exp_avg": "m"},
        ),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("maximize", [False, True])
def test_the_same_bits_as_numpys(ours, options, numpys, names, dtype, maximize):
    emb = model(dtype=dtype, module=pt.Embedding)
    before = emb.weight.detach().clone()
    twin = pe.Embedding.from_pretrained(before.numpy().copy(), trainable=True)
    optimizer, other = ours(emb.parameters(), maximize=maximize, **options), numpys(twin)
    generator = torch.Generator().manual_seed(4)
    for ids in batches(1, 20):
        grad = torch.randn(*ids.shape, 6, dtype=dtype, generator=generator)
        optimizer.zero_grad()
        emb(ids).backward(grad)
        optimizer.step()
        other.step(twin.backward(ids, -grad if maximize else grad))
    found = optimizer.state_dict()["state"].get(0, {})
    np.testing.assert_array_equal(emb.weight.detach(), twin.embeddings)
    assert (emb.weight != before).any(1).tolist()[:20] == [True] * 20
    [expected] = other.state_dict()["tables"]
    assert found.keys() - {"step"} == names.keys()
    for name, its in names.items():
        np.testing.assert_array_equal(found[name], expected[its], strict=True)


def test_plain_descent_keeps_no_state_and_older_states_load():
    emb = model()
    optimizer = pt.SparseSGD(emb.parameters())
    train(emb, optimizer, batches(1, 2))
    assert not optimizer.state
    older = optimizer.state_dict()
    for option in ("maximize", "nesterov"):
        del older["param_groups"][0][option]
    optimizer.load_state_dict(older)
    train(emb, optimizer, batches(1, 2))
    assert optimizer.param_groups[0]["maximize"] is False


@pytest.mark.parametrize(
    ("ours", "options", "message"),
    [
        (pt.SparseSGD, {"lr": -1.0}, "Invalid learning rate: -1.0"),
        (pt.SparseSGD, {"nesterov": True}, "Nesterov momentum requires a momentum and zero damp"),
        (pt.SparseSGD, {"momentum": -0.1}, "Invalid momentum value: -0.1"),
        (pt.SparseAdagrad, {"lr_decay": -0.5}, "Invalid lr_decay value: -0.5"),
        (pt.SparseRowWiseAdagrad, {"eps": -0.5}, "Invalid epsilon value: -0.5"),
        (pt.SparseRMSprop, {"alpha": 1.0}, "Invalid alpha value: 1.0"),
        (pt.SparseFTRL, {"lr": 0.0}, "Invalid learning rate: 0.0"),
        (pt.SparseFTRL, {"lr_power": 0.5}, "Invalid lr_power value: 0.5"),
        (pt.SparseFTRL, {"l1": -1.0}, "Invalid l1 value: -1.0"),
        (pt.SparseLion, {"betas": (0.9, 1.0)}, "Invalid beta parameter at index 1: 1.0"),
        (pt.SparseLion, {"weight_decay": -0.1}, "Invalid weight_decay value: -0.1"),
        (pt.SparseRMSprop, {"weight_decay": float("nan")}, "Invalid weight_decay value: nan"),
    ],
)
def test_unusable_options_are_refused(ours, options, message):
    with pytest.raises(ValueError, match=message):
        ours([torch.nn.Parameter(torch.ones(2, 2))], **options)


@pytest.mark.parametrize(
    ("ours", "options", "lr", "message"),
    [
        (pt.SparseFTRL, {}, 0.0, "Invalid learning rate: 0.0"),
        (pt.SparseLion, {"weight_decay": 2.0}, 0.5, "lr=0.5 times weight_decay=2 must be < 1"),
    ],
)
def test_a_rate_that_became_unusable_is_refused(ours, options, lr, message):
    emb = model()
    before = emb.weight.detach().clone()
    optimizer = ours(emb.parameters(), **options)
    emb(torch.tensor([1])).sum().backward()
    optimizer.param_groups[0]["lr"] = lr
    with pytest.raises(ValueError, match=message):
        optimizer.step()
    assert torch.equal(emb.weight, before)
    assert not optimizer.state


@pytest.mark.parametrize(
    "ours", [pt.SparseSGD, pt.SparseAdagrad, pt.SparseRMSprop, pt.SparseFTRL, pt.SparseLion]
)
def test_what_only_torch_can_train_is_refused(ours):
    p = torch.nn.Parameter(torch.ones(4, 6, dtype=torch.float16))
    optimizer = ours([p])
    p.grad = torch.sparse_coo_tensor(
        torch.tensor([[1]]), torch.ones(1, 6, dtype=torch.float16), (4, 6), check_invariants=True
    )
    with pytest.raises(
        RuntimeError, match=r"cannot train a parameter of shape \(4, 6\): its dtype"
    ):
        optimizer.step()
    p.grad = torch.ones(4, 6, dtype=torch.float16)
    with pytest.raises(RuntimeError, match="does not support dense gradients, please consider"):
        optimizer.step()


def test_a_gradient_of_another_width_or_dtype_is_refused():
    for other in (torch.zeros(40, 2), torch.zeros(40, 600), torch.zeros(40, 6).double()):
        emb = model()
        optimizer = pt.SparseSGD(emb.parameters(), lr=1.0)
        emb(torch.tensor([39])).sum().backward()
        emb.weight.data = other
        with pytest.raises(RuntimeError, match=r"a gradient of shape \(40, 6\) and dtype torch.fl"):
            optimizer.step()
        assert (emb.weight == 0).all()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own
def test_a_compiled_step_is_outside_its_graph():
    emb = model()
    before = emb.weight.detach().clone()
    optimizer = pt.SparseSGD(emb.parameters(), lr=1.0)

    def step(x):
        optimizer.step()
        return x * 2

    emb(torch.tensor([1])).sum().backward()
    assert torch.compile(step, backend="eager")(torch.tensor(2)) == 4
    assert torch.equal(emb.weight[1], before[1] - 1)


OF_TORCH = [
    (pt.SparseAdagrad, torch.optim.Adagrad, {"differentiable": False, "fused": None}),
    (pt.SparseSGD, torch.optim.SGD, {"differentiable": False, "fused": False}),
    (
        pt.SparseRMSprop,
        torch.optim.RMSprop,
        {"differentiable": False, "capturable": False, "momentum": 0, "centered": False},
    ),
]


@pytest.mark.parametrize(("ours", "theirs", "options"), OF_TORCH)
@pytest.mark.parametrize("foreach", [None, False, True])
def test_options_of_torchs_are_accepted_where_they_ask_for_nothing(ours, theirs, options, foreach):
    emb = model()
    for cls in (ours, theirs):
        optimizer = cls(emb.parameters(), foreach=foreach, **options)
        for name, value in {**options, "foreach": foreach}.items():
            assert optimizer.param_groups[0][name] == value
    train(emb, ours(emb.parameters(), foreach=foreach, **options), batches(1, 2))
    positions = [list(inspect.signature(cls).parameters) for cls in (ours, theirs)]
    assert positions[0] == positions[1]


@pytest.mark.parametrize(("ours", "theirs", "options"), OF_TORCH)
def test_options_of_torchs_that_cannot_hold_are_told(ours, theirs, options):
    for name in options:
        with pytest.raises(ValueError, match=rf"^{name}=True cannot be: "):
            ours(model().parameters(), **{name: True})
        with pytest.raises(ValueError, match=rf"^{name}=True cannot be: "):
            ours([{"params": list(model().parameters()), name: True}])
