"""What `torch.nn.Embedding` does, asked of it and of ours in its place."""

import copy
import io
import pickle

import pytest

from conformance.pytorch.peer import pt, torch
from conformance.pytorch.training import close

nn = torch.nn
DTYPES = [torch.float32, torch.float64]
quiet = pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")


@pytest.fixture(params=[nn.Embedding, pt.Embedding], ids=["torch", "pyembed"])
def kind(request):
    torch.manual_seed(0)
    return request.param


def dense(grad):
    return grad.to_dense() if grad.is_sparse else grad


def counts(ids, rows):
    """How often each row (rows, 1) is looked up."""
    return torch.bincount(ids.reshape(-1).long(), minlength=rows)[:, None]


IDS = {
    "expanded": lambda: torch.randint(0, 9, (1, 512)).expand(7, 512),
    "transposed": lambda: torch.randint(0, 9, (5, 3)).t(),
    "strided": lambda: torch.randint(0, 9, (40, 2))[::3, 1],
    "a 0-d view": lambda: torch.randint(0, 9, (4,))[2],
    "none": lambda: torch.randint(0, 9, (3, 0, 2)),
    "four axes": lambda: torch.randint(0, 9, (2, 1, 3, 2)),
    "int32, strided": lambda: torch.randint(0, 9, (30, 2), dtype=torch.int32)[:, 0],
}


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", IDS)
def test_rows_and_gradients_of_ids_of_any_layout(kind, layout, dtype, sparse):
    emb, ids = kind(9, 4, sparse=sparse, dtype=dtype), IDS[layout]()
    rows = emb(ids)
    assert torch.equal(rows, emb.weight[ids.long()])
    assert (rows.dtype, rows.is_contiguous()) == (dtype, True)
    rows.sum().backward()  # an upstream gradient without memory of its own for each element
    assert torch.equal(dense(emb.weight.grad), counts(ids, 9).expand(9, 4).to(dtype))
    assert emb.weight.grad.is_sparse == sparse


@pytest.mark.parametrize("sparse", [False, True])
def test_upstream_gradients_of_any_layout(kind, sparse):
    emb, ids = kind(9, 4, sparse=sparse), torch.tensor([[1, 2, 1], [8, 2, 1]])
    upstream = torch.randn(4, 3, 2).permute(2, 1, 0)
    emb(ids).backward(upstream)
    expected = torch.zeros(9, 4).index_add(0, ids.reshape(-1), upstream.reshape(-1, 4))
    close(dense(emb.weight.grad), expected)


@pytest.mark.parametrize("layout", ["columns", "transposed", "every second row", "one row"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_weights_of_any_layout(kind, layout, dtype):
    table = torch.randn(6, 6, dtype=dtype)
    weight = {
        "columns": table[:, 1:4],
        "transposed": table.t(),
        "every second row": table[::2],
        "one row": table[:1].expand(6, 6),
    }[layout]
    emb = kind.from_pretrained(weight, freeze=False)
    ids = torch.tensor([0, 2, 2])
    assert emb.weight.data_ptr() == weight.data_ptr()
    assert torch.equal(emb(ids), weight[ids])
    emb(ids).sum().backward()
    assert torch.equal(emb.weight.grad, counts(ids, len(weight)).expand(weight.shape).to(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_sparse_gradient_lists_the_ids_of_each_call_in_turn(kind, dtype):
    emb = kind(10, 3, sparse=True, dtype=dtype)
    emb(torch.tensor([7, 1, 3])).sum().backward()
    assert emb.weight.grad._indices().tolist() == [[7, 1, 3]]
    assert torch.equal(emb.weight.grad._values(), torch.ones(3, 3, dtype=dtype))
    emb(torch.tensor([8, 1, 3])).sum().backward()
    assert emb.weight.grad._indices().tolist() == [[7, 1, 3, 8, 1, 3]]
    assert emb.weight.grad.shape == (10, 3)
    assert emb.weight.grad.dtype == dtype


@pytest.mark.parametrize("sparse", [False, True])
def test_ids_that_change_before_the_backward_pass_are_noticed(kind, sparse):
    emb, ids = kind(10, 3, sparse=sparse), torch.tensor([7, 1, 3])
    rows = emb(ids)
    ids[0] = 8
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        rows.sum().backward()


def test_a_graph_is_gone_through_once_unless_it_is_retained(kind):
    emb = kind(10, 3)
    loss = emb(torch.tensor([1, 2])).pow(2).sum()
    loss.backward(retain_graph=True)
    first = emb.weight.grad.clone()
    loss.backward()
    close(emb.weight.grad, 2 * first)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        loss.backward()


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("padding_idx", [0, 2, -2, -10])
def test_padding_starts_as_zeros_and_is_read_as_it_is(kind, padding_idx, sparse):
    emb = kind(10, 4, padding_idx=padding_idx, sparse=sparse)
    at = padding_idx % 10
    ids = torch.tensor([[at, 5], [3, at]])
    assert emb.padding_idx == at
    assert not emb(ids)[[0, 1], [0, 1]].any()
    assert emb.weight[torch.arange(10) != at].abs().sum(1).all()
    with torch.no_grad():
        emb.weight[padding_idx] = 7.0
    assert (emb(ids)[[0, 1], [0, 1]] == 7.0).all()
    emb.reset_parameters()
    assert not emb.weight[padding_idx].any()


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("times", [1, 2, 1000])
@pytest.mark.parametrize("others", [[], [1, 3], [2]])
def test_padding_gets_no_gradient(kind, others, times, sparse):
    emb = kind(5, 2, padding_idx=0, sparse=sparse)
    ids = torch.tensor(others + [0] * times)
    [first] = torch.autograd.grad(emb(ids).sum(), [emb.weight])
    loss = emb(ids).sum()
    [again] = torch.autograd.grad(loss, [emb.weight], retain_graph=True)
    (loss + dense(again).sum()).backward()
    for grad in (first, again, emb.weight.grad):
        assert dense(grad).sum(1).tolist() == [2.0 * (row in others) for row in range(5)]


@pytest.mark.parametrize("padding_idx", [10, 25, -11])
def test_padding_outside_the_table_is_refused(kind, padding_idx):
    with pytest.raises(AssertionError, match="Padding_idx must be within num_embeddings"):
        kind(10, 4, padding_idx=padding_idx)


@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, *DTYPES, torch.half]
)
def test_pretrained_weights_of_any_dtype(kind, dtype):
    matrix = torch.arange(1, 7).view(2, 3).to(dtype)
    emb = kind.from_pretrained(matrix)
    assert torch.equal(emb(torch.tensor([1, 0])), matrix.flip(0))
    assert emb.weight.dtype == dtype


def test_pretrained_padding_is_read_as_it_is(kind):
    matrix = torch.rand(4, 3)
    emb = kind.from_pretrained(matrix, padding_idx=2, freeze=False)
    assert torch.equal(emb(torch.tensor([2])), matrix[2:3])
    emb(torch.tensor([1, 2])).sum().backward()
    assert emb.weight.grad.sum(1).tolist() == [0.0, 3.0, 0.0, 0.0]


def test_pretrained_weights_with_all_options(kind):
    matrix = torch.arange(1.0, 7.0).view(2, 3)
    before = matrix.clone()
    emb = kind.from_pretrained(matrix, max_norm=2.0, norm_type=0.5, sparse=True)
    rows = emb(torch.tensor([0, 1]))
    assert torch.equal(rows, matrix)  # which it scaled
    assert (matrix != before).all()
    assert (rows.norm(p=0.5, dim=1) < 2.0 + 1e-5).all()
    assert (emb.norm_type, emb.sparse, emb.scale_grad_by_freq) == (0.5, True, False)


def test_weights_of_another_shape_are_refused(kind):
    with pytest.raises(AssertionError, match="parameter is expected to be 2-dimensional"):
        kind.from_pretrained(torch.rand(4))
    with pytest.raises(AssertionError, match="Shape of weight does not match num_embeddings"):
        kind(4, 3, _weight=torch.rand(4, 2))


@pytest.mark.parametrize("norm_type", [0.5, 1.0, 2.0, 3.5, float("inf")])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("with_gradient", [False, True])
def test_max_norm_scales_the_rows_that_are_looked_up(kind, norm_type, dtype, with_gradient):
    emb = kind(22, 5, max_norm=1.0, norm_type=norm_type, dtype=dtype)
    emb.requires_grad_(with_gradient)
    before, version = emb.weight.detach().clone(), emb.weight._version
    ids = torch.tensor([2, 8, 8, 6])
    rows = emb(ids)
    assert torch.equal(rows[1], rows[2])
    assert torch.equal(rows, emb.weight[ids])
    norms = before.norm(p=norm_type, dim=1, keepdim=True)
    scaled = torch.where(norms > 1.0, before / (norms + 1e-7), before)
    close(rows, scaled[ids])
    others = [row for row in range(22) if row not in (2, 6, 8)]
    assert torch.equal(emb.weight[others], before[others])
    assert emb.weight._version > version  # so that autograd notices
    close(emb(ids), rows)  # small enough as they are


@pytest.mark.parametrize("sparse", [False, True])
def test_the_gradient_ignores_max_norm(kind, sparse):
    emb = kind(4, 4, max_norm=1.0, sparse=sparse)
    with torch.no_grad():
        emb.weight.mul_(10.0)
    emb(torch.tensor([0, 1, 2, 2])).sum().backward()
    assert dense(emb.weight.grad).tolist() == [[n] * 4 for n in (1.0, 1.0, 2.0, 0.0)]


def test_what_was_computed_of_a_weight_before_max_norm_is_noticed(kind):
    emb = kind(4, 3, max_norm=0.1)
    product = emb.weight * emb.weight
    rows = emb(torch.tensor([1]))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        (product.sum() + rows.sum()).backward()
    product = emb.weight.clone() * 2
    (product.sum() + emb(torch.tensor([2])).sum()).backward()
    assert emb.weight.grad.sum(1).tolist() == [6.0, 6.0, 9.0, 6.0]


@pytest.mark.parametrize("padding_idx", [None, 1])
def test_gradients_divided_by_frequency(kind, padding_idx):
    emb = kind(5, 2, scale_grad_by_freq=True, padding_idx=padding_idx)
    emb(torch.tensor([[1, 1, 3], [1, 0, 0]])).sum().backward()
    expected = [1.0, 0.0 if padding_idx == 1 else 1.0, 0.0, 1.0, 0.0]
    close(emb.weight.grad, torch.tensor(expected)[:, None].expand(5, 2))


REFUSED = {
    "too large": (torch.tensor([0, 10]), IndexError),
    "far too large": (torch.tensor([[1], [1 << 40]]), IndexError),
    "negative": (torch.tensor([3, -1]), IndexError),
    "int32": (torch.tensor([3, -1], dtype=torch.int32), IndexError),
    "floats": (torch.tensor([1.5]), RuntimeError),
    "halves": (torch.ones(1, dtype=torch.half), RuntimeError),
    "complex": (torch.ones(1, dtype=torch.complex64), RuntimeError),
    "booleans": (torch.tensor([True]), RuntimeError),
}


@pytest.mark.parametrize("why", REFUSED)
def test_refused_ids_change_nothing(kind, why):
    ids, error = REFUSED[why]
    emb = kind(10, 3, sparse=True)
    with pytest.raises(error):
        emb(ids)
    emb(torch.tensor([1])).sum().backward()
    assert emb.weight.grad._indices().tolist() == [[1]]


@quiet
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("set_to_none", [False, True])
def test_gradients_are_forgotten_or_zeroed(kind, sparse, set_to_none):
    emb = kind(6, 2, sparse=sparse)
    ids = torch.tensor([1, 1, 4])
    for _ in range(3):
        emb.zero_grad(set_to_none=set_to_none)
        assert emb.weight.grad is None or not dense(emb.weight.grad).any()
        emb(ids).sum().backward()
        assert torch.equal(dense(emb.weight.grad), counts(ids, 6).expand(6, 2).float())


def test_a_frozen_weight_has_no_gradient(kind):
    emb = kind(6, 2, _freeze=True)
    assert not emb(torch.tensor([1])).requires_grad
    emb.requires_grad_(True)
    assert emb(torch.tensor([1])).requires_grad
    with torch.no_grad():
        assert not emb(torch.tensor([1])).requires_grad
    assert emb.eval()(torch.tensor([1])).requires_grad  # no dropout, no statistics


@pytest.mark.parametrize("sparse", [False, True])
def test_hooks_see_calls_and_gradients(kind, sparse):
    emb, ids, seen = kind(6, 2, sparse=sparse), torch.tensor([1, 1]), []
    emb.register_forward_pre_hook(lambda module, given: seen.append("before"))
    emb.register_forward_hook(lambda module, given, rows: seen.append(rows.shape))
    emb.weight.register_hook(lambda grad: seen.append(grad.is_sparse))
    emb.weight.register_post_accumulate_grad_hook(lambda p: seen.append(dense(p.grad).sum()))
    emb(ids).sum().backward()
    assert seen == ["before", (2, 2), sparse, 4.0]
    emb.weight.register_hook(lambda grad: grad * 3)
    emb.zero_grad()
    emb(ids).sum().backward()
    assert seen[-1] == 12.0


@quiet
@pytest.mark.parametrize("sparse", [False, True])
def test_a_weight_that_is_tied_to_a_linear_layer(kind, sparse):
    emb, out = kind(6, 4, sparse=sparse), nn.Linear(4, 6, bias=False)
    out.weight = emb.weight
    ids = torch.tensor([1, 5, 5])
    nn.functional.cross_entropy(out(emb(ids)), ids).backward()
    weight = emb.weight.detach().clone().requires_grad_()
    nn.functional.cross_entropy(weight[ids] @ weight.t(), ids).backward()
    close(dense(emb.weight.grad), weight.grad)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad:UserWarning")
def test_checkpoints_and_saved_tensors_that_are_packed(kind, sparse, reentrant):
    from torch.autograd.graph import saved_tensors_hooks
    from torch.utils.checkpoint import checkpoint

    emb, ids, packed = kind(6, 2, sparse=sparse), torch.tensor([1, 1, 4]), []

    def loss(x):
        return (emb(ids) * x).pow(2).sum()

    x = torch.ones((), requires_grad=True)
    loss(x).backward()
    expected = dense(emb.weight.grad).clone()
    emb.zero_grad()
    checkpoint(loss, x, use_reentrant=reentrant).backward()
    close(dense(emb.weight.grad), expected)
    emb.zero_grad()
    with saved_tensors_hooks(lambda t: packed.append(t.shape) or t.numpy(), torch.from_numpy):
        rows = emb(ids)
    rows.pow(2).sum().backward()
    assert packed
    close(dense(emb.weight.grad), expected)


def test_anomaly_detection_names_the_lookup(kind):
    emb = kind(6, 2)
    with (
        pytest.warns(UserWarning, match="Anomaly Detection has been enabled"),
        torch.autograd.detect_anomaly(),
        pytest.raises(RuntimeError, match="returned nan values in its 0th output"),
        pytest.warns(UserWarning, match="Error detected in"),
    ):
        emb(torch.tensor([1])).backward(torch.full((1, 2), float("nan")))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("sparse", [False, True])
def test_modules_that_are_moved_to_another_dtype(kind, dtype, sparse):
    emb = kind(10, 3, sparse=sparse)
    before = emb.weight.detach().to(dtype)
    ids = torch.tensor([1, 1, 2])
    emb(ids)
    assert emb.to(dtype) is emb
    assert torch.equal(emb(ids), before[ids])
    emb(ids).sum().backward()
    assert emb.weight.grad.dtype == dtype
    assert dense(emb.weight.grad).sum() == 9


def test_the_default_dtype_and_modules_made_without_memory(kind):
    torch.set_default_dtype(torch.float64)
    try:
        assert kind(4, 3)(torch.tensor([1])).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert kind(4, 3).weight.dtype == torch.float32
    with torch.device("meta"):
        emb = kind(4, 3, padding_idx=1)
    assert emb.weight.is_meta
    emb.to_empty(device="cpu")
    emb.reset_parameters()
    assert emb(torch.tensor([1, 2])).any(1).tolist() == [False, True]
    assert nn.utils.skip_init(kind, 4, 3)(torch.tensor([1])).shape == (1, 3)


def test_state_dicts_that_do_not_fit_are_told(kind):
    emb, other = kind(6, 3), kind(6, 4)
    assert list(emb.state_dict()) == ["weight"]
    before = emb.weight.detach().clone()
    with pytest.raises(RuntimeError, match="size mismatch for weight: copying a param with shape"):
        emb.load_state_dict(other.state_dict())
    with pytest.raises(RuntimeError, match=r"Missing key\(s\) in state_dict: \"weight\""):
        emb.load_state_dict({})
    with pytest.raises(RuntimeError, match="Unexpected key"):
        emb.load_state_dict({**emb.state_dict(), "bias": torch.ones(1)})
    assert torch.equal(emb.weight, before)
    missing = emb.load_state_dict({"bias": torch.ones(1)}, strict=False)
    assert (missing.missing_keys, missing.unexpected_keys) == (["weight"], ["bias"])


@pytest.mark.parametrize("copied", ["deepcopy", "pickle", "torch.save"])
def test_copies_of_a_module_are_alike_and_apart(kind, copied):
    emb = kind(6, 3, padding_idx=1, max_norm=2.0, scale_grad_by_freq=True)
    emb.note = "kept"
    emb(torch.tensor([1, 2])).sum().backward()
    if copied == "deepcopy":
        other = copy.deepcopy(emb)
    elif copied == "pickle":
        other = pickle.loads(pickle.dumps(emb))
    else:
        file = io.BytesIO()
        torch.save(emb, file)
        file.seek(0)
        other = torch.load(file, weights_only=False)
    assert (type(other), other.note, repr(other)) == (kind, "kept", repr(emb))
    assert torch.equal(other(torch.arange(6)), emb(torch.arange(6)))
    with torch.no_grad():
        other.weight.zero_()
    assert emb(torch.tensor([2])).any()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "Embedding(5, 3)"),
        ({"padding_idx": -1}, "Embedding(5, 3, padding_idx=4)"),
        ({"max_norm": 1.0}, "Embedding(5, 3, max_norm=1.0)"),
        ({"max_norm": 1.0, "norm_type": 1.0}, "Embedding(5, 3, max_norm=1.0, norm_type=1.0)"),
        ({"scale_grad_by_freq": True}, "Embedding(5, 3, scale_grad_by_freq=True)"),
        ({"sparse": True}, "Embedding(5, 3, sparse=True)"),
    ],
)
def test_a_module_tells_what_it_is(kind, options, expected):
    assert repr(kind(5, 3, **options)) == expected


def test_weights_are_initialized_alike():
    made = []
    for kind in (nn.Embedding, pt.Embedding):
        torch.manual_seed(3)
        emb = kind(500, 40)
        made.append((emb.weight.detach().clone(), torch.randn(2)))  # and no more numbers drawn
        assert abs(emb.weight.mean()) < 0.05
        assert abs(emb.weight.std() - 1) < 0.05
        nn.init.uniform_(emb.weight, 2.0, 3.0)
        assert emb(torch.tensor([1])).min() >= 2.0
    assert torch.equal(made[0][0], made[1][0])
    assert torch.equal(made[0][1], made[1][1])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own
@pytest.mark.parametrize("shape", [(), (3,), (2, 2)])
def test_gradients_by_finite_differences_and_in_batches(kind, shape):
    emb = kind(5, 3, dtype=torch.float64)
    ids = torch.randint(0, 5, shape)

    def rows(weight):
        return torch.func.functional_call(emb, {"weight": weight}, (ids,))

    weight = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    how = {"check_batched_grad": True, "check_forward_ad": True}
    assert torch.autograd.gradcheck(rows, (weight,), **how)
    assert torch.autograd.gradgradcheck(rows, (weight,))


@pytest.mark.usefixtures("two_torch_threads")
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("padding_idx", [None, 3])
def test_a_large_batch_by_several_threads(kind, sparse, padding_idx):
    emb = kind(5000, 16, sparse=sparse, padding_idx=padding_idx, dtype=torch.float64)
    ids = (torch.rand(200_000) ** 4 * 5000).long()  # some of them often
    upstream = torch.randn(200_000, 16, dtype=torch.float64)
    rows = emb(ids)
    assert torch.equal(rows, emb.weight[ids])
    rows.backward(upstream)
    expected = torch.zeros(5000, 16, dtype=torch.float64).index_add(0, ids, upstream)
    if padding_idx is not None:
        expected[padding_idx] = 0.0
    torch.testing.assert_close(dense(emb.weight.grad), expected, rtol=1e-10, atol=1e-10)


def test_backward_passes_in_several_threads(kind):
    from concurrent.futures import ThreadPoolExecutor

    emb = kind(6, 2)

    def one(row):
        emb(torch.tensor([row, 5])).sum().backward()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(one, [0, 1, 2] * 10))
    assert emb.weight.grad.sum(1).tolist() == [20.0, 20.0, 20.0, 0.0, 0.0, 60.0]


def test_deterministic_algorithms_are_those_of_every_day(kind):
    emb = kind(6, 2)
    torch.use_deterministic_algorithms(True)
    try:
        emb(torch.tensor([1, 1])).sum().backward()
    finally:
        torch.use_deterministic_algorithms(False)
    assert emb.weight.grad[1].tolist() == [2.0, 2.0]


def test_averages_and_ensembles_of_models(kind):
    model = nn.Sequential(kind(6, 3), nn.Linear(3, 1))
    averaged = torch.optim.swa_utils.AveragedModel(model)
    ids = torch.tensor([1, 2])
    first = model(ids).detach()
    averaged.update_parameters(model)
    close(averaged(ids), first)
    with torch.no_grad():
        model[0].weight.add_(2.0)
    averaged.update_parameters(model)
    close(averaged.module[0](ids), model[0](ids) - 1.0)
    vector = nn.utils.parameters_to_vector(model.parameters())
    nn.utils.vector_to_parameters(torch.zeros_like(vector), model.parameters())
    assert not model(ids).any()
