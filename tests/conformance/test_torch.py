import numpy as np
import pytest

import pyembed as pe

torch = pytest.importorskip("torch")

# Rounding of values of about 1, with duplicates summed in another order.
TOLERANCE = {
    "float32": {"rtol": 1e-5, "atol": 1e-6},
    "float64": {"rtol": 1e-12, "atol": 1e-13},
}
ROWS, DIM = 60, 17


@pytest.fixture(autouse=True, scope="module")
def one_torch_thread():
    # With more it spends its time on waking them for these small tensors.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def assert_close(ours, theirs):
    theirs = theirs.detach()
    theirs = (theirs.to_dense() if theirs.is_sparse else theirs).numpy()
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, **TOLERANCE[ours.dtype.name])


def tensor(array):
    return None if array is None else torch.tensor(np.array(array))


@pytest.fixture
def table(dtype, rng):
    return rng.standard_normal((ROWS, DIM)).astype(dtype)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("padding_idx", [None, 0, -3])
@pytest.mark.parametrize("shape", [(0,), (1,), (4, 7), (2, 3, 2, 5)])
@pytest.mark.parametrize("id_dtype", [np.int32, np.int64])
def test_embedding(table, rng, sparse, padding_idx, shape, id_dtype):
    ids = rng.integers(0, ROWS, shape).astype(id_dtype)
    grad = rng.standard_normal((*shape, DIM)).astype(table.dtype)
    if ids.size > 1:
        ids.reshape(-1)[::3] = (padding_idx or 0) % ROWS
    emb = pe.Embedding.from_pretrained(table, trainable=True, padding_idx=padding_idx)
    theirs = torch.nn.Embedding.from_pretrained(
        tensor(table), freeze=False, padding_idx=padding_idx, sparse=sparse
    )
    output = theirs(tensor(ids))
    assert_close(emb(ids), output)
    output.backward(tensor(grad))
    assert_close(emb.backward(ids, grad).to_dense(), theirs.weight.grad)


def test_coalesced_gradient(threads, table, rng):
    ids = rng.integers(0, ROWS, 5000)
    grad = (rng.standard_normal((5000, DIM)) / 9).astype(table.dtype)  # summed by some 80
    emb = pe.Embedding.from_pretrained(table, trainable=True, padding_idx=2)
    theirs = torch.nn.Embedding.from_pretrained(
        tensor(table), freeze=False, padding_idx=2, sparse=True
    )
    theirs(tensor(ids)).backward(tensor(grad))
    ours, coalesced = emb.backward(ids, grad).coalesce(), theirs.weight.grad.coalesce()
    np.testing.assert_array_equal(ours.ids, coalesced.indices()[0].numpy(), strict=True)
    assert_close(ours.values, coalesced.values())


def bags(rng, form):
    """(ids, offsets, include_last_offset), with empty bags and bags of padding alone."""
    if form == "2-D":
        ids = rng.integers(0, ROWS, (40, 6))
        ids[7] = 5
        return ids, None, False
    offsets = np.cumsum([0, 0, 3, 1, 0, 9, 2, 0]).astype(np.int32 if form == "int32" else np.int64)
    ids = rng.integers(0, ROWS, 15).astype(offsets.dtype)
    ids[3] = 5
    ids[[1, 5, 8]] = 5
    return ids, offsets if form == "last offset" else offsets[:-1], form == "last offset"


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("form", ["2-D", "int32", "int64", "last offset"])
@pytest.mark.parametrize("padding_idx", [None, 5])
@pytest.mark.parametrize(
    ("mode", "weighted"), [("sum", False), ("sum", True), ("mean", False)], ids=str
)
def test_embedding_bag(table, rng, sparse, form, padding_idx, mode, weighted):
    ids, offsets, last = bags(rng, form)
    weights = rng.standard_normal(ids.shape).astype(table.dtype) if weighted else None
    options = {"mode": mode, "padding_idx": padding_idx, "include_last_offset": last}
    bag = pe.EmbeddingBag.from_pretrained(table, trainable=True, **options)
    theirs = torch.nn.EmbeddingBag.from_pretrained(
        tensor(table), freeze=False, sparse=sparse, **options
    )
    output = theirs(tensor(ids), tensor(offsets), per_sample_weights=tensor(weights))
    assert_close(bag(ids, offsets, weights), output)

    grad = rng.standard_normal(output.shape).astype(table.dtype)
    output.backward(tensor(grad))
    assert_close(bag.backward(ids, grad, offsets, weights).to_dense(), theirs.weight.grad)


def test_large_bags(threads, table, rng):
    lengths = rng.integers(0, 30, 1000)
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    ids = rng.integers(0, ROWS, lengths.sum())
    bag = pe.EmbeddingBag.from_pretrained(table, padding_idx=9)
    theirs = torch.nn.EmbeddingBag.from_pretrained(tensor(table), mode="mean", padding_idx=9)
    assert_close(bag(ids, offsets), theirs(tensor(ids), tensor(offsets)))


def train(table, batches, ours, theirs, sparse, padding_idx=None):
    """Train both on the same batches of ids and gradients; return both tables."""
    emb = pe.Embedding.from_pretrained(table.copy(), trainable=True, padding_idx=padding_idx)
    layer = torch.nn.Embedding.from_pretrained(
        tensor(table), freeze=False, padding_idx=padding_idx, sparse=sparse
    )
    optimizer, torch_optimizer = ours(emb), theirs(layer.parameters())
    for ids, grad in batches:
        optimizer.step(emb.backward(ids, grad))
        torch_optimizer.zero_grad()
        layer(tensor(ids)).backward(tensor(grad))
        torch_optimizer.step()
    return emb.embeddings, layer.weight


def batches(rng, dtype, steps, every_row=False):
    for step in range(steps):
        ids = rng.integers(0, ROWS, (8, 5)) // 3  # many duplicates, and rows never seen
        if every_row:
            ids = rng.permutation(np.concatenate([np.arange(ROWS), ids.reshape(-1)]))
        elif step % 10 == 3:
            ids = ids[:0]
        elif step % 10 == 7:
            ids = np.full((2, 2), 4)  # padding alone
        yield ids, rng.standard_normal((*ids.shape, DIM)).astype(dtype)


@pytest.mark.parametrize("arguments", [{}, {"lr": 0.05, "betas": (0.7, 0.9), "eps": 0.1}], ids=str)
def test_sparse_adam_over_100_steps(table, rng, arguments):
    rule = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8} | arguments
    ours, theirs = train(
        table,
        batches(rng, table.dtype, 100),
        lambda emb: pe.SparseAdam(emb, rule["lr"], *rule["betas"], rule["eps"]),
        lambda parameters: torch.optim.SparseAdam(list(parameters), **rule),
        sparse=True,
        padding_idx=4,
    )
    assert_close(ours, theirs)
    changed = (ours != table).any(axis=1)
    assert changed[:20].sum() == 19  # all that occur but the padding
    assert not changed[4]
    assert not changed[20:].any()


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_where_every_batch_has_every_row(table, rng, nesterov):
    # torch moves every row by its momentum at every step, and we those with a gradient.
    ours, theirs = train(
        table,
        batches(rng, table.dtype, 50, every_row=True),
        lambda emb: pe.SparseSGD(emb, 0.02, 0.9, nesterov),
        lambda parameters: torch.optim.SGD(parameters, 0.02, momentum=0.9, nesterov=nesterov),
        sparse=False,
    )
    assert_close(ours, theirs)


@pytest.mark.parametrize("sparse", [False, True])
def test_sgd_over_100_steps(table, rng, sparse):
    ours, theirs = train(
        table,
        batches(rng, table.dtype, 100),
        lambda emb: pe.SparseSGD(emb, 0.05),
        lambda parameters: torch.optim.SGD(parameters, 0.05),
        sparse=sparse,
        padding_idx=4,
    )
    assert_close(ours, theirs)
