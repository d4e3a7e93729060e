"""What `torch.nn.EmbeddingBag` does, asked of it and of ours in its place."""

import itertools

import pytest

from conformance.pytorch.peer import pt, torch
from conformance.pytorch.training import close

nn = torch.nn
MODES = ["sum", "mean", "max"]
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
INTS = list(itertools.product([torch.int32, torch.int64], repeat=2))
# Where torch has sparse gradients.
FORMS = [("sum", False), ("mean", False), ("max", False), ("sum", True), ("mean", True)]


@pytest.fixture(params=[nn.EmbeddingBag, pt.EmbeddingBag], ids=["torch", "pyembed"])
def kind(request):
    torch.manual_seed(0)
    return request.param


def dense(grad):
    return grad.to_dense() if grad.is_sparse else grad


def near(found, expected):
    """Compare to what half precision has, where it is that."""
    loose = found.dtype in (torch.float16, torch.bfloat16)
    allowed = {"rtol": 2e-2, "atol": 1e-2} if loose else {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(found, expected, **allowed)


def pooled(rows, mode, weights=None):
    """Pool rows (bags, length, dim) as a model without bags would."""
    if weights is not None:
        rows = rows * weights[..., None]
    if mode == "max":
        return rows.max(1)[0] if rows.shape[1] else rows.sum(1)
    return rows.sum(1) if mode == "sum" or not rows.shape[1] else rows.mean(1)


OUT = {
    "sum": [[0, 0], [13, 16], [0, 0], [13, 16], [0, 0]],
    "mean": [[0, 0], [13 / 3, 16 / 3], [0, 0], [13 / 3, 16 / 3], [0, 0]],
    "max": [[0, 0], [7, 8], [0, 0], [9, 10], [0, 0]],
}
GRAD = {
    "sum": [[3, 4], [5, 8], [0, 0], [1, 2], [3, 4]],
    "mean": [[1, 4 / 3], [5 / 3, 8 / 3], [0, 0], [1 / 3, 2 / 3], [1, 4 / 3]],
    "max": [[0, 0], [0, 0], [0, 0], [1, 2], [3, 4]],
}


@pytest.mark.parametrize(("mode", "sparse"), FORMS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("id_type", "offset_type"), INTS)
def test_a_worked_case(kind, mode, sparse, dtype, id_type, offset_type):
    table = torch.arange(1, 11).view(5, 2).to(dtype)
    bag = kind.from_pretrained(table, freeze=False, mode=mode, sparse=sparse)
    ids = torch.tensor([3, 1, 1, 1, 4, 0], dtype=id_type)
    upstream = torch.tensor([[99, 99], [1, 2], [99, 99], [3, 4], [99, 99]], dtype=dtype)
    out, grad = (torch.tensor(of[mode], dtype=dtype) for of in (OUT, GRAD))

    found = bag(ids, torch.tensor([0, 0, 3, 3, 6], dtype=offset_type))
    near(found, out)
    found.backward(upstream)
    assert bag.weight.grad.is_sparse == sparse
    near(dense(bag.weight.grad), grad)

    bag.zero_grad()
    found = bag(ids.view(2, 3))
    near(found, out[[1, 3]])
    found.backward(upstream[[1, 3]])
    near(dense(bag.weight.grad), grad)

    bag.zero_grad()
    found = bag(ids[:0], torch.zeros(4, dtype=offset_type))
    assert torch.equal(found, torch.zeros(4, 2, dtype=dtype))
    found.sum().backward()
    assert torch.equal(dense(bag.weight.grad), torch.zeros(5, 2, dtype=dtype))


SIZES = [
    (1, 1, 1, 1),
    (2, 3, 5, 7),
    (2, 5, 53, 23),
    (101, 5, 3, 7),
    (2, 101, 3, 7),
    (40, 33, 1, 50),
]


@pytest.mark.parametrize(("rows", "dim", "bags", "length"), SIZES)
@pytest.mark.parametrize(("mode", "sparse"), FORMS)
@pytest.mark.parametrize("max_norm", [None, 3.0])
def test_bags_are_lookups_that_are_pooled(kind, rows, dim, bags, length, mode, sparse, max_norm):
    bag = kind(rows, dim, mode=mode, sparse=sparse, max_norm=max_norm, dtype=torch.float64)
    emb = nn.Embedding(rows, dim, max_norm=max_norm, _weight=bag.weight.detach().clone())
    ids = torch.randint(rows, (bags, length))
    out = bag(ids.view(-1), torch.arange(bags) * length)
    expected = pooled(emb(ids), mode)
    close(out, expected)
    upstream = torch.randn(dim, bags, dtype=torch.float64).t()
    out.backward(upstream)
    expected.backward(upstream)
    close(dense(bag.weight.grad), emb.weight.grad)
    close(bag(ids), expected)
    close(bag.weight, emb.weight)


@pytest.mark.parametrize(("rows", "dim", "bags", "length"), SIZES)
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("trained", list(itertools.product([False, True], repeat=2)))
def test_weights_per_sample(kind, rows, dim, bags, length, sparse, trained):
    bag = kind(rows, dim, mode="sum", sparse=sparse, dtype=torch.float64)
    weight = bag.weight.detach().clone().requires_grad_()
    bag.weight.requires_grad_(trained[0])
    ids = torch.randint(rows, (bags, length))
    raw = [
        torch.linspace(-1, 1, bags * length, dtype=torch.float64).view(bags, length).clone()
        for _ in range(2)
    ]
    for one in raw:
        one.requires_grad_(trained[1])
    out = bag(ids, per_sample_weights=raw[0].softmax(-1))
    expected = pooled(weight[ids], "sum", raw[1].softmax(-1))
    close(out, expected)
    assert out.requires_grad == any(trained)
    if not any(trained):
        return
    upstream = torch.randn(bags, dim, dtype=torch.float64)
    out.backward(upstream)
    expected.backward(upstream)
    if trained[0]:
        close(dense(bag.weight.grad), weight.grad)
    if trained[1]:
        close(raw[0].grad, raw[1].grad)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("include_last_offset", [False, True])
@pytest.mark.parametrize(("id_type", "offset_type"), INTS)
def test_weights_per_sample_of_uneven_bags(kind, dtype, include_last_offset, id_type, offset_type):
    table = torch.arange(1, 11).view(5, 2).to(dtype)
    bag = kind.from_pretrained(
        table.clone(), freeze=False, mode="sum", include_last_offset=include_last_offset
    )
    ids = torch.tensor([3, 1, 1, 1, 4, 0], dtype=id_type)
    ends = [0, 0, 3, 3, 6] + [6] * include_last_offset
    offsets = torch.tensor(ends, dtype=offset_type)
    weights = torch.randn(6, 2).to(dtype)[:, 0].requires_grad_()  # not contiguous
    out = bag(ids, offsets, weights)
    products = weights.detach()[:, None] * table[ids.long()]
    bounds = zip(ends[:5], [*ends[1:5], 6], strict=True)
    near(out, torch.stack([products[begin:end].sum(0) for begin, end in bounds]))
    upstream = torch.arange(10).view(5, 2).to(dtype)
    out.backward(upstream)
    of_positions = upstream[[1, 1, 1, 3, 3, 3]]
    expected = torch.zeros_like(table).index_add(
        0, ids.long(), of_positions * weights.detach()[:, None]
    )
    near(bag.weight.grad, expected)
    near(weights.grad, (of_positions * table[ids.long()]).sum(1))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("id_type", "offset_type"), INTS)
@pytest.mark.parametrize("bags", [1, 2, 5])
def test_no_ids_at_all(kind, mode, id_type, offset_type, bags):
    bag = kind(4, 3, mode=mode)
    ids, offsets = torch.empty(0, dtype=id_type), torch.zeros(bags, dtype=offset_type)
    weights = torch.empty(0, requires_grad=True) if mode == "sum" else None
    out = bag(ids, offsets, weights)
    assert torch.equal(out, torch.zeros(bags, 3))
    out.backward(torch.ones(bags, 3))
    assert torch.equal(bag.weight.grad, torch.zeros(4, 3))
    if weights is not None:
        assert weights.grad.shape == (0,)
    assert bag(torch.empty(0, 7, dtype=id_type)).shape == (0, 3)


@pytest.mark.parametrize(("mode", "sparse"), FORMS)
@pytest.mark.parametrize("padding_idx", [0, 2, -1])
@pytest.mark.parametrize("only", [False, True])
def test_padding_is_left_out(kind, mode, sparse, padding_idx, only):
    bag = kind(6, 3, mode=mode, sparse=sparse, padding_idx=padding_idx, dtype=torch.float64)
    at = padding_idx % 6
    assert bag.padding_idx == at
    with torch.no_grad():
        bag.weight[at] = 50.0  # seen, if it were counted
    ids = torch.full((4, 5), at) if only else torch.randint(6, (4, 5))
    ids[2] = at
    weight = bag.weight.detach().clone().requires_grad_()
    kept = [[id for id in row if id != at] for row in ids.tolist()]
    expected = torch.cat([pooled(weight[torch.tensor(k, dtype=int)][None], mode) for k in kept])
    out = bag(ids)
    close(out, expected)
    out.sum().backward()
    expected.sum().backward()
    close(dense(bag.weight.grad), weight.grad)


@pytest.mark.parametrize(("mode", "sparse"), FORMS)
@pytest.mark.parametrize("include_last_offset", [False, True])
def test_bags_filled_up_with_padding_are_those_by_offsets(kind, mode, sparse, include_last_offset):
    lengths = [4, 0, 10, 1, 7]
    flat = torch.randint(0, 20, (sum(lengths),))
    starts = torch.tensor([0, *lengths]).cumsum(0)
    for padding_idx in [*flat.unique().tolist(), 20]:
        filled = torch.full((5, 10), padding_idx)
        for bag, length in enumerate(lengths):
            filled[bag, :length] = flat[starts[bag] : starts[bag + 1]]
        weight = torch.randn(21, 3, dtype=torch.float64)
        how = {"mode": mode, "sparse": sparse, "freeze": False, "padding_idx": padding_idx}
        by_offsets = kind.from_pretrained(
            weight.clone(), include_last_offset=include_last_offset, **how
        )
        by_rows = kind.from_pretrained(weight, **how)
        found = by_offsets(flat, starts if include_last_offset else starts[:-1])
        close(found, by_rows(filled))
        found.sum().backward()
        by_rows(filled).sum().backward()
        close(dense(by_offsets.weight.grad), dense(by_rows.weight.grad))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("layout", ["expanded", "transposed", "strided"])
def test_ids_of_any_layout(kind, mode, layout):
    ids = {
        "expanded": torch.randint(4, (1, 50)).expand(7, 50),
        "transposed": torch.randint(4, (5, 3)).t(),
        "strided": torch.randint(4, (9, 6))[::2, ::3],
    }[layout]
    bag = kind(4, 3, mode=mode)
    weight = bag.weight.detach().clone().requires_grad_()
    out, expected = bag(ids), pooled(weight[ids], mode)
    close(out, expected)
    out.sum().backward()
    expected.sum().backward()
    close(bag.weight.grad, weight.grad)
    flat = torch.randint(4, (12, 2))[:, 1]
    offsets = torch.tensor([[0, 9], [5, 9]])[:, 0]
    close(bag(flat, offsets)[1], pooled(bag.weight[flat[5:]][None], mode)[0])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_weights_that_are_not_contiguous(kind, mode, dtype):
    weight = torch.randn(3, 4).to(dtype)[:, :3]
    bags = [kind.from_pretrained(w, mode=mode) for w in (weight, weight.contiguous())]
    ids, offsets = torch.tensor([0, 1, 2]), torch.tensor([0, 2])
    near(*(bag(ids, offsets) for bag in bags))


def test_pretrained_weights_with_all_options(kind):
    matrix = torch.arange(1.0, 7.0).view(2, 3)
    before = matrix.clone()
    bag = kind.from_pretrained(matrix, max_norm=2.0, norm_type=0.5, mode="max")
    out = bag(torch.tensor([[0, 1]]))
    assert torch.equal(out, matrix.max(0, keepdim=True)[0])
    assert (matrix != before).all()
    assert (matrix.norm(p=0.5, dim=1) < 2.0 + 1e-5).all()
    assert not bag.weight.requires_grad
    bag = kind.from_pretrained(before, padding_idx=1)
    assert bag.mode == "mean"
    assert torch.equal(bag(torch.tensor([0, 1, 0]), torch.tensor([0, 2])), before[[0, 0]])


@pytest.mark.parametrize("padding_idx", [4, 5, -5, -6])
def test_padding_outside_the_table_is_refused(kind, padding_idx):
    with pytest.raises(AssertionError, match="padding_idx must be within num_embeddings"):
        kind(4, 3, padding_idx=padding_idx)


IDS, OFFSETS, ONES = torch.tensor([1, 2, 0, 1]), torch.tensor([0, 2]), torch.ones(4)
REFUSED = {
    "no offsets": ((IDS,), ValueError),
    "offsets of bags of two axes": ((IDS.view(2, 2), OFFSETS), ValueError),
    "a first offset that is not 0": ((IDS, torch.tensor([1, 2])), RuntimeError),
    "an offset past the end": ((IDS, torch.tensor([0, 100])), RuntimeError),
    "three axes": ((IDS.view(1, 2, 2),), ValueError),
    "no axis": ((IDS[0], OFFSETS), ValueError),
    "offsets of two axes": ((IDS, OFFSETS[None]), ValueError),
    "weights of another length": ((IDS, OFFSETS, ONES[:3]), ValueError),
    "weights of another shape": ((IDS.view(2, 2), None, ONES), ValueError),
    "weights of another dtype": ((IDS, OFFSETS, ONES.double()), RuntimeError),
    "floats as ids": ((IDS.float(), OFFSETS), RuntimeError),
    "floats as offsets": ((IDS, OFFSETS.float()), RuntimeError),
    "an id that is negative": ((-IDS, OFFSETS), (IndexError, RuntimeError)),
    "an id that is too large": ((IDS + 9, OFFSETS), (IndexError, RuntimeError)),
    "such an id in a row": ((IDS.view(2, 2) + 9,), (IndexError, RuntimeError)),
    "such an id with weights": ((IDS + 9, OFFSETS, ONES), (IndexError, RuntimeError)),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_is_refused_changes_nothing(kind, why):
    given, error = REFUSED[why]
    bag = kind(10, 3, mode="sum", max_norm=0.1)
    before = bag.weight.detach().clone()
    with pytest.raises(error):
        bag(*given)
    if kind is pt.EmbeddingBag:  # torch scales rows down before it looks at what it was given
        assert torch.equal(bag.weight, before)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("id_type", [torch.int32, torch.int64])
@pytest.mark.parametrize("padding_idx", [None, 0])
@pytest.mark.parametrize("ids", [[[-1, 1]], [[11, 8]], [[8, 1 << 30]]])
def test_ids_outside_the_table_are_refused_in_every_mode(kind, mode, id_type, padding_idx, ids):
    bag = kind(10, 2, mode=mode, padding_idx=padding_idx)
    with pytest.raises(RuntimeError):
        bag(torch.tensor(ids, dtype=id_type))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "EmbeddingBag(5, 3, mode='mean')"),
        ({"mode": "sum"}, "EmbeddingBag(5, 3, mode='sum')"),
        ({"padding_idx": -1}, "EmbeddingBag(5, 3, mode='mean', padding_idx=4)"),
        ({"max_norm": 1.0, "norm_type": 1.0}, "EmbeddingBag(5, 3, max_norm=1.0, norm_type=1.0, mo"),
        ({"scale_grad_by_freq": True}, "EmbeddingBag(5, 3, scale_grad_by_freq=True, mode='mean')"),
    ],
)
def test_a_module_tells_what_it_is(kind, options, expected):
    assert repr(kind(5, 3, **options)).startswith(expected)


@pytest.mark.parametrize("mode", MODES)
def test_gradients_by_finite_differences(kind, mode):
    bag = kind(5, 3, mode=mode, padding_idx=2, dtype=torch.float64)
    ids, offsets = torch.tensor([1, 2, 2, 3, 0, 4, 1]), torch.tensor([0, 2, 2, 6])
    inputs = [torch.randn(5, 3, dtype=torch.float64, requires_grad=True)]
    if mode == "sum":
        inputs.append(torch.rand(7, dtype=torch.float64, requires_grad=True))

    def out(weight, *weights):
        return torch.func.functional_call(bag, {"weight": weight}, (ids, offsets, *weights))

    with torch.no_grad():
        inputs[0][2] = 0.0
    assert torch.autograd.gradcheck(
        lambda weight, *weights: out(weight * (torch.arange(5) != 2)[:, None], *weights), inputs
    )


@pytest.mark.usefixtures("two_torch_threads")
@pytest.mark.parametrize(("mode", "sparse"), FORMS)
def test_a_large_batch_by_several_threads(kind, mode, sparse):
    bag = kind(3000, 16, mode=mode, sparse=sparse, dtype=torch.float64)
    ids = (torch.rand(4000, 20) ** 4 * 3000).long()
    out = bag(ids)
    out.pow(2).sum().backward()
    weight = bag.weight.detach().clone().requires_grad_()
    expected = pooled(weight[ids], mode)
    expected.pow(2).sum().backward()
    close(out, expected)
    if mode != "max":
        close(dense(bag.weight.grad), weight.grad)
    else:  # where a bag has the same maximum twice, torch's own operations may choose another
        close(bag.weight.grad.sum(0), weight.grad.sum(0))


def test_several_bags_on_one_weight(kind):
    first = kind(6, 3, mode="sum", sparse=True)
    second = kind(6, 3, mode="mean", sparse=True, _weight=first.weight)
    second.weight = first.weight
    ids = torch.tensor([[1, 2], [2, 3]])
    (first(ids).sum() + second(ids).sum()).backward()
    assert dense(first.weight.grad).sum(1).tolist() == [0.0, 4.5, 9.0, 4.5, 0.0, 0.0]
    assert len(list(nn.ModuleList([first, second]).parameters())) == 1
