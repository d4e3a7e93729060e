"""What the comparisons with PyTorch share; importing it skips a module where there is no torch."""

import numpy as np
import pytest

import pyembed as pe

torch = pytest.importorskip("torch")

import pyembed.torch as pt  # noqa: E402, F401 -- only now; that it fails to load is no reason to skip

# Rounding of values of about 1, with duplicates summed in another order.
TOLERANCE = {
    "float32": {"rtol": 1e-5, "atol": 1e-6},
    "float64": {"rtol": 1e-12, "atol": 1e-13},
}
ROWS, DIM = 60, 17
FORMS = ["2-D", "int32", "int64", "last offset"]


def assert_close(ours, theirs):
    theirs = theirs.detach()
    theirs = (theirs.to_dense() if theirs.is_sparse else theirs).numpy()
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, **TOLERANCE[ours.dtype.name])


def tensor(array):
    return None if array is None else torch.tensor(np.array(array))


def draw(rng, table, shape):
    return rng.standard_normal(shape).astype(table.dtype)


def embeddings(table, **options):
    """Our layer and theirs, both trainable, each on a copy of the table."""
    theirs = torch.nn.Embedding.from_pretrained(tensor(table), freeze=False, **options)
    options.pop("sparse", None)
    return pe.Embedding.from_pretrained(table.copy(), trainable=True, **options), theirs


def embedding_bags(table, **options):
    """As `embeddings`."""
    theirs = torch.nn.EmbeddingBag.from_pretrained(tensor(table), freeze=False, **options)
    options.pop("sparse", None)
    return pe.EmbeddingBag.from_pretrained(table.copy(), trainable=True, **options), theirs


def bags(rng, form):
    """(ids, offsets, include_last_offset), with empty bags and bags of padding (5) alone."""
    if form == "2-D":
        ids = rng.integers(0, ROWS, (40, 6))
        ids[7] = 5
        return ids, None, False
    offsets = np.cumsum([0, 0, 3, 1, 0, 9, 2, 0]).astype(np.int32 if form == "int32" else np.int64)
    ids = rng.integers(0, ROWS, 15).astype(offsets.dtype)
    ids[3] = 5
    ids[[1, 5, 8]] = 5
    return ids, offsets if form == "last offset" else offsets[:-1], form == "last offset"


def pooled(weight, ids, offsets, per_sample_weights, mode, padding_idx=None):
    """Pool bag by bag, with torch's operations on tensors: it has no kernel for these modes."""
    if ids.ndim == 2:
        bounds = [(i * ids.shape[1], (i + 1) * ids.shape[1]) for i in range(len(ids))]
    else:
        ends = offsets.tolist()
        bounds = list(zip(ends, [*ends[1:], len(ids)], strict=True))
    flat, w = ids.reshape(-1), per_sample_weights.reshape(-1)
    out = []
    for begin, end in bounds:
        kept = [at for at in range(begin, end) if flat[at] != padding_idx]
        if not kept:
            out.append(weight.new_zeros(weight.shape[1]))
            continue
        divisor = {"sum": 1, "mean": w[kept].sum(), "sqrtn": (w[kept] ** 2).sum().sqrt()}[mode]
        out.append((w[kept, None] * weight[flat[kept]]).sum(0) / divisor)
    return torch.stack(out)
