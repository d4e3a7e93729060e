"""Tables that start from a matrix, given as it is or as `Constant`; and making objects again."""

import json

import numpy as np
import pytest

import pyembed as pe
from initializers.cases import RANDOM
from pyembed import initializers, regularizers

MATRIX = np.arange(6.0).reshape(3, 2)
KERAS = {"class_name": "__numpy__", "config": {"value": MATRIX.tolist(), "dtype": "float32"}}


@pytest.mark.parametrize(
    "given",
    [
        MATRIX,
        MATRIX.astype(np.int32),
        MATRIX.astype(">f4"),
        np.asfortranarray(MATRIX),
        initializers.Constant(MATRIX),
        initializers.Constant(MATRIX.tolist()),
        {"class_name": "Constant", "config": {"value": MATRIX}},
        {"class_name": "Constant", "config": {"value": MATRIX.tolist()}},
        {"class_name": "Constant", "config": {"value": KERAS}},
    ],
)
@pytest.mark.parametrize("layer", [pe.Embedding, pe.EmbeddingBag])
def test_a_table_starts_from_a_matrix(dtype, layer, given):
    made = layer(3, 2, given, dtype=dtype)
    np.testing.assert_array_equal(made.embeddings, MATRIX.astype(dtype), strict=True)
    made.embeddings[:] = 9.0  # its own memory
    np.testing.assert_array_equal(layer(3, 2, given, dtype=dtype).embeddings, MATRIX)
    assert layer(3, 2, given, padding_idx=1).embeddings.tolist() == [[0, 1], [0, 0], [4, 5]]


def test_any_array_will_do():
    class Arrays:
        def __array__(self, dtype=None, copy=None):
            return MATRIX

    np.testing.assert_array_equal(pe.Embedding(3, 2, Arrays()).embeddings, MATRIX)


@pytest.mark.parametrize("given", [MATRIX, initializers.Constant(MATRIX)])
def test_a_table_of_another_shape_is_refused_and_so_is_growth(given):
    for shape in ((2, 3), (4, 2), (2, 2), (3, 1)):
        with pytest.raises(ValueError, match=r"a matrix of shape \(3, 2\) makes no table of shape"):
            pe.Embedding(*shape, given)
    emb = pe.Embedding(3, 2, given)
    before = emb.embeddings
    emb.grow(3)
    with pytest.raises(ValueError, match=r"makes no table of shape \(5, 2\), .* cannot grow"):
        emb.grow(5)
    assert emb.input_dim == 3
    assert emb.embeddings.ctypes.data == before.ctypes.data


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (np.ones(3), ValueError, r"value must be a matrix \(rows, dim\), not of shape \(3,\)"),
        ([1.0, 2.0], ValueError, "value must be a matrix"),
        (np.ones((1, 2, 3)), ValueError, "value must be a matrix"),
        (np.ones((3, 2), complex), TypeError, "value must be real numbers, not complex128"),
        (np.full((3, 2), "1"), TypeError, "value must be real numbers"),
        ("1", ValueError, "value='1' must be a finite number"),
        (None, ValueError, "value=None must be a finite number"),
        (np.nan, ValueError, "value=nan must be a finite number"),
    ],
)
def test_values_that_are_neither_a_number_nor_a_matrix(value, error, message):
    with pytest.raises(error, match=message):
        initializers.Constant(value)


@pytest.mark.parametrize("given", [np.ones(3), np.ones((1, 3, 2)), np.array(1.0)])
def test_an_array_that_is_no_matrix(given):
    with pytest.raises(ValueError, match=r"^embeddings_initializer must be a matrix"):
        pe.Embedding(3, 2, given)
    with pytest.raises(TypeError, match=r"^embeddings_initializer must be real numbers"):
        pe.Embedding(3, 2, np.ones((3, 2), bool))


def test_a_number_may_be_an_array_of_no_axes():
    for value in (np.array(2.5), np.float32(2.5), 2.5):
        constant = initializers.Constant(value)
        assert constant.value == 2.5
        assert repr(constant) == "Constant(value=2.5)"
        assert json.dumps(constant.get_config()) == '{"value": 2.5}'


def test_a_range_of_rows_can_be_made_alone():
    constant = initializers.Constant(MATRIX)
    np.testing.assert_array_equal(constant((2, 2), first_row=1, total_rows=3), MATRIX[1:])
    with pytest.raises(ValueError, match=r"makes no table of shape \(2, 2\)"):
        constant((2, 2))


def test_a_matrix_in_configurations():
    emb = pe.Embedding(3, 2, MATRIX, seed=0)
    config = emb.get_config()
    again = pe.Embedding.from_config(config)
    np.testing.assert_array_equal(again.embeddings, MATRIX)
    assert repr(emb.embeddings_initializer) == "Constant(value=<matrix of shape (3, 2)>)"
    with pytest.raises(TypeError, match="ndarray is not JSON serializable"):
        json.dumps(config)
    listed = initializers.serialize(initializers.Constant(MATRIX))
    given = listed["config"]["value"]["config"]
    given["value"] = given["value"].tolist()
    np.testing.assert_array_equal(initializers.get(json.loads(json.dumps(listed)))((3, 2)), MATRIX)
    with pytest.raises(ValueError, match="value has the class 'Zeros', not '__numpy__'"):
        initializers.Constant.from_config({"value": {"class_name": "Zeros", "config": {}}})


def test_such_a_table_is_saved_and_loaded(tmp_path):
    emb = pe.Embedding(3, 2, MATRIX)
    emb.embeddings[:] += 1.0
    pe.save(tmp_path / "f", emb=emb)
    other = pe.Embedding(3, 2, MATRIX)
    pe.load(tmp_path / "f", emb=other)
    np.testing.assert_array_equal(other.embeddings, MATRIX + 1.0)
    with pytest.raises(ValueError, match=r"which no file can hold: load into an object"):
        pe.load(tmp_path / "f")


@pytest.mark.parametrize("initializer", [*RANDOM, initializers.Constant(4.0), initializers.Zeros()])
def test_an_initializer_is_made_again_from_its_configuration(initializer):
    again = type(initializer).from_config(initializer.get_config())
    assert type(again) is type(initializer)
    assert again.get_config() == initializer.get_config()
    np.testing.assert_array_equal(again((4, 3)), initializer((4, 3)))


def test_a_subclass_makes_its_own_kind():
    class Own(initializers.Constant):
        pass

    assert type(Own.from_config({"value": 2.0})) is Own
    assert type(Own.from_config({"value": KERAS})) is Own
    with pytest.raises(TypeError, match="l3"):
        regularizers.L1.from_config({"l3": 1.0})
