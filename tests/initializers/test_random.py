"""Random numbers: their bits, and that any row can be made alone at any number of threads."""

import math

import numpy as np
import pytest

import pyembed as pe
import reference
from initializers.cases import RANDOM, SEED
from pyembed import initializers
from reference import uniform_rows


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ([0] * 4, [0] * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ([2**32 - 1] * 4, [2**32 - 1] * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ],
)
def test_known_answers_of_philox(counter, key, expected):
    # From Random123's kat_vectors, philox4x32 with 10 rounds.
    assert reference.philox(counter, key[0] | key[1] << 32) == [
        int(word, 16) for word in expected.split()
    ]


@pytest.mark.parametrize("seed", [0, 1, SEED, 2**64 - 1])
@pytest.mark.parametrize("dim", [0, 1, 2, 7, 16])
def test_uniform_is_the_reference_to_the_bit(seed, dim):
    expected = -0.05 + (0.05 + 0.05) * uniform_rows((9, dim), seed)
    double = pe.Embedding(9, dim, seed=seed, dtype="float64").embeddings
    np.testing.assert_array_equal(double, expected, strict=True)
    single = pe.Embedding(9, dim, seed=seed).embeddings
    np.testing.assert_array_equal(single, expected.astype(np.float32), strict=True)


def test_normal_is_box_and_mullers_of_the_same_uniforms():
    first, second = np.moveaxis(uniform_rows((9, 6), SEED).reshape(9, 3, 2), -1, 0)
    radius = 0.5 * np.sqrt(-2 * np.log(first))
    columns = [radius * np.cos(2 * np.pi * second), radius * np.sin(2 * np.pi * second)]
    expected = 3 + np.stack(columns, axis=-1).reshape(9, 6)
    table = initializers.RandomNormal(3, 0.5, seed=SEED)((9, 6), "float64")
    np.testing.assert_allclose(table, expected, rtol=1e-13)


def test_truncated_normal_is_the_inverse_of_its_law():
    expected = [reference.truncated_normal(u) for u in uniform_rows((50, 9), SEED).flat]
    table = initializers.TruncatedNormal(0.0, 1.0, SEED)((50, 9), "float64")
    # Near 0 the reference rounds a probability of about 1/2.
    np.testing.assert_allclose(table.reshape(-1), expected, rtol=1e-14, atol=4e-16)
    moved = initializers.TruncatedNormal(3.0, 0.5, SEED)((50, 9), "float64")
    np.testing.assert_array_equal(moved, 3.0 + 0.5 * table, strict=True)
    single = initializers.TruncatedNormal(3.0, 0.5, SEED)((50, 9))
    np.testing.assert_array_equal(single, moved.astype(np.float32), strict=True)


@pytest.mark.parametrize("initializer", RANDOM)
@pytest.mark.parametrize("dim", [1, 33])
def test_the_same_table_at_any_number_of_threads(threads, dtype, initializer, dim):
    table = initializer((20_000, dim), dtype)
    pe.set_num_threads(1)
    np.testing.assert_array_equal(table, initializer((20_000, dim), dtype), strict=True)


@pytest.mark.parametrize("initializer", RANDOM)
def test_any_range_of_rows_can_be_made_alone(threads, dtype, initializer):
    whole = initializer((5000, 9), dtype)
    assert initializer.in_parts
    for first, last in [(0, 1), (17, 17), (1234, 4321), (4999, 5000)]:
        part = initializer((last - first, 9), dtype, first_row=first, total_rows=5000)
        np.testing.assert_array_equal(part, whole[first:last], strict=True)
    end = initializer((100, 9), dtype, first_row=4900)  # the last rows, where nothing else is said
    np.testing.assert_array_equal(end, whole[4900:], strict=True)


@pytest.mark.parametrize("total_rows", [-1, 4, 1.5, "9", True, 2**63])
def test_bad_total_rows(total_rows):
    for initializer in (RANDOM[3], initializers.Zeros()):
        with pytest.raises(ValueError, match=r"total_rows=.* must be an integer >= 5"):
            initializer((3, 2), first_row=2, total_rows=total_rows)


def test_rows_past_32_bits():
    first_row = 2**33 + 5
    expected = -1 + 2 * uniform_rows((3, 5), SEED, first_row)
    table = initializers.RandomUniform(-1, 1, SEED)((3, 5), "float64", first_row=first_row)
    np.testing.assert_array_equal(table, expected)


@pytest.mark.parametrize("first_row", [-1, 1.5, "0", None])
@pytest.mark.parametrize("initializer", [RANDOM[0], initializers.Zeros()])
def test_bad_first_row(initializer, first_row):
    with pytest.raises(ValueError, match="first_row"):
        initializer((3, 2), first_row=first_row)


@pytest.mark.parametrize("initializer", RANDOM)
def test_columns_rows_and_seeds_are_independent(initializer):
    table = initializer((1000, 20), "float64")
    other = type(initializer)(seed=initializer.seed + 1)((1000, 20), "float64")
    for a, b in [(table[:, 1:], table[:, :-1]), (table[1:], table[:-1]), (table, other)]:
        assert abs(np.corrcoef(a.reshape(-1), b.reshape(-1))[0, 1]) < 4 / math.sqrt(a.size)
        assert (a != b).all()


def test_any_shape():
    initializer = initializers.RandomUniform(seed=5)
    whole = initializer((6, 4), "float64")
    np.testing.assert_array_equal(initializer((2, 3, 4), "float64"), whole.reshape(2, 3, 4))
    np.testing.assert_array_equal(initializer([4], "float64"), whole[0])
    assert initializer((0, 4)).shape == (0, 4)
