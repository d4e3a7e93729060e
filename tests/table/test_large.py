"""Tables past 2**31 elements, lazily zeroed: memory is taken only where rows are touched."""

import numpy as np
import pytest
from numpy.lib.npyio import DataSource

import pyembed as pe

ROWS = 2**31 // 64 + 100_000  # x 64 columns: past 2**31 elements
LAST = ROWS - 1


@pytest.fixture(scope="module")
def emb():
    try:
        layer = pe.Embedding(ROWS, 64, "zeros")
        opt = pe.SparseAdam(layer, 0.5, step_bias="row")
    except MemoryError:
        pytest.skip("no 25 GiB of address space")
    layer.opt = opt
    return layer


def resident_bytes():
    with open("/proc/self/statm") as numbers:
        return int(numbers.read().split()[1]) * 4096


def test_rows_at_the_end_are_looked_up_trained_and_pooled(emb):
    ids = np.array([LAST, 2**31 // 64, 0, LAST])
    emb.opt.step(emb.backward(ids, np.ones((4, 64), np.float32)))
    np.testing.assert_allclose(emb(ids), -0.5, rtol=1e-5)
    assert (emb([LAST - 1, 1]) == 0).all()
    np.testing.assert_allclose(emb.embeddings[LAST], -0.5, rtol=1e-5)
    pooled = pe.ops.gather_bag(emb.embeddings, ids, [0, 2])
    np.testing.assert_allclose(pooled, -1.0, rtol=1e-5)

    dst = emb.embeddings
    pe.ops.scatter_add(dst, [LAST], np.ones((1, 64), np.float32))
    pe.ops.scatter_add(dst, [LAST], np.ones((1, 64), np.float32), method="atomic")
    np.testing.assert_allclose(dst[LAST], 1.5, rtol=1e-5)


def test_the_id_past_the_end_is_refused(emb):
    with pytest.raises(IndexError, match=f"id {ROWS} at position 0 .* .valid: 0 to {LAST}"):
        emb([ROWS])


def test_coalesce_of_wide_ids():
    ids = np.array([2**40, 2**33, 2**40, 5])
    unique, sums = pe.ops.coalesce(ids, np.ones((4, 1)))
    assert unique.tolist() == [5, 2**33, 2**40]
    assert sums[:, 0].tolist() == [1, 1, 2]


def test_a_step_takes_memory_for_the_batch_not_for_the_table(emb):
    if not DataSource().exists("/proc/self/statm"):
        pytest.skip("no /proc")
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 1000, 1000)
    grad = np.ones((1000, 64), np.float32)
    emb.opt.step(emb.backward(ids, grad))
    before = resident_bytes()
    for _ in range(10):
        emb.opt.step(emb.backward(ids, grad))
    # The table alone is 8 GiB; a batch is 256 kB.
    assert resident_bytes() - before < 64 << 20
