"""regularization_loss: over the whole table, over the rows looked up, of the activity."""

import numpy as np
import pytest

import pyembed as pe
from regularization.cases import MATRIX, Cubes, table


@pytest.mark.parametrize(
    ("given", "loss"),
    [
        ("l1", 0.01 * 24.5),
        ("l2", 0.01 * 130.25),
        ("L2", 0.01 * 130.25),
        (pe.regularizers.L1(2.0), 49.0),
        (pe.regularizers.L2(0.5), 65.125),
        (pe.regularizers.L1L2(2.0, 0.5), 114.125),
        (Cubes(), (MATRIX**3).sum()),
        (lambda w: np.abs(w).max(), 8.0),
        (None, 0.0),
    ],
)
def test_the_loss_is_over_the_whole_table(layer, given, loss):
    made = table(layer, embeddings_regularizer=given)
    total = made.regularization_loss()
    assert type(total) is float
    np.testing.assert_allclose(total, loss, rtol=1e-14)


def test_the_loss_of_ids_is_over_the_distinct_rows_looked_up(layer):
    made = table(layer, embeddings_regularizer=pe.regularizers.L2(1.0))
    assert made.regularization_loss(np.array([[1, 2, 1], [2, 2, 1]])) == 25.25
    assert made.regularization_loss(ids=np.array([[3]], np.uint8)) == 100.0
    assert made.regularization_loss(np.empty((0, 3), int)) == 0.0


def test_the_loss_of_an_activity_is_divided_by_the_batch():
    emb = table(activity_regularizer=pe.regularizers.L1(1.0))
    assert emb.regularization_loss([[1, 1], [1, 2], [1, 0]]) == (4 * 7 + 0.5 + 3) / 3
    assert emb.regularization_loss([1, 2]) == 7.5 / 2
    assert emb.regularization_loss(1) == 7.0
    assert emb.regularization_loss([]) == 0.0
    assert emb.regularization_loss(np.empty((0, 4), int)) == 0.0
    assert emb.regularization_loss() == 0.0  # nothing was looked up
    assert type(emb.regularization_loss([1])) is float


def test_both_losses_add_up():
    emb = table(
        activity_regularizer=lambda y: y.sum(),
        embeddings_regularizer=pe.regularizers.L1(0.5),
    )
    assert emb.regularization_loss([1, 1]) == 0.5 * 7 + (1 + 1) / 2
    assert emb.regularization_loss() == 0.5 * 24.5


def test_the_batch_of_bags_is_their_number():
    bag = table(
        pe.EmbeddingBag,
        mode="sum",
        activity_regularizer=pe.regularizers.L2(1.0),
        embeddings_regularizer=pe.regularizers.L1(1.0),
    )
    # Bags of rows 0 + 1, of none, and of 1: (-2, 2), (0, 0) and (-3, 4).
    assert bag.regularization_loss([0, 1, 1], [0, 2, 2]) == 3 + 7 + (8 + 0 + 25) / 3
    assert bag.regularization_loss([[0, 1], [1, 1]]) == 3 + 7 + (8 + 100) / 2
    weights = np.array([2.0, 1.0, 3.0])
    loss = bag.regularization_loss([0, 1, 1], offsets=[0, 2], per_sample_weights=weights)
    assert loss == 3 + 7 + (1 + 81 + 144) / 2


@pytest.mark.parametrize("policy", ["clip", "zero", "wrap"])
def test_rows_that_ids_out_of_range_stand_for(layer, policy):
    made = table(layer, out_of_range=policy, embeddings_regularizer=pe.regularizers.L1(1.0))
    expected = {"clip": 14, "zero": 0, "wrap": 7}[policy]
    assert made.regularization_loss(np.array([[5]])) == expected


@pytest.mark.parametrize("embeddings_regularizer", [None, "l1"])
@pytest.mark.parametrize("activity_regularizer", [None, "l1"])
def test_arguments_are_checked_as_a_lookups(embeddings_regularizer, activity_regularizer):
    options = {
        "embeddings_regularizer": embeddings_regularizer,
        "activity_regularizer": activity_regularizer,
    }
    for cls in (pe.Embedding, pe.EmbeddingBag):
        made = table(cls, input_length=2, **options)
        with pytest.raises(IndexError, match=r"id 4 at position \(0, 1\) is outside"):
            made.regularization_loss([[1, 4]])
        with pytest.raises(TypeError, match="ids must be integers"):
            made.regularization_loss([[1.5, 4.0]])
        with pytest.raises(ValueError, match="input_length=2"):
            made.regularization_loss([[1, 2, 3]])
    bag = table(pe.EmbeddingBag, **options)
    with pytest.raises(ValueError, match=r"offsets\[1\] is 5"):
        bag.regularization_loss([1, 2], [0, 5])
    with pytest.raises(TypeError, match="per_sample_weights must have dtype float64"):
        bag.regularization_loss([[1, 2]], None, np.ones((1, 2), np.float32))


def test_a_loss_changes_nothing(layer):
    made = table(layer, embeddings_regularizer="l1", activity_regularizer="l1")
    made.regularization_loss([[1, 2]])
    made.regularization_loss()
    np.testing.assert_array_equal(made.embeddings, MATRIX)
