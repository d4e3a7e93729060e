import warnings

import numpy as np
import pytest

import pyembed as pe

torch = pytest.importorskip("torch")
with warnings.catch_warnings():  # of its own, as it is imported
    warnings.simplefilter("ignore")
    pytest.importorskip("fbgemm_gpu")
    tbe = pytest.importorskip("fbgemm_gpu.split_table_batched_embeddings_ops_training")

ROWS, DIM = 60, 16


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("pooled", [False, True], ids=["lookups", "bags"])
def test_row_wise_adagrad_over_200_steps(rng, pooled):
    table = rng.standard_normal((ROWS, DIM)).astype(np.float32)
    theirs = tbe.SplitTableBatchedEmbeddingBagsCodegen(
        [(ROWS, DIM, tbe.EmbeddingLocation.HOST, tbe.ComputeDevice.CPU)],
        optimizer=tbe.OptimType.EXACT_ROWWISE_ADAGRAD,
        learning_rate=0.1,
        eps=1e-5,
    )
    weights = theirs.split_embedding_weights()[0]
    weights.copy_(torch.tensor(table))
    bag = pe.EmbeddingBag(ROWS, DIM, mode="sum", weights=table)
    opt = pe.SparseRowWiseAdagrad(bag, 0.1, 0.0, 1e-5)
    for _ in range(200):
        ids = rng.integers(0, ROWS, 40) // 3  # many duplicates, and rows never seen
        offsets = np.arange(0, 40, 5 if pooled else 1)
        grad = rng.standard_normal((len(offsets), DIM)).astype(np.float32)
        ends = np.append(offsets, 40)
        theirs(torch.tensor(ids), torch.tensor(ends)).backward(torch.tensor(grad))
        opt.step(bag.backward(ids, grad, offsets))
    np.testing.assert_allclose(bag.embeddings, weights.numpy(), rtol=1e-4, atol=1e-5)
    assert (bag.embeddings[:20] != table[:20]).any(axis=1).all()
    np.testing.assert_array_equal(bag.embeddings[20:], table[20:])
