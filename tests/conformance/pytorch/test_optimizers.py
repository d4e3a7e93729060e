import numpy as np
import pytest

import pyembed as pe
from conformance.pytorch.peer import DIM, ROWS, assert_close, embeddings, tensor, torch


def train(table, batches, ours, theirs, sparse, padding_idx=None):
    """Train both on the same batches of ids and gradients; return both tables."""
    emb, layer = embeddings(table, padding_idx=padding_idx, sparse=sparse)
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
def test_sparse_adam_over_200_steps(table, rng, arguments):
    rule = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8} | arguments
    ours, theirs = train(
        table,
        batches(rng, table.dtype, 200),
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
def test_sgd_over_200_steps(table, rng, sparse):
    ours, theirs = train(
        table,
        batches(rng, table.dtype, 200),
        lambda emb: pe.SparseSGD(emb, 0.05),
        lambda parameters: torch.optim.SGD(parameters, 0.05),
        sparse=sparse,
        padding_idx=4,
    )
    assert_close(ours, theirs)


@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("initial", [0.0, 0.1])
def test_adagrad_over_200_steps(table, rng, sparse, initial):
    ours, theirs = train(
        table,
        batches(rng, table.dtype, 200),
        lambda emb: pe.SparseAdagrad(emb, 0.05, initial, 1e-3),
        lambda parameters: torch.optim.Adagrad(
            parameters, 0.05, initial_accumulator_value=initial, eps=1e-3
        ),
        sparse=sparse,
        padding_idx=4,
    )
    assert_close(ours, theirs)
