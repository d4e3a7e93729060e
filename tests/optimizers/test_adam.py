"""Adam: worked cases, and step counts of rows."""

import time

import numpy as np

import pyembed as pe
import reference
from formulas import ADAM


def test_adam_worked_case():
    emb = pe.Embedding(1, 1, weights=[[0.0]], dtype="float64")
    opt = pe.SparseAdam(emb, 0.01, 0.9, 0.99, 0.01)
    seen = []
    for _ in range(2):
        opt.step(emb.backward([0], [[10.0]]))
        seen.append(emb.embeddings.item())
    np.testing.assert_allclose(seen, [-0.00990099, -0.01983060], atol=5e-9)


def test_row_steps_count_each_row_by_itself(dtype, rng):
    table = rng.standard_normal((4, 3)).astype(dtype)
    emb = pe.Embedding(4, 3, weights=table, dtype=dtype)
    opt = pe.SparseAdam(emb, **ADAM, step_bias="row")
    w, m, v = table.copy(), np.zeros_like(table), np.zeros_like(table)
    steps = np.zeros(4, int)
    for ids in ([0, 1], [1], [1, 1, 3], [0]):
        grad = rng.standard_normal((len(ids), 3)).astype(dtype)
        opt.step(emb.backward(ids, grad))
        rows, sums = reference.coalesce(np.array(ids), grad)
        steps[rows] += 1
        parts = [array[rows] for array in (w, m, v)]
        reference.adam(*parts, sums, steps[rows], 0.03, 0.8, 0.95, 1e-6)
        for array, part in zip((w, m, v), parts, strict=True):
            array[rows] = part
        np.testing.assert_array_equal(emb.embeddings, w)


def test_row_steps_that_a_caller_wrote_are_no_way_out_of_the_table_of_corrections():
    emb, far = (pe.Embedding(3, 2, "zeros") for _ in range(2))
    opts = [pe.SparseAdam(layer, 0.1, step_bias="row") for layer in (emb, far)]
    for layer, opt, count in zip((emb, far), opts, (-1000, 1000), strict=True):
        for _ in range(3):
            opt.state_dict()["tables"][0]["row_t"][1] = count
            opt.step(layer.backward([1], np.ones((1, 2), np.float32)))
    np.testing.assert_array_equal(emb.embeddings, far.embeddings)


def test_row_steps_far_past_the_horizon():
    # With small betas the correction is 1 after a few steps.
    emb = pe.Embedding(1, 1, weights=[[0.0]], dtype="float64")
    opt = pe.SparseAdam(emb, 0.5, 0.1, 0.2, 0.0, step_bias="row")
    for _ in range(200):
        opt.step(emb.backward([0], [[2.0]]))
    np.testing.assert_allclose(emb.embeddings, -100.0, rtol=1e-12)


def test_an_empty_gradient_advances_t_and_an_absent_one_does_not():
    def step_after(empty_steps):
        emb, other = pe.Embedding(3, 1, weights=[[0.0]] * 3), pe.Embedding(3, 1)
        opt = pe.SparseAdam([emb, other])
        for _ in range(4):
            opt.step(other.backward([0], np.ones((1, 1), np.float32)))
        for _ in range(empty_steps):
            opt.step(emb.backward([], np.empty((0, 1), np.float32)))
        opt.step(emb.backward([1], np.ones((1, 1), np.float32)))
        return emb.embeddings[1, 0]

    # t=1: -lr; t=3: -lr (sqrt(1-b2^3) / (1-b1^3)) (1-b1) / sqrt(1-b2)
    np.testing.assert_allclose(step_after(0), -0.001, rtol=1e-5)
    later = (1 - 0.999**3) ** 0.5 / (1 - 0.9**3) * 0.1 / 0.001**0.5
    np.testing.assert_allclose(step_after(2), -0.001 * later, rtol=1e-5)


def test_counts_by_row_go_on_from_a_late_step():
    emb = pe.Embedding(3, 2, "zeros", dtype="float64")
    opt = pe.SparseAdam(emb, 0.5, step_bias="row")
    opt.step(emb.backward([1], np.ones((1, 2))))
    state = opt.state_dict()
    (table,) = state["tables"]
    counts = next(
        name for name, array in table.items() if getattr(array, "dtype", None) == np.int64
    )
    late = {**table, "t": 10**7, counts: np.full_like(table[counts], 10**7)}
    opt.load_state_dict({**state, "tables": [late]})
    began = time.monotonic()
    opt.step(emb.backward([1], np.ones((1, 2))))
    assert time.monotonic() - began < 10.0  # it would be minutes, were all corrections made anew
    m, v = 0.1 + 0.9 * 0.1, 0.001 + 0.999 * 0.001
    np.testing.assert_allclose(emb.embeddings[1], -0.5 - 0.5 * m / v**0.5, rtol=1e-5)
