import gc
import json
import weakref

import numpy as np
import pytest

import pyembed as pe

MATRIX = np.arange(1.0, 11.0).reshape(5, 2)


@pytest.fixture
def emb():
    return pe.Embedding(5, 2, weights=MATRIX, dtype="float64")


def test_one_table_two_layers(emb):
    bag = pe.EmbeddingBag.sharing(emb, mode="sum")
    assert type(bag) is pe.EmbeddingBag
    assert np.shares_memory(bag.embeddings, emb.embeddings)
    assert bag.embeddings.shape == (5, 2)
    emb.embeddings[1] = [100, 200]
    np.testing.assert_array_equal(bag([[1, 0]]), [[101, 202]])
    bag.embeddings[0] = [-1, -2]
    np.testing.assert_array_equal(emb([0]), [[-1, -2]])


def test_a_layer_of_a_bag():
    bag = pe.EmbeddingBag(5, 2, weights=MATRIX, mode="max")
    emb = pe.Embedding.sharing(bag)
    assert type(emb) is pe.Embedding
    assert np.shares_memory(bag.embeddings, emb.embeddings)
    np.testing.assert_array_equal(emb([4]), [MATRIX[4]])
    other = pe.EmbeddingBag.sharing(bag)
    np.testing.assert_array_equal(other([[0, 4]]), [[5, 6]])  # its mode is its own: the default


def test_the_table_outlives_the_layer_that_made_it(emb):
    bag = pe.EmbeddingBag.sharing(emb, "sum")
    del emb
    gc.collect()
    np.testing.assert_array_equal(bag([[0, 1]]), [[4, 6]])


def test_the_optimizer_of_one_takes_the_gradients_of_both(emb):
    bag = pe.EmbeddingBag.sharing(emb, mode="sum")
    opt = pe.SparseSGD(emb, 0.5)
    one = emb.backward([1, 2], np.ones((2, 2)))
    other = bag.backward([[1, 1, 3]], np.ones((1, 2)))
    assert (one + other).to_dense()[:, 0].tolist() == [0, 3, 1, 1, 0]
    opt.step(one, other)
    assert (MATRIX - emb.embeddings)[:, 0].tolist() == [0, 1.5, 0.5, 0.5, 0]
    opt.step(other)
    assert (MATRIX - bag.embeddings)[:, 0].tolist() == [0, 2.5, 0.5, 1, 0]


def test_one_step_of_both_counts_once():
    def train(shared):
        emb = pe.Embedding(5, 2, weights=MATRIX)
        bag = pe.EmbeddingBag.sharing(emb, mode="mean")
        opt = pe.SparseAdam(bag if shared else emb, 0.1)
        for _ in range(3):
            one = emb.backward([1, 2], np.ones((2, 2), np.float32))
            other = bag.backward([[1, 3]], np.ones((1, 2), np.float32))
            opt.step(one, other) if shared else opt.step(one + other)
        return emb.embeddings

    np.testing.assert_array_equal(train(True), train(False))


def test_a_shared_table_stands_in_one_optimizer_once(emb):
    bag = pe.EmbeddingBag.sharing(emb, name="bags")
    with pytest.raises(ValueError, match="bags"):
        pe.SparseAdam([emb, bag])
    opt = pe.SparseAdam(emb)
    with pytest.raises(ValueError, match=r"bags is updated by another .* opt.release\(\)"):
        pe.SparseSGD(bag)
    opt.release()
    pe.SparseSGD(bag)


def test_what_concerns_the_table_comes_from_the_layer():
    emb = pe.Embedding(
        5,
        2,
        pe.initializers.Constant(3.0),
        embeddings_regularizer="l2",
        embeddings_constraint="non_neg",
        padding_idx=-1,
        out_of_range="wrap",
        dtype="float64",
        max_norm=1.0,
        norm_type=1.0,
        trainable=False,
    )
    for other in (pe.EmbeddingBag.sharing(emb), pe.Embedding.sharing(emb)):
        assert (other.input_dim, other.output_dim, other.dtype) == (5, 2, "float64")
        assert (other.padding_idx, other.out_of_range) == (4, "wrap")
        assert (other.max_norm, other.norm_type, other.trainable) == (1.0, 1.0, False)
        assert type(other.embeddings_regularizer) is pe.regularizers.L2
        assert type(other.embeddings_constraint) is pe.constraints.NonNeg
        assert other.embeddings_initializer.value == 3.0
        with pytest.raises(RuntimeError, match=r"trainable=False"):
            other.backward([[0]], np.ones(other([[0]]).shape))
    np.testing.assert_allclose(other([6]), [[0.5, 0.5]], rtol=1e-6)


def test_whether_it_is_trained_is_the_tables(emb):
    bag = pe.EmbeddingBag.sharing(emb)
    emb.trainable = False
    assert bag.trainable is False
    with pytest.raises(RuntimeError, match=r"is not trainable \(trainable=False\)"):
        bag.backward([[0]], np.ones((1, 2)))
    with pytest.raises(ValueError, match=r"is not trainable \(trainable=False\)"):
        pe.SparseSGD(bag)
    bag.trainable = True
    assert emb.trainable is True
    pe.SparseSGD(bag).step(emb.backward([0], np.ones((1, 2))))


def test_what_concerns_the_lookup_is_its_own():
    emb = pe.Embedding(
        5, 2, activity_regularizer="l2", mask_zero=True, input_length=3, scale_grad_by_freq=True
    )
    for cls in (pe.EmbeddingBag, pe.Embedding):
        plain = cls.sharing(emb)
        assert plain.activity_regularizer is None
        assert plain.input_length is None
        assert plain.scale_grad_by_freq is False
        assert plain.mask_zero is True
        own = cls.sharing(
            emb,
            input_length=7,
            mask_zero=False,
            activity_regularizer="l1",
            scale_grad_by_freq=True,
            name="own",
        )
        assert own.input_length == 7
        assert own.mask_zero is False
        assert type(own.activity_regularizer) is pe.regularizers.L1
        assert own.scale_grad_by_freq is True
        assert own.name == "own"
        assert plain.name.startswith("embedding")
        assert plain.name != emb.name
    assert emb.mask_zero is True
    assert emb.input_length == 3


def test_arguments_of_bags(emb):
    bag = pe.EmbeddingBag.sharing(emb)
    assert (bag.mode, bag.include_last_offset) == ("mean", False)
    bag = pe.EmbeddingBag.sharing(emb, "sqrtn", True)
    assert (bag.mode, bag.include_last_offset) == ("sqrtn", True)
    assert bag([1, 2], [0, 2]).shape == (1, 2)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda emb: pe.EmbeddingBag.sharing(emb, mode="avg"), ValueError, "mode='avg'"),
        (
            lambda emb: pe.EmbeddingBag.sharing(emb, mode="max", scale_grad_by_freq=True),
            ValueError,
            "scale_grad_by_freq",
        ),
        (lambda emb: pe.EmbeddingBag.sharing(emb, padding_idx=1), TypeError, "padding_idx"),
        (lambda emb: pe.Embedding.sharing(emb, dtype="float32"), TypeError, "dtype"),
        (lambda emb: pe.Embedding.sharing(emb, input_length=-1), ValueError, "input_length=-1"),
        (lambda emb: pe.EmbeddingBag.sharing(emb.embeddings), TypeError, "ndarray"),
        (lambda emb: pe.Embedding.sharing(None), TypeError, "NoneType"),
    ],
)
def test_bad_arguments(emb, make, error, message):
    with pytest.raises(error, match=message):
        make(emb)


def test_a_pretrained_matrix_is_shared_by_all():
    matrix = MATRIX.copy()
    matrix.flags.writeable = False
    emb = pe.Embedding.from_pretrained(matrix)
    bag = pe.EmbeddingBag.sharing(emb)
    assert np.shares_memory(bag.embeddings, matrix)
    assert not bag.embeddings.flags.writeable
    assert not bag.trainable
    with pytest.raises(ValueError, match="read-only"):
        bag.trainable = True


def test_frozen_rows_are_the_tables(emb):
    emb.freeze([1])
    bag = pe.EmbeddingBag.sharing(emb, mode="sum")
    assert bag.frozen_rows.tolist() == [1]
    bag.freeze([3])
    assert emb.frozen_rows.tolist() == [1, 3]
    assert emb.backward([1, 2, 3], np.ones((3, 2))).ids.tolist() == [2]
    assert bag.backward([[1, 2, 3]], np.ones((1, 2))).ids.tolist() == [2]
    emb.unfreeze()
    assert bag.frozen_rows.tolist() == []


def test_a_regularizer_counts_a_row_of_both_once():
    emb = pe.Embedding(5, 2, weights=MATRIX, embeddings_regularizer="l2", dtype="float64")
    bag = pe.EmbeddingBag.sharing(emb, mode="sum")
    pe.SparseSGD(bag, 1.0).step(
        emb.backward([1, 1], np.zeros((2, 2))), bag.backward([[1, 2]], np.zeros((1, 2)))
    )
    expected = MATRIX.copy()
    expected[1:3] -= 2 * 0.01 * MATRIX[1:3]
    np.testing.assert_allclose(emb.embeddings, expected, rtol=1e-14)
    assert bag.regularization_loss() == emb.regularization_loss()


def test_a_config_makes_a_layer_with_a_table_of_its_own(emb):
    bag = pe.EmbeddingBag.sharing(emb, mode="sum")
    again = pe.EmbeddingBag.from_config(json.loads(json.dumps(bag.get_config())))
    assert not np.shares_memory(again.embeddings, emb.embeddings)
    assert again.get_config() == bag.get_config()


class LeadingBack(pe.regularizers.L2):
    """Of a table, with a way from there to a layer."""


def test_a_layer_that_its_table_leads_back_to_is_collected(layer):
    regularizer = LeadingBack()
    made = layer(3, 2, embeddings_regularizer=regularizer)
    regularizer.layer = made
    there = weakref.ref(made)
    del made, regularizer
    gc.collect()
    assert there() is None
