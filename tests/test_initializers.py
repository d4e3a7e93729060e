import json
import math

import numpy as np
import pytest

import pyembed as pe
import reference
from pyembed import initializers

RANDOM = [initializers.RandomUniform(seed=11), initializers.RandomNormal(seed=11)]
SEED = 0xFEDC_BA98_7654_3210


def uniform_reference(shape, seed, first_row=0):
    rows, dim = shape
    pairs = range((dim + 1) // 2)
    units = [
        [u for pair in pairs for u in reference.uniforms(seed, first_row + row, pair)][:dim]
        for row in range(rows)
    ]
    return np.array(units).reshape(shape)


def distance_from_law(values, law):
    """Kolmogorov and Smirnov's statistic: 1.95 or more once in a thousand samples of the law."""
    n = values.size
    expected = np.array([law(value) for value in np.sort(values, axis=None).tolist()])
    steps = np.arange(n + 1) / n
    return np.maximum(steps[1:] - expected, expected - steps[:-1]).max() * math.sqrt(n)


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ([0] * 4, [0] * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ([2**32 - 1] * 4, [2**32 - 1] * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ],
)
def test_known_answers_of_philox(counter, key, expected):
    # From Random123's kat_vectors, philox4x32 with 10 rounds.
    assert reference.philox(counter, key) == [int(word, 16) for word in expected.split()]


@pytest.mark.parametrize("seed", [0, 1, SEED, 2**64 - 1])
@pytest.mark.parametrize("dim", [0, 1, 2, 7, 16])
def test_uniform_is_the_reference_to_the_bit(seed, dim):
    expected = -0.05 + (0.05 + 0.05) * uniform_reference((9, dim), seed)
    double = pe.Embedding(9, dim, seed=seed, dtype="float64").embeddings
    np.testing.assert_array_equal(double, expected, strict=True)
    single = pe.Embedding(9, dim, seed=seed).embeddings
    np.testing.assert_array_equal(single, expected.astype(np.float32), strict=True)


def test_normal_is_box_and_mullers_of_the_same_uniforms():
    first, second = np.moveaxis(uniform_reference((9, 6), SEED).reshape(9, 3, 2), -1, 0)
    radius = 0.5 * np.sqrt(-2 * np.log(first))
    columns = [radius * np.cos(2 * np.pi * second), radius * np.sin(2 * np.pi * second)]
    expected = 3 + np.stack(columns, axis=-1).reshape(9, 6)
    table = initializers.RandomNormal(3, 0.5, seed=SEED)((9, 6), "float64")
    np.testing.assert_allclose(table, expected, rtol=1e-13)


@pytest.mark.parametrize("initializer", RANDOM)
@pytest.mark.parametrize("dim", [1, 33])
def test_the_same_table_at_any_number_of_threads(threads, dtype, initializer, dim):
    table = initializer((20_000, dim), dtype)
    pe.set_num_threads(1)
    np.testing.assert_array_equal(table, initializer((20_000, dim), dtype), strict=True)


@pytest.mark.parametrize("initializer", RANDOM)
def test_any_range_of_rows_can_be_made_alone(threads, dtype, initializer):
    whole = initializer((5000, 9), dtype)
    for first, last in [(0, 1), (17, 17), (1234, 4321), (4999, 5000)]:
        part = initializer((last - first, 9), dtype, first_row=first)
        np.testing.assert_array_equal(part, whole[first:last], strict=True)


def test_rows_past_32_bits():
    first_row = 2**33 + 5
    expected = -1 + 2 * uniform_reference((3, 5), SEED, first_row)
    table = initializers.RandomUniform(-1, 1, SEED)((3, 5), "float64", first_row=first_row)
    np.testing.assert_array_equal(table, expected)


@pytest.mark.parametrize("first_row", [-1, 1.5, "0", None])
@pytest.mark.parametrize("initializer", [RANDOM[0], initializers.Zeros()])
def test_bad_first_row(initializer, first_row):
    with pytest.raises(ValueError, match="first_row"):
        initializer((3, 2), first_row=first_row)


def test_uniform_is_uniform(dtype):
    table = initializers.RandomUniform(seed=0)((1000, 21), dtype)
    assert np.abs(table).max() <= np.float32(0.05)
    assert distance_from_law(table, lambda x: (x + 0.05) / 0.1) < 1.95
    shifted = initializers.RandomUniform(2, 6, seed=1)((1000, 21), dtype)
    assert distance_from_law(shifted, lambda x: (x - 2) / 4) < 1.95


def test_normal_is_normal(dtype):
    table = initializers.RandomNormal(3.0, 2.0, seed=0)((1000, 21), dtype)
    error = 2 / math.sqrt(table.size)
    assert abs(table.mean(dtype="f8") - 3) < 4 * error
    assert abs(table.std(dtype="f8") - 2) < 4 * error / math.sqrt(2)
    assert distance_from_law(table, lambda x: (1 + math.erf((x - 3) / 2 / math.sqrt(2))) / 2) < 1.95


@pytest.mark.parametrize("initializer", RANDOM)
def test_columns_rows_and_seeds_are_independent(initializer):
    table = initializer((1000, 20), "float64")
    other = type(initializer)(seed=initializer.seed + 1)((1000, 20), "float64")
    for a, b in [(table[:, 1:], table[:, :-1]), (table[1:], table[:-1]), (table, other)]:
        assert abs(np.corrcoef(a.reshape(-1), b.reshape(-1))[0, 1]) < 4 / math.sqrt(a.size)
        assert (a != b).all()


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("zeros", 0),
        ("ones", 1),
        ("constant", 0),
        (initializers.Constant(2.5), 2.5),
        (initializers.Ones, 1),
        (initializers.RandomUniform(2.5, 2.5), 2.5),
        (initializers.RandomNormal(2.5, 0.0), 2.5),
        ({"class_name": "Constant", "config": {"value": -1}}, -1),
        (np.ones, 1),
        (lambda shape, dtype: np.full(shape, 7), 7),
    ],
)
def test_constant_tables(dtype, given, value):
    table = pe.Embedding(3, 2, given, dtype=dtype).embeddings
    np.testing.assert_array_equal(table, np.full((3, 2), value, dtype), strict=True)


def test_a_callable_gets_shape_and_dtype_and_keeps_its_array():
    calls = []
    array = np.ones((3, 2), np.float32)

    def initializer(shape, dtype):
        calls.append((shape, dtype))
        return array

    pe.Embedding(3, 2, initializer, padding_idx=0).embeddings[:] = 5
    assert calls == [((3, 2), "float32")]
    np.testing.assert_array_equal(array, 1)


@pytest.mark.parametrize(
    ("made", "error", "message"),
    [
        (np.ones((2, 3)), ValueError, r"shape \(2, 3\), but must have shape \(3, 2\)"),
        (np.full((3, 2), "1"), TypeError, "must be real numbers"),
        (None, ValueError, "embeddings_initializer made has shape"),
    ],
)
def test_a_callable_that_makes_no_table(made, error, message):
    with pytest.raises(error, match=message):
        pe.Embedding(3, 2, lambda shape, dtype: made)


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("uniform", initializers.RandomUniform),
        ("random_uniform", initializers.RandomUniform),
        ("RandomUniform", initializers.RandomUniform),
        ("normal", initializers.RandomNormal),
        ("random_normal", initializers.RandomNormal),
        ("RandomNormal", initializers.RandomNormal),
        ("zeros", initializers.Zeros),
        ("Zeros", initializers.Zeros),
        ("ones", initializers.Ones),
        ("Ones", initializers.Ones),
        ("constant", initializers.Constant),
        ("Constant", initializers.Constant),
    ],
)
def test_names(name, cls):
    assert type(initializers.get(name)) is cls


@pytest.mark.parametrize("given", ["glorot", "", None, 3, {}, {"class_name": "Glorot"}])
def test_unknown_initializers(given):
    with pytest.raises(ValueError, match="embeddings_initializer="):
        pe.Embedding(3, 2, given)


def test_keras_defaults():
    uniform, normal = initializers.get("uniform", 3), initializers.get("normal", 3)
    assert uniform.get_config() == {"minval": -0.05, "maxval": 0.05, "seed": 3}
    assert normal.get_config() == {"mean": 0.0, "stddev": 0.05, "seed": 3}
    assert repr(uniform) == "RandomUniform(minval=-0.05, maxval=0.05, seed=3)"


@pytest.mark.parametrize("cls", [initializers.RandomUniform, initializers.RandomNormal])
@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, True, "0", np.nan])
def test_bad_seeds(cls, seed):
    with pytest.raises(ValueError, match=r"seed=.* must be an integer from 0 to"):
        cls(seed=seed)


def test_seeds():
    def table(seed):
        return pe.Embedding(50, 8, "normal", seed=seed).embeddings

    np.testing.assert_array_equal(table(3), table(np.uint8(3)))
    assert (table(3) != table(4)).all()
    assert (table(3) != table(3 + 2**32)).all()  # both words of the key count
    assert not np.array_equal(table(None), table(None))
    initializer = initializers.RandomUniform()
    one, two = pe.Embedding(50, 8, initializer), pe.Embedding(50, 8, initializer)
    np.testing.assert_array_equal(one.embeddings, two.embeddings)


@pytest.mark.parametrize(
    ("cls", "arguments", "message"),
    [
        (
            initializers.RandomUniform,
            {"minval": 1.0, "maxval": 0.0},
            "minval=1.0 must not be above",
        ),
        (initializers.RandomUniform, {"minval": "0"}, "minval='0' must be a finite number"),
        (initializers.RandomUniform, {"maxval": np.inf}, "maxval=inf must be a finite number"),
        (initializers.RandomUniform, {"minval": -1e308, "maxval": 1e308}, "minval"),
        (initializers.RandomNormal, {"mean": np.nan}, "mean=nan must be a finite number"),
        (initializers.RandomNormal, {"stddev": -1}, "stddev=-1 must be a finite number >= 0"),
        (initializers.Constant, {"value": None}, "value=None must be a finite number"),
    ],
)
def test_bad_arguments(cls, arguments, message):
    with pytest.raises(ValueError, match=message):
        cls(**arguments)


@pytest.mark.parametrize(
    "initializer", [*RANDOM, initializers.RandomUniform(-1, 2), initializers.Constant(4.0)]
)
def test_serialized_it_makes_the_same_table(initializer):
    again = initializers.get(json.loads(json.dumps(initializers.serialize(initializer))))
    assert type(again) is type(initializer)
    np.testing.assert_array_equal(again((4, 3)), initializer((4, 3)))
    assert initializers.serialize(np.ones) is np.ones


def test_any_shape():
    initializer = initializers.RandomUniform(seed=5)
    whole = initializer((6, 4), "float64")
    np.testing.assert_array_equal(initializer((2, 3, 4), "float64"), whole.reshape(2, 3, 4))
    np.testing.assert_array_equal(initializer([4], "float64"), whole[0])
    assert initializer((0, 4)).shape == (0, 4)
