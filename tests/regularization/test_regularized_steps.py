"""A step adds the gradient of embeddings_regularizer."""

import numpy as np
import pytest

import pyembed as pe
from regularization.cases import MATRIX, Cubes, step, table


@pytest.mark.parametrize(
    ("regularizer", "gradient"),
    [
        (pe.regularizers.L1(0.5), 0.5 * np.sign(MATRIX)),
        (pe.regularizers.L2(0.25), 0.5 * MATRIX),
        (pe.regularizers.L1L2(0.5, 0.25), 0.5 * np.sign(MATRIX) + 0.5 * MATRIX),
        (Cubes(), 3 * MATRIX**2),
    ],
)
def test_a_step_adds_the_gradient_to_each_touched_row_once(regularizer, gradient):
    emb = table(embeddings_regularizer=regularizer)
    step(emb, [1, 2, 1, 1], 0.125)
    expected = MATRIX.copy()
    expected[1] -= 3 * 0.125 + gradient[1]
    expected[2] -= 0.125 + gradient[2]
    np.testing.assert_allclose(emb.embeddings, expected, rtol=1e-14)


def test_it_is_not_scaled_with_the_gradient():
    emb = table(embeddings_regularizer=pe.regularizers.L2(0.25))
    pe.SparseSGD(emb, 1.0).step(emb.backward([1], [[8.0, 8.0]]) * 0.125)
    np.testing.assert_array_equal(emb.embeddings[1], MATRIX[1] / 2 - 1)
    emb = table(embeddings_regularizer=pe.regularizers.L2(0.25))
    pe.SparseSGD(emb, 1.0).step(emb.backward([1], [[3.0, 4.0]]).clip_norm(1.0))
    np.testing.assert_allclose(emb.embeddings[1], MATRIX[1] / 2 - [0.6, 0.8], rtol=1e-14)
    often = table(embeddings_regularizer=pe.regularizers.L2(0.25), scale_grad_by_freq=True)
    step(often, [1, 1], 0.0)
    np.testing.assert_array_equal(often.embeddings[1], MATRIX[1] / 2)


def test_several_gradients_count_it_once():
    emb = table(embeddings_regularizer=pe.regularizers.L2(0.25))
    grads = [emb.backward(ids, np.zeros((2, 2))) for ids in ([1, 2], [2, 2], [1, 3])]
    pe.SparseSGD(emb, 1.0).step(*grads[:2], grads[2])
    np.testing.assert_array_equal(emb.embeddings, [MATRIX[0], *(MATRIX[1:] / 2)])


def test_rows_that_are_not_touched_stay():
    emb = table(embeddings_regularizer=pe.regularizers.L2(0.25), padding_idx=0)
    emb.freeze([2])
    opt = pe.SparseSGD(emb, 1.0)
    opt.step(emb.backward([], np.empty((0, 2))))
    np.testing.assert_array_equal(emb.embeddings, MATRIX)
    opt.step(emb.backward([0, 1, 2], np.zeros((3, 2))))
    np.testing.assert_array_equal(emb.embeddings, [MATRIX[0], MATRIX[1] / 2, *MATRIX[2:]])


def test_the_sparse_gradient_is_without_it():
    emb = table(embeddings_regularizer="l2")
    assert emb.backward([1], [[1.0, 2.0]]).to_dense()[1].tolist() == [1, 2]


def test_a_users_regularizer_gets_the_touched_rows(dtype):
    regularizer = Cubes()
    emb = pe.Embedding(4, 2, weights=MATRIX, dtype=dtype, embeddings_regularizer=regularizer)
    opt = pe.SparseSGD(emb, 0.5)
    opt.step(emb.backward([3, 1, 3], np.ones((3, 2), dtype)))
    (seen,) = regularizer.seen
    np.testing.assert_array_equal(seen, MATRIX[[1, 3]].astype(dtype), strict=True)
    expected = MATRIX.copy()
    expected[1] -= 0.5 * (1 + 3 * MATRIX[1] ** 2)
    expected[3] -= 0.5 * (2 + 3 * MATRIX[3] ** 2)
    np.testing.assert_array_equal(emb.embeddings, expected.astype(dtype))


def test_momentum_and_adam_see_it():
    def train(make, regularizer):
        emb = table(embeddings_regularizer=regularizer)
        opt = make(emb)
        for ids in ([1, 2], [2, 2], [1]):
            grad = np.full((len(ids), 2), 0.25)
            if regularizer is None:
                rows = np.unique(ids)
                ids, grad = [*ids, *rows], np.concatenate([grad, emb.embeddings[rows]])
            opt.step(emb.backward(ids, grad))
        return emb.embeddings

    for make in (
        lambda e: pe.SparseSGD(e, 0.1, 0.9, True),
        lambda e: pe.SparseAdam(e, 0.1),
        lambda e: pe.SparseAdam(e, 0.1, step_bias="row"),
    ):
        np.testing.assert_allclose(
            train(make, pe.regularizers.L2(0.5)), train(make, None), rtol=1e-12
        )


class TestARefusedStepChangesNothing:
    def refuse(self, error, message, regularizer):
        first, second = table(), table(embeddings_regularizer=regularizer)
        opt = pe.SparseAdam([first, second], 0.5)
        grads = [emb.backward([1, 2], np.ones((2, 2))) for emb in (first, second)]
        with pytest.raises(error, match=message):
            opt.step(*grads)
        for emb in (first, second):
            np.testing.assert_array_equal(emb.embeddings, MATRIX)
        # Neither t nor the moments moved: the first step is worth the learning rate.
        opt.step(grads[0])
        np.testing.assert_allclose(first.embeddings[1:3], MATRIX[1:3] - 0.5, atol=1e-5)

    def test_no_gradient(self):
        self.refuse(TypeError, r"embeddings_regularizer.*gradient", lambda w: (w**2).sum())

    def test_a_gradient_that_raises(self):
        class Broken(Cubes):
            def gradient(self, w):
                raise ArithmeticError("out of coal")

        self.refuse(ArithmeticError, "out of coal", Broken())

    @pytest.mark.parametrize("made", [np.ones((4, 2)), np.ones((2, 3)), None], ids=str)
    def test_a_gradient_of_another_shape(self, made):
        class Wrong(Cubes):
            def gradient(self, w):
                return made

        self.refuse((ValueError, TypeError), "gradient", Wrong())
