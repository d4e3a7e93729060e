import json
import math

import numpy as np
import pytest

import pyembed as pe
import reference
from pyembed import initializers

RANDOM = [
    initializers.RandomUniform(seed=11),
    initializers.RandomNormal(seed=11),
    initializers.TruncatedNormal(seed=11),
    initializers.GlorotUniform(seed=11),
    initializers.VarianceScaling(seed=11, mode="fan_in", distribution="untruncated_normal"),
    initializers.HeNormal(seed=11),
]
# One setting of VarianceScaling each: scale, mode, distribution.
FAMILY = {
    "GlorotUniform": (1.0, "fan_avg", "uniform"),
    "GlorotNormal": (1.0, "fan_avg", "truncated_normal"),
    "LecunUniform": (1.0, "fan_in", "uniform"),
    "LecunNormal": (1.0, "fan_in", "truncated_normal"),
    "HeUniform": (2.0, "fan_in", "uniform"),
    "HeNormal": (2.0, "fan_in", "truncated_normal"),
}
MASS = math.erf(math.sqrt(2))  # of a normal distribution within two standard deviations
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
    assert reference.philox(counter, key[0] | key[1] << 32) == [
        int(word, 16) for word in expected.split()
    ]


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


def test_truncated_normal_is_the_inverse_of_its_law():
    expected = [reference.truncated_normal(u) for u in uniform_reference((50, 9), SEED).flat]
    table = initializers.TruncatedNormal(0.0, 1.0, SEED)((50, 9), "float64")
    # Near 0 the reference rounds a probability of about 1/2.
    np.testing.assert_allclose(table.reshape(-1), expected, rtol=1e-14, atol=4e-16)
    moved = initializers.TruncatedNormal(3.0, 0.5, SEED)((50, 9), "float64")
    np.testing.assert_array_equal(moved, 3.0 + 0.5 * table, strict=True)
    single = initializers.TruncatedNormal(3.0, 0.5, SEED)((50, 9))
    np.testing.assert_array_equal(single, moved.astype(np.float32), strict=True)


@pytest.mark.parametrize(
    ("mode", "fan"), [("fan_in", 9), ("fan_out", 6), ("fan_avg", 7.5)], ids=str
)
def test_variance_scaling_is_the_reference_to_the_bit(mode, fan):
    expected = reference.variance_scaling_uniform(uniform_reference((9, 6), SEED), 0.3, fan)
    scaling = initializers.VarianceScaling(0.3, mode, "uniform", SEED)
    np.testing.assert_array_equal(scaling((9, 6), "float64"), expected, strict=True)
    for distribution, cls, divisor in [
        ("truncated_normal", initializers.TruncatedNormal, 0.87962566103423978),
        ("normal", initializers.TruncatedNormal, 0.87962566103423978),
        ("untruncated_normal", initializers.RandomNormal, 1.0),
    ]:
        scaling = initializers.VarianceScaling(0.3, mode, distribution, SEED)
        same = cls(0.0, math.sqrt(0.3 / fan) / divisor, SEED)
        np.testing.assert_array_equal(scaling((9, 6)), same((9, 6)), strict=True)


@pytest.mark.parametrize("name", FAMILY)
def test_named_settings_of_variance_scaling(name):
    cls = getattr(initializers, name)
    general = initializers.VarianceScaling(*FAMILY[name], seed=5)
    np.testing.assert_array_equal(cls(seed=5)((9, 4)), general((9, 4)), strict=True)
    assert cls(seed=5).get_config() == {"seed": 5, "input_axes": None, "output_axes": None}
    swapped = initializers.VarianceScaling(*FAMILY[name], 5, input_axes=[1], output_axes=[0])
    np.testing.assert_array_equal(cls(5, [-1], (0,))((9, 4)), swapped((9, 4)), strict=True)
    if FAMILY[name][1] == "fan_in":
        np.testing.assert_allclose(swapped((9, 4)), general((9, 4)) * 1.5, rtol=1e-6)


@pytest.mark.parametrize(("shape", "mode"), [((0, 3), "fan_in"), ((3, 0), "fan_out")])
def test_variance_scaling_of_an_empty_table(shape, mode):
    assert initializers.VarianceScaling(1.0, mode)(shape).shape == shape


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


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (0, 3), (3, 0)])
def test_identity(dtype, shape):
    expected = np.where(np.eye(*shape, dtype=bool), dtype.type(-2.5), dtype.type(0))
    identity = initializers.Identity(-2.5)
    np.testing.assert_array_equal(identity(shape, dtype), expected, strict=True)
    for first in range(shape[0] + 1):
        for last in range(first, shape[0] + 1):
            part_shape = (last - first, shape[1])
            part = identity(part_shape, dtype, first_row=first, total_rows=shape[0])
            np.testing.assert_array_equal(part, expected[first:last], strict=True)


@pytest.mark.parametrize("shape", [(40, 7), (7, 40), (9, 9), (5, 1), (1, 5), (0, 3), (3, 0)])
def test_orthogonal(dtype, shape):
    made = initializers.Orthogonal(gain=-1.5, seed=3)(shape, dtype)
    assert made.shape == shape
    assert made.dtype == dtype
    wide = made.astype("f8") if shape[0] < shape[1] else made.astype("f8").T
    expected = 2.25 * np.eye(min(shape))
    tolerance = 1e-6 if dtype == "float32" else 1e-14
    np.testing.assert_allclose(wide @ wide.T, expected, atol=tolerance)
    # Signs as in Keras: against the normal matrix, the triangular factor has a positive diagonal.
    normal = initializers.RandomNormal(0.0, 1.0, 3)((max(shape), min(shape)), "float64")
    assert (np.diag(wide / -1.5 @ normal) > 0).all()
    np.testing.assert_array_equal(made, initializers.Orthogonal(-1.5, 3)(shape, dtype))


@pytest.mark.parametrize("part", [{"first_row": 1}, {"total_rows": 6}])
def test_orthogonal_tables_are_made_whole(part):
    orthogonal = initializers.Orthogonal(seed=3)
    assert not orthogonal.in_parts
    with pytest.raises(ValueError, match=r"Orthogonal cannot make rows \d to \d of 6 alone"):
        orthogonal((5, 2), **part)
    whole = orthogonal((5, 2), first_row=0, total_rows=5)
    np.testing.assert_array_equal(whole, orthogonal((5, 2)), strict=True)


@pytest.mark.parametrize("total_rows", [-1, 4, 1.5, "9", True, 2**63])
def test_bad_total_rows(total_rows):
    for initializer in (RANDOM[3], initializers.Zeros()):
        with pytest.raises(ValueError, match=r"total_rows=.* must be an integer >= 5"):
            initializer((3, 2), first_row=2, total_rows=total_rows)


@pytest.mark.parametrize("shape", [(), (3,), (3, 2, 2)])
@pytest.mark.parametrize("name", ["identity", "orthogonal", "glorot_uniform", "variance_scaling"])
def test_what_depends_on_rows_and_dim_makes_matrices_alone(name, shape):
    with pytest.raises(ValueError, match=r"shape \(.* must have two axes \(rows, dim\) for"):
        initializers.get(name)(shape)


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


def cut_law(x, mean=0.0, stddev=1.0):
    """The distribution function of a normal number within two standard deviations."""
    return (math.erf((x - mean) / stddev / math.sqrt(2)) / MASS + 1) / 2


def test_truncated_normal_is_a_normal_cut_at_two_standard_deviations(dtype):
    table = initializers.TruncatedNormal(3.0, 2.0, seed=0)((2000, 21), dtype)
    assert table.min() >= -1
    assert table.max() <= 7
    assert table.max() - table.min() > 7.99
    density = math.exp(-2) / math.sqrt(2 * math.pi)  # at the cut
    variance = 4 * (1 - 4 * density / MASS)
    error = math.sqrt(variance / table.size)
    assert abs(table.mean(dtype="f8") - 3) < 4 * error
    # The fourth moment about the mean tells the error of the variance.
    fourth = 16 * (3 - 28 * density / MASS)
    assert abs(table.var(dtype="f8") - variance) < 4 * math.sqrt(
        (fourth - variance**2) / table.size
    )
    assert distance_from_law(table, lambda x: cut_law(x, 3, 2)) < 1.95


@pytest.mark.parametrize("name", FAMILY)
def test_variance_scaling_has_the_variance_it_says(name):
    scale, mode, distribution = FAMILY[name]
    table = initializers.get(name, seed=2)((1500, 20), "float64")
    variance = scale / {"fan_in": 1500, "fan_avg": 760}[mode]
    assert abs(table.mean()) < 4 * math.sqrt(variance / table.size)
    assert table.var() == pytest.approx(variance, rel=0.02)
    limit = math.sqrt(3 * variance)
    stddev = math.sqrt(variance) / 0.87962566103423978
    law = (
        (lambda x: (x / limit + 1) / 2)
        if distribution == "uniform"
        else (lambda x: cut_law(x, 0, stddev))
    )
    assert distance_from_law(table, law) < 1.95


def test_the_standard_deviation_that_the_cut_leaves():
    density = math.exp(-2) / math.sqrt(2 * math.pi)
    assert math.sqrt(1 - 4 * density / MASS) == pytest.approx(0.87962566103423978, rel=1e-15)


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
        (initializers.TruncatedNormal(2.5, 0.0), 2.5),
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
        ("zero", initializers.Zeros),
        ("one", initializers.Ones),
        ("identity", initializers.Identity),
        ("Identity", initializers.Identity),
        ("IdentityInitializer", initializers.Identity),
        ("truncated_normal", initializers.TruncatedNormal),
        ("TruncatedNormal", initializers.TruncatedNormal),
        ("variance_scaling", initializers.VarianceScaling),
        ("VarianceScaling", initializers.VarianceScaling),
        ("glorot_uniform", initializers.GlorotUniform),
        ("GlorotNormal", initializers.GlorotNormal),
        ("glorot_normal", initializers.GlorotNormal),
        ("lecun_uniform", initializers.LecunUniform),
        ("lecun_normal", initializers.LecunNormal),
        ("he_uniform", initializers.HeUniform),
        ("he_normal", initializers.HeNormal),
        ("orthogonal", initializers.Orthogonal),
        ("Orthogonal", initializers.Orthogonal),
        ("OrthogonalInitializer", initializers.Orthogonal),
    ],
)
def test_names(name, cls):
    assert type(initializers.get(name)) is cls
    assert type(initializers.get(cls)) is cls
    assert initializers.is_builtin(initializers.get({"class_name": name, "config": {}}))


def test_a_class_of_the_users_own_is_made():
    class Sevens:
        def __call__(self, shape, dtype):
            return np.full(shape, 7, dtype)

    np.testing.assert_array_equal(pe.Embedding(3, 2, Sevens).embeddings, 7)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("glorot", "='glorot' is none of Constant, GlorotNormal, .*, zeros$"),
        ("", "='' is none of"),
        (None, "=None must be a name, a configuration or a callable"),
        (3, "=3 must be a name"),
        (int, "=<class 'int'> must be a name"),
        ({}, "={} has no known 'class_name'"),
        ({"class_name": "Glorot"}, "=.* has no known 'class_name'"),
        ({"class_name": "STFT", "config": {}}, "=.* has no known 'class_name'"),
        ({"class_name": "Zeros", "config": [1]}, "=.* has a 'config' that is no dict"),
    ],
)
def test_unknown_initializers(given, message):
    with pytest.raises(ValueError, match=f"^embeddings_initializer{message}"):
        pe.Embedding(3, 2, given)


def test_keras_defaults():
    uniform, normal = initializers.get("uniform", 3), initializers.get("normal", 3)
    assert uniform.get_config() == {"minval": -0.05, "maxval": 0.05, "seed": 3}
    assert normal.get_config() == {"mean": 0.0, "stddev": 0.05, "seed": 3}
    assert repr(uniform) == "RandomUniform(minval=-0.05, maxval=0.05, seed=3)"


@pytest.mark.parametrize(
    "cls",
    [
        initializers.RandomUniform,
        initializers.RandomNormal,
        initializers.TruncatedNormal,
        initializers.VarianceScaling,
        initializers.GlorotUniform,
        initializers.Orthogonal,
    ],
)
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
    "given",
    [
        "glorot_uniform",
        initializers.GlorotUniform,
        {"class_name": "GlorotUniform"},
        {"class_name": "GlorotUniform", "config": {"seed": None}},
    ],
)
def test_the_layers_seed_is_that_of_an_initializer_without_one(given):
    expected = initializers.GlorotUniform(3)((50, 8))
    np.testing.assert_array_equal(pe.Embedding(50, 8, given, seed=3).embeddings, expected)


def test_a_seed_of_its_own_comes_first():
    expected = initializers.GlorotUniform(3)((50, 8))
    config = {"class_name": "GlorotUniform", "config": {"seed": 3}}
    for given in (config, initializers.GlorotUniform(3)):
        np.testing.assert_array_equal(pe.Embedding(50, 8, given, seed=4).embeddings, expected)


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
        (initializers.Identity, {"gain": np.nan}, "gain=nan must be a finite number"),
        (initializers.Orthogonal, {"gain": "1"}, "gain='1' must be a finite number"),
        (initializers.TruncatedNormal, {"stddev": -1}, "stddev=-1 must be a finite number >= 0"),
        (initializers.VarianceScaling, {"scale": -1}, "scale=-1 must be a finite number >= 0"),
        (initializers.VarianceScaling, {"scale": 0}, "scale=0 must be above 0"),
        (initializers.VarianceScaling, {"mode": "fan"}, "mode='fan' is none of 'fan_in', "),
        (initializers.VarianceScaling, {"distribution": "x"}, "distribution='x' is none of 'trun"),
        (initializers.GlorotUniform, {"input_axes": [0]}, r"input_axes=\[0\] and output_axes=None"),
        (
            initializers.GlorotUniform,
            {"input_axes": [0], "output_axes": [2]},
            "output_axes=2 must be an integer from -2 to 1",
        ),
        (initializers.GlorotUniform, {"input_axes": 0, "output_axes": 1}, "input_axes=0 must be"),
    ],
)
def test_bad_arguments(cls, arguments, message):
    with pytest.raises(ValueError, match=message):
        cls(**arguments)


@pytest.mark.parametrize(
    "initializer",
    [
        *RANDOM,
        initializers.RandomUniform(-1, 2),
        initializers.Constant(4.0),
        initializers.Identity(2),
        initializers.Orthogonal(2),
        initializers.VarianceScaling(2, "fan_avg", "uniform", None, [1], (0,)),
    ],
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
