"""A step holds the rows that it updated to embeddings_constraint."""

import threading

import numpy as np
import pytest

import pyembed as pe
from regularization.cases import MATRIX, Cubes, step, table


def constrained(constraint, w):
    """What a row-wise constraint makes of rows, in float64."""
    norm = np.linalg.norm(w, axis=1, keepdims=True)
    return {
        "non_neg": np.maximum(w, 0),
        "max_norm": w * np.clip(norm, 0, 2.5) / (1e-7 + norm),
        "unit_norm": w / (1e-7 + norm),
        "min_max_norm": w * (0.75 * np.clip(norm, 1, 3) + 0.25 * norm) / (1e-7 + norm),
    }[constraint]


def row_wise(axis):
    return {
        "non_neg": pe.constraints.NonNeg(),
        "max_norm": pe.constraints.MaxNorm(2.5, axis=axis),
        "unit_norm": pe.constraints.UnitNorm(axis=axis),
        "min_max_norm": pe.constraints.MinMaxNorm(1.0, 3.0, 0.75, axis=axis),
    }


@pytest.mark.parametrize("name", row_wise(1))
@pytest.mark.parametrize("axis", [1, -1, (1,), [1]], ids=str)
def test_row_wise_constraints_act_on_the_updated_rows(name, axis):
    emb = table(embeddings_constraint=row_wise(axis)[name], padding_idx=0)
    np.testing.assert_array_equal(emb.embeddings, MATRIX)  # not before a step
    emb.freeze([3])
    opt = pe.SparseSGD(emb, 1.0)
    opt.step(emb.backward([], np.empty((0, 2))))
    np.testing.assert_array_equal(emb.embeddings, MATRIX)
    opt.step(emb.backward([1, 1, 0, 3], np.full((4, 2), 0.5)))
    expected = MATRIX.copy()
    expected[1] = constrained(name, MATRIX[1:2] - 1)[0]
    np.testing.assert_allclose(emb.embeddings, expected, rtol=1e-12)
    np.testing.assert_array_equal(emb.embeddings[[0, 2, 3]], MATRIX[[0, 2, 3]])


@pytest.mark.parametrize(
    ("constraint", "meaning"),
    [
        ("max_norm", lambda w, n: w * np.clip(n, 0, 2) / (1e-7 + n)),
        (pe.constraints.MaxNorm(3.0), lambda w, n: w * np.clip(n, 0, 3) / (1e-7 + n)),
        ("unit_norm", lambda w, n: w / (1e-7 + n)),
        ("min_max_norm", lambda w, n: w * np.clip(n, 0, 1) / (1e-7 + n)),
    ],
    ids=["max_norm", "of 3", "unit_norm", "min_max_norm"],
)
def test_keras_default_is_over_the_columns_of_the_whole_table(constraint, meaning):
    emb = table(embeddings_constraint=constraint, padding_idx=0)
    emb.freeze([3])
    step(emb, [1, 0], 0.5)
    updated = MATRIX.copy()
    updated[1] -= 0.5
    expected = meaning(updated, np.linalg.norm(updated, axis=0, keepdims=True))
    np.testing.assert_allclose(emb.embeddings[[1, 2]], expected[[1, 2]], rtol=1e-12)
    np.testing.assert_array_equal(emb.embeddings[[0, 3]], MATRIX[[0, 3]])


def test_a_users_constraint_gets_the_whole_table(dtype):
    shapes = []

    def constraint(w):
        shapes.append((w.shape, w.dtype))
        return np.clip(w, -1.5, 1.5)

    emb = pe.Embedding(
        4, 2, weights=MATRIX, dtype=dtype, embeddings_constraint=constraint, padding_idx=1
    )
    view = emb.embeddings
    emb.freeze([3])
    assert shapes == []
    pe.SparseSGD(emb, 1.0).step(emb.backward([2], np.full((1, 2), -2.0, dtype)))
    assert shapes == [((4, 2), dtype)]
    np.testing.assert_array_equal(view, [[1, -1.5], [-3, 4], [1.5, 1.5], [-6, -8]])
    assert np.shares_memory(view, emb.embeddings)


def test_a_constraint_acts_after_the_regularizer_and_the_decay():
    emb = table(
        embeddings_regularizer=pe.regularizers.L2(0.25),
        embeddings_constraint=pe.constraints.UnitNorm(axis=1),
    )
    step(emb, [1], 1.0, weight_decay=0.5)
    updated = (MATRIX[1:2] * 0.5) - 1 - MATRIX[1:2] / 2
    np.testing.assert_allclose(emb.embeddings[1:2], constrained("unit_norm", updated), rtol=1e-12)


def test_constraints_of_bags_and_of_every_step():
    bag = table(pe.EmbeddingBag, mode="sum", embeddings_constraint="NonNeg")
    opt = pe.SparseSGD(bag, 1.0)
    for _ in range(3):
        opt.step(bag.backward([[0, 1]], np.full((1, 2), 0.5)))
    np.testing.assert_array_equal(bag.embeddings, [[0, 0], [0, 2.5], *MATRIX[2:]])


def test_users_code_may_look_at_the_table_during_a_step():
    class Looking(Cubes):
        def gradient(self, w):
            emb([0, 1])
            return emb.embeddings[[1]]

    def constraint(w):
        return w + emb([0])

    emb = table(embeddings_regularizer=Looking(), embeddings_constraint=constraint)
    worker = threading.Thread(target=step, args=(emb, [1]), daemon=True)
    worker.start()
    worker.join(20)
    assert not worker.is_alive(), "it waits for itself"
    np.testing.assert_array_equal(emb.embeddings, MATRIX * [[1], [0], [1], [1]] + MATRIX[0])
