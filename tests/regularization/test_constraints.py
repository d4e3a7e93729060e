import json
import tracemalloc

import numpy as np
import pytest

import pyembed as pe
from pyembed import constraints

NORMS = [
    constraints.MaxNorm(0.9),
    constraints.MaxNorm(0.9, axis=1),
    constraints.MaxNorm(0.9, axis=[0, 1]),
    constraints.MaxNorm(0.0, axis=-1),
    constraints.UnitNorm(),
    constraints.UnitNorm(axis=1),
    constraints.MinMaxNorm(),
    constraints.MinMaxNorm(0.9, 1.1, axis=-1),
    constraints.MinMaxNorm(0.9, 1.1, rate=0.3, axis=(1,)),
    constraints.MinMaxNorm(0.9, 0.9, rate=0.0),
]
NON_NEG = constraints.NonNeg()
ALL = [NON_NEG, *NORMS]


def ids(constraint):
    return repr(constraint)


def constrained(constraint, w):
    """The plain formula; norms and factors are float64."""
    if isinstance(constraint, constraints.NonNeg):
        return np.maximum(w, 0)
    n = np.sqrt((w.astype("f8") ** 2).sum(axis=constraint.axis, keepdims=True))
    if isinstance(constraint, constraints.MaxNorm):
        desired = np.clip(n, 0, constraint.max_value)
    elif isinstance(constraint, constraints.UnitNorm):
        desired = np.ones_like(n)
    else:
        clipped = np.clip(n, constraint.min_value, constraint.max_value)
        desired = constraint.rate * clipped + (1 - constraint.rate) * n
    return w * (desired / (1e-7 + n)).astype(w.dtype)


@pytest.mark.parametrize("constraint", ALL, ids=ids)
@pytest.mark.parametrize("shape", [(6, 4), (1, 5), (5, 1), (0, 4), (4, 0), (3, 4, 2)])
def test_formula(constraint, dtype, rng, shape):
    w = (rng.standard_normal(shape) / 2).astype(dtype)
    before = w.copy()
    made = constraint(w)
    np.testing.assert_array_equal(w, before)
    assert not np.shares_memory(made, w)
    expected = constrained(constraint, w)
    assert expected.dtype == dtype
    tolerance = 3e-7 if dtype == "float32" else 3e-15
    np.testing.assert_allclose(made, expected, rtol=tolerance, strict=True)


def test_worked_cases():
    w = np.array([[3, -4], [0.3, 0.4], [0, 0]], np.float32)
    np.testing.assert_array_equal(constraints.NonNeg()(w), np.maximum(w, 0), strict=True)
    rows = constraints.MaxNorm(1, axis=1)(w)
    np.testing.assert_allclose(rows, [[0.6, -0.8], [0.3, 0.4], [0, 0]], rtol=1e-6)
    units = constraints.UnitNorm(axis=1)(w)
    np.testing.assert_allclose(units, [[0.6, -0.8], [0.6, 0.8], [0, 0]], rtol=1e-6)
    halfway = constraints.MinMaxNorm(1, 2, rate=0.5, axis=1)(w)
    np.testing.assert_allclose(halfway, [[2.1, -2.8], [0.45, 0.6], [0, 0]], rtol=1e-6)
    columns = constraints.MaxNorm(2)(w)  # Keras's default axis: each column of the whole
    np.testing.assert_allclose(np.linalg.norm(columns, axis=0), 2, rtol=1e-6)


BY_ROW = [NON_NEG, *(constraint for constraint in NORMS if constraint.axis in (1, -1, (1,)))]


@pytest.mark.parametrize("constraint", BY_ROW, ids=ids)
def test_rows_may_be_constrained_apart_from_the_others_to_the_bit(constraint, dtype, rng):
    assert constraint.is_by_row
    w = rng.standard_normal((3000, 33)).astype(dtype)  # more than one block
    whole = constraint(w)
    for rows in ([2999, 0, 1500, 7], [7], []):
        np.testing.assert_array_equal(constraint(w[rows]), whole[rows], strict=True)


@pytest.mark.parametrize("axis", [0, (0, 1), -2, (1, 0)])
def test_what_is_not_by_row(axis):
    for cls in (constraints.MaxNorm, constraints.UnitNorm, constraints.MinMaxNorm):
        assert not cls(axis=axis).is_by_row
    assert not constraints.Constraint().is_by_row


@pytest.mark.parametrize("axis", [0, 1])
def test_no_temporary_array_is_as_large_as_a_table(axis):
    w = np.ones((50_000, 40), np.float32)
    constraint = constraints.UnitNorm(axis)
    tracemalloc.start()
    made = constraint(w)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < made.nbytes + 3 * 2**20


@pytest.mark.parametrize("constraint", ALL, ids=ids)
def test_the_same_bits_in_any_layout_and_at_any_number_of_threads(threads, dtype, constraint, rng):
    w = rng.standard_normal((3000, 47)).astype(dtype)
    gapped = np.zeros((3000, 50), dtype)[:, :47]
    gapped[:] = w
    expected = constraint(w)
    for layout in (gapped, np.asfortranarray(w), w[::-1][::-1]):
        np.testing.assert_array_equal(constraint(layout), expected, strict=True)
    pe.set_num_threads(1)
    np.testing.assert_array_equal(constraint(w), expected, strict=True)


@pytest.mark.parametrize("axis", [0, 1])
def test_norms_are_summed_in_float64(axis):
    w = np.full((100, 100), 1e25, np.float32)  # squares past float32
    made = constraints.UnitNorm(axis)(w)
    np.testing.assert_allclose(made, 0.1, rtol=1e-6)


@pytest.mark.parametrize("constraint", ALL, ids=ids)
def test_zeros_stay(constraint, dtype):
    w = np.zeros((3, 2), dtype)
    np.testing.assert_array_equal(constraint(w), w, strict=True)


@pytest.mark.parametrize("constraint", ALL, ids=ids)
def test_lists_and_integers_are_numbers(constraint):
    for w in ([[1, -2], [3, 4]], np.array([[1, -2], [3, 4]], np.int8)):
        np.testing.assert_array_equal(constraint(w), constraint(np.array(w, "f8")), strict=True)
    with pytest.raises(TypeError, match="w must be real numbers, not complex128"):
        constraint(np.ones((2, 2), complex))


@pytest.mark.parametrize(("axis", "shape"), [(2, (3, 2)), (-3, (3, 2)), ((0, 1), (3,)), (0, ())])
def test_an_axis_that_the_array_does_not_have(axis, shape):
    ndim = len(shape)
    with pytest.raises(ValueError, match=rf"axis=.* is outside an array of {ndim} axes"):
        constraints.UnitNorm(axis)(np.ones(shape))


def test_an_axis_named_twice():
    with pytest.raises(ValueError, match=r"axis=\(1, -1\) names an axis of an array of 2 axes twi"):
        constraints.UnitNorm((1, -1))(np.ones((3, 2)))


@pytest.mark.parametrize("cls", [constraints.MaxNorm, constraints.UnitNorm, constraints.MinMaxNorm])
@pytest.mark.parametrize("axis", [None, 1.0, "0", True, (), [0, 1.5], (None,), 64])
def test_bad_axes(cls, axis):
    with pytest.raises(ValueError, match=r"axis=.* must (be an integer|name an axis)"):
        cls(axis=axis)


@pytest.mark.parametrize("value", [-1, np.nan, np.inf, "1", None, True, [1.0]])
@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (constraints.MaxNorm, "max_value"),
        (constraints.MinMaxNorm, "min_value"),
        (constraints.MinMaxNorm, "max_value"),
        (constraints.MinMaxNorm, "rate"),
    ],
)
def test_bad_values(cls, name, value):
    with pytest.raises(ValueError, match=rf"{name}=.* must be a finite number >= 0"):
        cls(**{name: value})


def test_bad_ranges():
    with pytest.raises(ValueError, match=r"min_value=3 must not be above max_value=2"):
        constraints.MinMaxNorm(3, 2)
    with pytest.raises(ValueError, match=r"rate=1.5 must not be above 1"):
        constraints.MinMaxNorm(rate=1.5)


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("max_norm", constraints.MaxNorm),
        ("MaxNorm", constraints.MaxNorm),
        ("non_neg", constraints.NonNeg),
        ("NonNeg", constraints.NonNeg),
        ("unit_norm", constraints.UnitNorm),
        ("UnitNorm", constraints.UnitNorm),
        ("min_max_norm", constraints.MinMaxNorm),
        ("MinMaxNorm", constraints.MinMaxNorm),
    ],
)
def test_names(name, cls):
    for given in (name, cls, {"class_name": name, "config": {}}):
        made = constraints.get(given)
        assert type(made) is cls
        assert made.get_config() == cls().get_config()


@pytest.mark.parametrize("constraint", ALL, ids=ids)
def test_serialized_it_is_the_same(constraint):
    config = json.loads(json.dumps(constraints.serialize(constraint)))
    again = constraints.get(config | {"module": "keras.constraints", "registered_name": None})
    assert type(again) is type(constraint)
    assert again.get_config() == constraint.get_config()


def test_objects_and_none_are_returned_as_they_are():
    class Mine(constraints.NonNeg):
        pass

    for given in (None, np.abs, ALL[1], Mine()):
        assert constraints.get(given) is given
    for given in (None, np.abs, mine := Mine()):
        assert constraints.serialize(given) is given
    assert not constraints.is_builtin(mine)


@pytest.mark.parametrize("given", ["norm", "", 2, {}, {"class_name": "Norm"}, int])
def test_unknown_constraints(given):
    with pytest.raises(ValueError, match=r"^embeddings_constraint=.*(none of|no known|must be)"):
        constraints.get(given)
