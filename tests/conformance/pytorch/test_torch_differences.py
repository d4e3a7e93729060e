"""What differs from torch's classes on purpose, as the docs list it: both are asked."""

import pytest

from conformance.pytorch.peer import pt, torch
from conformance.pytorch.training import close

nn = torch.nn
quiet = pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")


def table(rows=5):
    return torch.arange(float(rows))[:, None]


def pooled(module, ids, offsets=None, weights=None, **options):
    return module.EmbeddingBag.from_pretrained(table(), **options)(ids, offsets, weights)


@pytest.mark.parametrize("kind", ["Embedding", "EmbeddingBag"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.uint32])
@pytest.mark.parametrize("sparse", [False, True])
def test_ids_of_any_integers(kind, dtype, sparse):
    ids = torch.tensor([[1, 2], [2, 4]]).to(dtype)
    with pytest.raises((RuntimeError, NotImplementedError)):
        getattr(nn, kind)(5, 2)(ids)
    emb = getattr(pt, kind)(5, 2, sparse=sparse)
    rows = emb(ids)
    assert torch.equal(rows, emb(ids.long()))
    rows.sum().backward()
    grad = emb.weight.grad.to_dense() if sparse else emb.weight.grad
    share = 0.5 if kind == "EmbeddingBag" else 1.0
    assert grad[:, 0].tolist() == [0.0, share, 2 * share, 0.0, share]


def test_weights_with_the_mean():
    ids, weights = torch.tensor([[1, 4]]), torch.tensor([[3.0, 1.0]])
    with pytest.raises(NotImplementedError, match="only supported for mode='sum'"):
        pooled(nn, ids, weights=weights, mode="mean")
    assert pooled(pt, ids, weights=weights, mode="mean").tolist() == [[(3 * 1 + 4) / 4]]
    for module in (nn, pt):
        with pytest.raises(RuntimeError):
            pooled(module, ids, weights=weights, mode="max")


def test_sparse_gradients_where_torch_has_none():
    ids = torch.tensor([[1, 1, 4]])
    made = [
        ("EmbeddingBag", {"mode": "max"}, [0, 0, 0, 0, 1]),
        ("EmbeddingBag", {"mode": "sum", "scale_grad_by_freq": True}, [0, 1, 0, 0, 1]),
        ("Embedding", {"scale_grad_by_freq": True}, [0, 1, 0, 0, 1]),
    ]
    for kind, options, expected in made:
        how = {**options, "sparse": True, "freeze": False}
        with pytest.raises((RuntimeError, ValueError)):
            getattr(nn, kind).from_pretrained(table(), **how)(ids).sum().backward()
        emb = getattr(pt, kind).from_pretrained(table(), **how)
        emb(ids).sum().backward()
        assert emb.weight.grad.to_dense()[:, 0].tolist() == expected


def test_sparse_gradients_share_no_memory():
    ids, upstream = torch.tensor([4, 1]), torch.ones(2, 1)
    shared = []
    for module in (nn, pt):
        emb = module.Embedding(5, 1, sparse=True)
        emb(ids)
        emb(ids).backward(upstream)
        grad = emb.weight.grad
        pairs = (grad._indices(), ids), (grad._values(), upstream)
        shared.append([mine.data_ptr() == given.data_ptr() for mine, given in pairs])
    assert shared == [[True, True], [False, False]]


@pytest.mark.parametrize("padding_idx", [None, 3])
def test_the_last_offset_is_the_number_of_ids(padding_idx):
    ids = torch.tensor([0, 1, 2, 4])
    how = {"mode": "sum", "include_last_offset": True, "padding_idx": padding_idx}
    for module in (nn, pt):
        assert pooled(module, ids, torch.tensor([0, 1, 4]), **how).tolist() == [[0.0], [7.0]]
    short = torch.tensor([0, 1, 3])
    theirs = [[0.0], [3.0 if padding_idx is None else 7.0]]  # left out, or in the last bag
    assert pooled(nn, ids, short, **how).tolist() == theirs
    with pytest.raises(ValueError, match=r"offsets\[2\] is 3, but with include_last_offset"):
        pooled(pt, ids, short, **how)


def test_ids_without_a_bag_are_refused():
    ids, none = torch.tensor([1, 2]), torch.empty(0, dtype=torch.long)
    assert pooled(nn, ids, none).shape == (0, 1)
    with pytest.raises(ValueError, match="offsets is empty, but there are 2 ids"):
        pooled(pt, ids, none)
    assert pooled(pt, none, none).shape == (0, 1)


def test_modes_are_checked_when_a_bag_is_made():
    for options in ({"mode": "median"}, {"mode": "max", "scale_grad_by_freq": True}):
        bag = nn.EmbeddingBag(5, 2, **options)
        with pytest.raises(ValueError, match="mode"):
            bag(torch.tensor([[1]]))
        with pytest.raises(ValueError, match="mode"):
            pt.EmbeddingBag(5, 2, **options)


def test_the_maximum_of_nan_is_nan_wherever_it_stands():
    matrix = torch.tensor([[float("nan")], [1.0]])
    for module, expected in ((nn, [True, False]), (pt, [True, True])):
        bag = module.EmbeddingBag.from_pretrained(matrix, mode="max")
        assert bag(torch.tensor([[0, 1], [1, 0]])).isnan()[:, 0].tolist() == expected


@pytest.mark.parametrize("kind", ["Embedding", "EmbeddingBag"])
def test_max_norm_leaves_padding_alone(kind):
    for module, expected in ((nn, [1.0, 1.0]), (pt, [9.0, 1.0])):
        matrix = torch.full((2, 1), 9.0)
        how = {"padding_idx": 0, "max_norm": 1.0}
        getattr(module, kind).from_pretrained(matrix, **how)(torch.tensor([[0, 1]]))
        close(matrix[:, 0], torch.tensor(expected))


@pytest.mark.parametrize("kind", ["Embedding", "EmbeddingBag"])
@pytest.mark.parametrize(("max_norm", "norm_type"), [(1.0, 0.0), (1.0, -1.0), (1.0, -float("inf"))])
def test_exponents_of_no_norm_are_left_to_torch(kind, max_norm, norm_type):
    found = []
    for module in (nn, pt):
        torch.manual_seed(0)
        emb = getattr(module, kind)(6, 3, max_norm=max_norm, norm_type=norm_type)
        emb(torch.tensor([[1, 2]])).sum().backward()
        found.append((emb.weight.detach(), emb.weight.grad))
    assert torch.equal(found[0][0], found[1][0])
    close(found[0][1], found[1][1])


def test_fused_rows_without_a_norm_say_so():
    emb = pt.Embedding(6, 3, max_norm=1.0, norm_type=0.0, optimizer=pt.SparseSGD)
    with pytest.raises(RuntimeError, match=r"max_norm needs a norm, and norm_type=0\.0 is none"):
        emb(torch.tensor([1]))


@pytest.mark.parametrize("kind", ["Embedding", "EmbeddingBag"])
@pytest.mark.parametrize("sizes", [(-1, 3), (3, -1)])
def test_negative_sizes_are_torchs_error(kind, sizes):
    for module in (nn, pt):
        with pytest.raises(RuntimeError, match="negative dimension -1"):
            getattr(module, kind)(*sizes)


def test_an_id_without_axes_has_a_sparse_gradient_beside_padding():
    emb = nn.Embedding(5, 2, sparse=True, padding_idx=0)
    with pytest.raises(IndexError, match="too many indices"):
        emb(torch.tensor(1)).sum().backward()
    emb = pt.Embedding(5, 2, sparse=True, padding_idx=0)
    emb(torch.tensor(1)).sum().backward()
    assert emb.weight.grad._indices().tolist() == [[1]]


def test_a_refused_lookup_has_scaled_nothing():
    for module in (nn, pt):
        bag = module.EmbeddingBag(5, 2, mode="sum", max_norm=0.1)
        before = bag.weight.detach().clone()
        with pytest.raises(RuntimeError):
            bag(torch.tensor([1, 2]), torch.tensor([1, 2]))
        assert torch.equal(bag.weight, before) == (module is pt)


def stepped(make, p, grad, **options):
    optimizer = make([p], lr=0.1, **options)
    p.grad = grad
    optimizer.step()
    return p.detach()


RULES = [(torch.optim.Adagrad, pt.SparseAdagrad), (torch.optim.SGD, pt.SparseSGD)]


@quiet
@pytest.mark.parametrize(("theirs", "ours"), RULES)
@pytest.mark.parametrize("why", ["bfloat16", "columns", "complex"])
def test_what_is_no_table_is_torchs_to_train(theirs, ours, why):
    values = {
        "bfloat16": torch.ones(4, 3, dtype=torch.bfloat16),
        "columns": torch.ones(4, 3, 2)[..., 0],
        "complex": torch.ones(4, 3, dtype=torch.complex64),
    }[why]
    grad = torch.ones_like(values).to_sparse(1)
    if why != "complex":
        assert (stepped(theirs, nn.Parameter(values.clone()), grad) != 1).all()
    with pytest.raises((RuntimeError, ValueError), match=r"cannot train|support complex"):
        stepped(ours, nn.Parameter(values), grad)


@quiet
@pytest.mark.parametrize(("theirs", "ours"), RULES)
def test_decay_beside_sparse_gradients(theirs, ours):
    grad = torch.ones(4, 3).to_sparse(1)
    with pytest.raises(RuntimeError):
        stepped(theirs, nn.Parameter(torch.ones(4, 3)), grad, weight_decay=0.1)
    dense = stepped(theirs, nn.Parameter(torch.ones(4, 3)), grad.to_dense(), weight_decay=0.1)
    close(stepped(ours, nn.Parameter(torch.ones(4, 3)), grad, weight_decay=0.1), dense)


@quiet
def test_momentum_does_not_move_rows_that_rest():
    for make, expected in ((torch.optim.SGD, 0.81), (pt.SparseSGD, 0.9)):
        p = nn.Parameter(torch.ones(2, 1))
        optimizer = make([p], lr=0.1, momentum=0.9)
        for row in (0, 1):
            p.grad = torch.sparse_coo_tensor(torch.tensor([[row]]), torch.ones(1, 1), (2, 1))
            optimizer.step()
        close(p[0, 0], torch.tensor(expected))


@pytest.mark.parametrize("pair", [(torch.optim.SparseAdam, pt.SparseAdam), *RULES])
def test_an_infinite_rate_is_refused(pair):
    theirs, ours = pair
    theirs([torch.ones(1)], lr=float("inf"))
    with pytest.raises(ValueError, match="Invalid learning rate: inf"):
        ours([torch.ones(1)], lr=float("inf"))


@quiet
@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with dup:UserWarning")
@pytest.mark.parametrize("pair", [(torch.optim.SparseAdam, pt.SparseAdam), *RULES])
def test_a_parameter_that_is_listed_twice_is_trained_once(pair):
    ends = []
    for make, times in ((pair[0], 2), (pair[1], 2), (pair[1], 1)):
        p = nn.Parameter(torch.ones(3, 2))
        optimizer = make([p] * times, lr=0.1)
        for _ in range(2):
            p.grad = torch.sparse_coo_tensor(torch.tensor([[1]]), torch.ones(1, 2), (3, 2))
            optimizer.step()
        ends.append(p.detach())
    twice, ours, once = ends
    assert torch.equal(ours, once)
    assert (twice[1] < ours[1]).all()
