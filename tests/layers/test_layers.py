import json

import numpy as np
import pytest

import pyembed as pe
from kinds import LAZY

MATRIX = np.arange(6.0).reshape(3, 2)


def one_row_gradient(emb, row):
    return emb.backward([row], np.ones((1, emb.output_dim), emb.dtype))


@pytest.mark.parametrize("dim", [3.7, 4.0, "3", None, True, np.True_, -1, [3], np.float64(3)])
def test_dims_must_be_integers(layer, dim):
    with pytest.raises(ValueError, match=r"input_dim=.* must be an integer >= 1"):
        layer(dim, 2)
    with pytest.raises(ValueError, match=r"output_dim=.* must be an integer >= 0"):
        layer(3, dim)


def test_dims_of_zero(layer):
    with pytest.raises(ValueError, match="input_dim=0 must be an integer >= 1"):
        layer(0, 2)
    assert layer(3, 0).embeddings.shape == (3, 0)


@pytest.mark.parametrize("dims", [(2**63, 2), (3, 2**63), (2**62, 2**10)])
def test_a_table_past_the_address_space_is_a_value_error(layer, dims):
    with pytest.raises(ValueError, match=str(max(dims))):
        layer(*dims)


def test_numpy_integers_are_integers(layer):
    made = layer(np.int16(3), np.uint64(2), padding_idx=np.int8(-1))
    assert made.embeddings.shape == (3, 2)
    assert (made.input_dim, made.output_dim, made.padding_idx) == (3, 2, 2)


@pytest.mark.parametrize("given", ["float16", np.float16, int, "int32", None, bool, ">f4", "x", 7])
def test_other_dtypes_are_refused(layer, given):
    with pytest.raises(TypeError, match=r"dtype=.* must be float32 or float64"):
        layer(3, 2, dtype=given)


@pytest.mark.parametrize("given", ["float64", "f8", float, np.float64, np.dtype("f8")])
def test_spellings_of_a_dtype(layer, given):
    assert layer(3, 2, dtype=given).embeddings.dtype == np.float64
    assert layer(3, 2).embeddings.dtype == np.float32


@pytest.mark.parametrize("value", ["ignore", "", None, True, 0])
def test_unknown_out_of_range(layer, value):
    allowed = "none of 'raise', 'clip', 'zero', 'wrap'"
    with pytest.raises(ValueError, match=f"out_of_range=.* is {allowed}"):
        layer(3, 2, out_of_range=value)


def test_unknown_keyword(layer):
    with pytest.raises(TypeError, match="output_dims"):
        layer(3, 2, output_dims=4)
    with pytest.raises(TypeError):  # as in the signature: no more than eight by position
        layer(3, 2, "zeros", None, None, None, False, None, MATRIX)


@pytest.mark.parametrize("initializer", ["uniform", "zeros"])
@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, True, "0", np.nan])
def test_a_seed_is_checked_whatever_uses_it(layer, initializer, seed):
    with pytest.raises(ValueError, match=r"seed=.* must be an integer from 0 to"):
        layer(3, 2, initializer, seed=seed)


@pytest.mark.parametrize("row", [1, -2, np.int64(-2)])
def test_the_padding_row_starts_as_zeros_where_an_initializer_made_it(layer, row):
    for initializer in ("ones", np.ones, pe.initializers.Constant(1.0)):
        made = layer(3, 2, initializer, padding_idx=row)
        assert made.padding_idx == 1
        np.testing.assert_array_equal(made.embeddings, [[1, 1], [0, 0], [1, 1]])
    given = layer(3, 2, weights=MATRIX, padding_idx=row)
    np.testing.assert_array_equal(given.embeddings, MATRIX)
    shared = layer.from_pretrained(MATRIX.copy(), padding_idx=row)
    np.testing.assert_array_equal(shared.embeddings, MATRIX)


@pytest.mark.parametrize("row", [3, -4, 1.0, "1", True])
def test_padding_outside_the_table(layer, row):
    with pytest.raises(ValueError, match=r"padding_idx=.* must be an integer from -3 to 2"):
        layer(3, 2, padding_idx=row)


@pytest.mark.parametrize("name", LAZY)
def test_the_padding_row_is_never_updated(name):
    emb = pe.Embedding(3, 2, "ones", padding_idx=1)
    opt = LAZY[name](emb)
    emb.embeddings[1] = [7, 8]
    for ids in ([1, 1], [0, 1], [1], [2, 1]):
        grad = emb.backward(ids, np.full((len(ids), 2), 5, np.float32))
        assert 1 not in grad.ids
        np.testing.assert_array_equal(grad.to_dense()[1], 0)
        opt.step(grad)
    np.testing.assert_array_equal(emb(1), [7, 8])
    assert (emb.embeddings[[0, 2]] < 1).all()


def test_mask(layer):
    ids = np.array([[0, 1], [2, 0]], np.uint8)
    mask = layer(3, 2, mask_zero=True).compute_mask(ids)
    np.testing.assert_array_equal(mask, [[False, True], [True, False]], strict=True)
    assert layer(3, 2).compute_mask(ids) is None


def test_mask_zero_leaves_row_zero_a_row_like_any_other():
    emb = pe.Embedding(3, 2, weights=MATRIX + 1, mask_zero=True)
    np.testing.assert_array_equal(emb([0, 2]), [[1, 2], [5, 6]])
    np.testing.assert_array_equal(one_row_gradient(emb, 0).to_dense(), [[1, 1], [0, 0], [0, 0]])
    bag = pe.EmbeddingBag(3, 2, weights=MATRIX + 1, mask_zero=True, mode="sum")
    np.testing.assert_array_equal(bag([[0, 2]]), [[6, 8]])


@pytest.mark.parametrize(("length", "tail"), [(4, (4,)), ((2, 3), (2, 3))])
def test_input_length(length, tail):
    emb = pe.Embedding(3, 2, input_length=length)
    ids = np.zeros((5, *tail), int)
    assert emb(ids).shape == (5, *tail, 2)
    assert emb(ids.tolist()).shape == (5, *tail, 2)
    assert emb.backward(ids, np.zeros((*ids.shape, 2), np.float32)).ids.shape == (ids.size,)
    assert emb.compute_output_shape((5, *tail)) == (5, *tail, 2)
    assert emb.compute_output_shape((None,) * ids.ndim) == (None, *tail, 2)
    for wrong in (ids[..., :-1], 0):
        with pytest.raises(ValueError, match="input_length"):
            emb(wrong)
        with pytest.raises(ValueError, match="input_length"):
            emb.backward(wrong, np.zeros((*np.shape(wrong), 2), np.float32))
        with pytest.raises(ValueError, match="input_length"):
            emb.compute_output_shape(np.shape(wrong))


def test_output_shape_of_any_length():
    emb = pe.Embedding(3, 2)
    assert emb.compute_output_shape((None, 7)) == (None, 7, 2)
    assert emb.compute_output_shape(()) == (2,)


@pytest.mark.parametrize("length", [-1, 2.0, "4", True])
def test_bad_input_length(length):
    with pytest.raises(ValueError, match="input_length="):
        pe.Embedding(3, 2, input_length=length)


def test_input_length_of_bags():
    bag = pe.EmbeddingBag(3, 2, input_length=4)
    assert bag(np.zeros((5, 4), int)).shape == (5, 2)
    with pytest.raises(ValueError, match="input_length=4"):
        bag(np.zeros((5, 3), int))
    with pytest.raises(ValueError, match="input_length=4"):
        bag.backward(np.zeros((5, 3), int), np.zeros((5, 2), np.float32))


def test_embeddings_can_be_written_in_place_and_not_replaced(layer):
    emb = layer(3, 2, weights=np.ones((3, 2)))
    emb.embeddings *= 2
    emb.embeddings[1] = 5
    assert emb.embeddings.tolist() == [[2, 2], [5, 5], [2, 2]]
    with pytest.raises(AttributeError, match="a table never moves"):
        emb.embeddings = np.ones((3, 2), np.float32)
    assert emb.embeddings.tolist() == [[2, 2], [5, 5], [2, 2]]


@pytest.mark.parametrize("name", ["out_of_range", "padding_idx", "dtype", "input_dim"])
def test_what_the_core_knows_cannot_be_changed(layer, name):
    emb = layer(3, 2)
    with pytest.raises(AttributeError, match=f"{name} cannot be changed"):
        setattr(emb, name, "clip")


def test_an_initializer_of_the_users_own_class_is_checked(layer):
    class Wrong(pe.initializers.Zeros):
        def __call__(self, shape, dtype="float32", *, first_row=0):
            return np.zeros((1, 1), dtype)

    with pytest.raises(ValueError, match=r"shape \(1, 1\), but must have shape \(20, 2\)"):
        layer(20, 2, Wrong())


def test_compute_mask_refuses_what_are_no_ids(layer):
    with pytest.raises(TypeError, match="ids must be integers"):
        layer(3, 2, mask_zero=True).compute_mask([1.5])


def test_not_trainable(layer):
    made = layer(3, 2, trainable=False, name="fixed")
    args = ([[1]], np.ones((1, 2) if layer is pe.EmbeddingBag else (1, 1, 2), np.float32))
    with pytest.raises(RuntimeError, match=r"fixed is not trainable \(trainable=False\)"):
        made.backward(*args)
    with pytest.raises(ValueError, match=r"fixed is not trainable \(trainable=False\)"):
        pe.SparseAdam(made)


def test_embeddings_is_a_live_view(layer):
    made = layer(3, 2, "zeros")
    view = made.embeddings
    assert type(view) is np.ndarray
    assert np.shares_memory(view, made.embeddings)
    view[1] = [5, 6]
    np.testing.assert_array_equal(made([[1]]).reshape(2), [5, 6])
    with pytest.raises(AttributeError):
        made.embeddings = np.ones((3, 2), np.float32)


def test_a_step_is_seen_through_an_earlier_view():
    emb = pe.Embedding(3, 2, "zeros")
    view = emb.embeddings
    pe.SparseSGD(emb, 0.5).step(one_row_gradient(emb, 2))
    np.testing.assert_array_equal(view, [[0, 0], [0, 0], [-0.5, -0.5]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_config_makes_the_same_layer_again(layer, dtype):
    arguments = {
        "mask_zero": True,
        "trainable": False,
        "padding_idx": -1,
        "out_of_range": "wrap",
        "dtype": dtype,
        "name": "words",
    }
    if layer is pe.EmbeddingBag:
        arguments |= {"mode": "sqrtn", "include_last_offset": True}
    else:
        arguments["input_length"] = 7
    made = layer(5, 4, **arguments)
    config = json.loads(json.dumps(made.get_config()))
    assert config.items() >= (arguments | {"padding_idx": 4}).items()
    again = layer.from_config(config)
    assert again.get_config() == made.get_config()
    # The seed was drawn, as none was given; the configuration holds what was drawn.
    np.testing.assert_array_equal(again.embeddings, made.embeddings, strict=True)
    assert not np.shares_memory(again.embeddings, made.embeddings)


def test_config_of_numpy_numbers_is_json():
    made = pe.Embedding(np.int64(3), np.int32(2), padding_idx=np.int8(0), seed=np.uint64(2**63))
    config = json.loads(json.dumps(made.get_config()))
    assert config["seed"] == 2**63
    np.testing.assert_array_equal(pe.Embedding.from_config(config).embeddings, made.embeddings)


def test_names(layer):
    base = {"Embedding": "embedding", "EmbeddingBag": "embedding_bag"}[layer.__name__]
    names = [layer(3, 2).name for _ in range(3)]
    first = int(names[0].removeprefix(base).removeprefix("_") or 0)
    assert names[1:] == [f"{base}_{first + 1}", f"{base}_{first + 2}"]
    assert layer(3, 2, name="words").name == "words"


def test_repr(layer):
    text = "(input_dim=3, output_dim=2, dtype='float64', name='words')"
    assert repr(layer(3, 2, dtype="float64", name="words")) == layer.__name__ + text


def test_a_loss_reads_the_table_as_it_is(layer):
    l1 = pe.regularizers.L1(1.0)
    made = layer(3, 2, "uniform", l1, l1, weights=MATRIX, max_norm=0.5, input_length=2)
    of_output = 14 if layer is pe.Embedding else 7  # of their mean
    assert made.regularization_loss([[2, 1]]) == 14 + of_output
    np.testing.assert_array_equal(made.embeddings, MATRIX)
    with pytest.raises(ValueError, match="input_length=2"):
        made.regularization_loss([[2]])
