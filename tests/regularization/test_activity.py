"""backward adds the gradient of activity_regularizer."""

import numpy as np
import pytest

import pyembed as pe
from regularization.cases import MATRIX, Cubes, table


def test_backward_adds_the_activitys_gradient():
    emb = table(activity_regularizer=pe.regularizers.L2(1.5))
    ids = np.array([[1, 1], [2, 0], [3, 1]])
    grad = np.arange(12.0).reshape(3, 2, 2)
    given = grad.copy()
    sparse = emb.backward(ids, grad)
    np.testing.assert_array_equal(grad, given)
    np.testing.assert_allclose(
        sparse.values, (grad + 3 * MATRIX[ids] / 3).reshape(6, 2), rtol=1e-14
    )
    expected = np.zeros((4, 2))
    np.add.at(expected, ids, grad + 3 * MATRIX[ids] / 3)
    np.testing.assert_allclose(sparse.to_dense(), expected, rtol=1e-14)
    one = emb.backward(1, [0.0, 0.0])  # a batch of one
    np.testing.assert_allclose(one.to_dense()[1], 3 * MATRIX[1], rtol=1e-14)


def test_a_users_activity_gets_the_output():
    regularizer = Cubes()
    bag = table(pe.EmbeddingBag, mode="sum", activity_regularizer=regularizer)
    ids, offsets, weights = [0, 1, 1], [0, 2], np.array([1.0, 2.0, -1.0])
    dense = bag.backward(ids, np.zeros((2, 2)), offsets, weights).to_dense()
    y = bag(ids, offsets, weights)
    np.testing.assert_array_equal(regularizer.seen, [y])
    by_bag = 3 * y**2 / 2
    expected = [by_bag[0], 2 * by_bag[0] - by_bag[1], [0, 0], [0, 0]]
    np.testing.assert_allclose(dense, expected, rtol=1e-14)


def test_the_activity_of_nothing():
    emb = table(activity_regularizer="l2")
    assert emb.backward([], np.empty((0, 2))).ids.shape == (0,)
    bag = table(pe.EmbeddingBag, activity_regularizer="l2")
    assert bag.backward([], np.empty((0, 2)), []).ids.shape == (0,)


def test_an_activity_without_a_gradient_gives_a_loss_alone(layer):
    made = table(layer, activity_regularizer=lambda y: y.sum())
    ids = np.array([[1]])
    assert made.regularization_loss(ids) == 1.0
    with pytest.raises(TypeError, match=r"activity_regularizer.*gradient"):
        made.backward(ids, np.ones(made(ids).shape))


def test_bad_gradients_are_refused_with_an_activity_too(layer):
    made = table(layer, activity_regularizer="l2")
    ids = np.array([[1]])
    shape = made(ids).shape
    with pytest.raises(TypeError, match="grad_output must have dtype float64"):
        made.backward(ids, np.ones(shape, np.float32))
    with pytest.raises(ValueError, match="grad_output has shape"):
        made.backward(ids, np.ones((7, *shape)))
    with pytest.raises(IndexError, match="id 4 "):
        made.backward(np.array([[4]]), np.ones(shape)).coalesce()
