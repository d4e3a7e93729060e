import json
import tracemalloc

import numpy as np
import pytest

import pyembed as pe
from pyembed import regularizers

ALL = [
    regularizers.L1(0.3),
    regularizers.L2(0.7),
    regularizers.L1L2(0.3, 0.7),
    regularizers.OrthogonalRegularizer(0.5),
    regularizers.OrthogonalRegularizer(0.5, "columns"),
]
ELEMENTWISE = ALL[:3]
ORTHOGONAL = ALL[3:]


def ids(regularizer):
    return repr(regularizer)


def penalty(regularizer, w):
    """The plain formula, over the whole array in float64."""
    w = np.asarray(w, np.float64)
    if regularizer in ELEMENTWISE:
        return regularizer.l1 * np.abs(w).sum() + regularizer.l2 * (w * w).sum()
    rows = w if regularizer.mode == "rows" else w.T
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    pairs = [abs(units[i] @ units[j]) for i in range(len(rows)) for j in range(i)]
    return regularizer.factor * np.mean(pairs)


def differences(function, w, step=1e-6):
    gradient = np.zeros_like(w)
    for index in np.ndindex(w.shape):
        moved = w.copy()
        moved[index] += step
        above = function(moved)
        moved[index] -= 2 * step
        gradient[index] = (above - function(moved)) / (2 * step)
    return gradient


@pytest.mark.parametrize("regularizer", ALL, ids=ids)
@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (2, 1), (1, 2), (5, 5)])
def test_penalty(regularizer, dtype, rng, shape):
    w = rng.standard_normal(shape).astype(dtype)
    made = regularizer(w)
    assert type(made) is float
    pairs = shape[0 if regularizer.get_config().get("mode") == "rows" else 1]
    expected = 0.0 if regularizer in ORTHOGONAL and pairs == 1 else penalty(regularizer, w)
    assert made == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("regularizer", ALL, ids=ids)
@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (2, 1), (1, 2), (5, 5)])
def test_gradient_is_that_of_finite_differences(regularizer, rng, shape):
    w = rng.standard_normal(shape)
    before = w.copy()
    gradient = regularizer.gradient(w)
    np.testing.assert_allclose(gradient, differences(regularizer, w), atol=1e-8)
    assert gradient.flags.c_contiguous
    assert gradient.flags.writeable
    np.testing.assert_array_equal(w, before)
    single = regularizer.gradient(w.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, gradient, rtol=1e-4, atol=1e-6)


def test_worked_cases():
    w = np.array([[1, -2], [0, 3]], np.float32)
    assert regularizers.L1(0.5)(w) == 3
    assert regularizers.L2(0.5)(w) == 7  # no half
    assert regularizers.L1L2(0.5, 0.25)(w) == 6.5
    np.testing.assert_array_equal(regularizers.L1(0.5).gradient(w), [[0.5, -0.5], [0, 0.5]])
    np.testing.assert_array_equal(regularizers.L2(0.5).gradient(w), w)
    np.testing.assert_array_equal(
        regularizers.L1L2(0.5, 0.25).gradient(w), [[1, -1.5], [0, 2]], strict=False
    )
    # 60 degrees between the two rows.
    angle = np.array([[2.0, 0.0], [1.5, 1.5 * np.sqrt(3)]])
    assert regularizers.OrthogonalRegularizer(0.4)(angle) == pytest.approx(0.2, rel=1e-15)


@pytest.mark.parametrize("regularizer", ELEMENTWISE, ids=ids)
@pytest.mark.parametrize("shape", [(), (0,), (5,), (0, 3), (3, 0), (2, 3, 4)])
def test_any_shape(regularizer, dtype, rng, shape):
    w = np.asarray(rng.standard_normal(shape), dtype)
    assert regularizer(w) == pytest.approx(penalty(regularizer, w), rel=1e-13)
    gradient = regularizer.gradient(w)
    assert isinstance(gradient, np.ndarray)
    assert gradient.shape == shape
    assert gradient.dtype == dtype
    expected = regularizer.l1 * np.sign(w) + 2 * regularizer.l2 * w
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)


@pytest.mark.parametrize("regularizer", ELEMENTWISE, ids=ids)
def test_lists_and_integers_are_numbers(regularizer):
    for w in ([[1, -2], [3, 4]], np.array([[1, -2], [3, 4]], np.int8)):
        assert regularizer(w) == regularizer(np.array(w, np.float64))
        gradient = regularizer.gradient(w)
        np.testing.assert_array_equal(
            gradient, regularizer.gradient(np.array(w, "f8")), strict=True
        )
    assert regularizer([]) == 0


@pytest.mark.parametrize("regularizer", ALL, ids=ids)
@pytest.mark.parametrize("w", [np.ones((2, 2), complex), np.ones((2, 2), bool), [["a", "b"]], None])
def test_what_are_no_numbers_is_refused(regularizer, w):
    for function in (regularizer, regularizer.gradient):
        with pytest.raises(TypeError, match="w must be real numbers, not"):
            function(w)


@pytest.mark.parametrize("regularizer", ELEMENTWISE, ids=ids)
def test_the_same_bits_in_any_layout_and_at_any_number_of_threads(threads, dtype, regularizer, rng):
    w = rng.standard_normal((3000, 47)).astype(dtype)
    gapped = np.zeros((3000, 50), dtype)[:, :47]
    gapped[:] = w
    expected = regularizer(w)
    assert expected == pytest.approx(penalty(regularizer, w), rel=1e-12)
    for layout in (gapped, np.asfortranarray(w), w[::-1]):
        assert regularizer(layout) == expected
    pe.set_num_threads(1)
    assert regularizer(w) == expected


def test_sums_are_of_float64():
    w = np.full(2**20, 1 + 2**-12, np.float32)
    assert regularizers.L1(1.0)(w) == 2**20 + 2**8
    assert regularizers.L2(1.0)(w) == 2**20 * (1 + 2**-12) ** 2


@pytest.mark.parametrize("regularizer", ELEMENTWISE, ids=ids)
def test_no_temporary_array_is_as_large_as_a_table(regularizer):
    w = np.ones((50_000, 40), np.float32)
    for layout in (w, w[:, :39]):
        tracemalloc.start()
        regularizer(layout)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2 * 2**20 < w.nbytes / 3


def test_the_product_of_many_rows_is_made_by_blocks(rng, monkeypatch):
    w = rng.standard_normal((23, 5))
    for regularizer in ORTHOGONAL:
        monkeypatch.undo()
        whole, gradient = regularizer(w), regularizer.gradient(w)
        monkeypatch.setattr(regularizers.OrthogonalRegularizer, "_block", 60)
        assert regularizer(w) == pytest.approx(whole, rel=1e-13)
        np.testing.assert_allclose(regularizer.gradient(w), gradient, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("regularizer", ORTHOGONAL, ids=ids)
def test_rows_of_zeros_have_no_direction(regularizer, rng):
    w = rng.standard_normal((4, 4))
    zero = (1, slice(None)) if regularizer.mode == "rows" else (slice(None), 1)
    w[zero] = 0
    others = np.delete(w, 1, 0 if regularizer.mode == "rows" else 1)
    assert regularizer(w) == pytest.approx(regularizer(others) * 3 / 6, rel=1e-13)
    gradient = regularizer.gradient(w)
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[zero], 0)
    assert regularizer(np.zeros((3, 3))) == 0


@pytest.mark.parametrize("shape", [(0, 3), (1, 3), (3, 0), (3, 1), (1, 1), (0, 0)])
@pytest.mark.parametrize("regularizer", ORTHOGONAL, ids=ids)
def test_orthogonality_of_too_few(regularizer, shape):
    count = shape[0 if regularizer.mode == "rows" else 1]
    width = shape[1 if regularizer.mode == "rows" else 0]
    expected = regularizer.factor if count > 1 and width else 0.0
    assert regularizer(np.ones(shape)) == pytest.approx(expected)
    np.testing.assert_allclose(regularizer.gradient(np.ones(shape)), np.zeros(shape), atol=1e-15)


@pytest.mark.parametrize("regularizer", ORTHOGONAL, ids=ids)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4)])
def test_orthogonality_is_of_matrices(regularizer, shape):
    for function in (regularizer, regularizer.gradient):
        with pytest.raises(ValueError, match=r"w has shape \(.* but must have two axes for Orth"):
            function(np.ones(shape))


@pytest.mark.parametrize("factor", [-1, -1e-9, np.nan, np.inf, "0.1", None, True, [0.1], 1j])
def test_bad_factors(factor):
    for cls, name in [
        (regularizers.L1, "l1"),
        (regularizers.L2, "l2"),
        (regularizers.L1L2, "l1"),
        (regularizers.L1L2, "l2"),
        (regularizers.OrthogonalRegularizer, "factor"),
    ]:
        with pytest.raises(ValueError, match=rf"{name}=.* must be a finite number >= 0"):
            cls(**{name: factor})


@pytest.mark.parametrize("mode", ["row", "", None, 0])
def test_bad_mode(mode):
    with pytest.raises(ValueError, match=r"mode=.* is none of 'rows', 'columns'"):
        regularizers.OrthogonalRegularizer(mode=mode)


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("l1", regularizers.L1),
        ("L1", regularizers.L1),
        ("l2", regularizers.L2),
        ("L2", regularizers.L2),
        ("l1_l2", regularizers.L1L2),
        ("l1l2", regularizers.L1L2),
        ("L1L2", regularizers.L1L2),
        ("orthogonal_regularizer", regularizers.OrthogonalRegularizer),
        ("OrthogonalRegularizer", regularizers.OrthogonalRegularizer),
    ],
)
def test_names(name, cls):
    for given in (name, cls, {"class_name": name, "config": {}}):
        made = regularizers.get(given)
        assert type(made) is cls
        assert made.get_config() == cls().get_config()


@pytest.mark.parametrize("regularizer", ALL, ids=ids)
def test_serialized_it_is_the_same(regularizer):
    config = json.loads(json.dumps(regularizers.serialize(regularizer)))
    again = regularizers.get(config | {"module": "keras.regularizers", "registered_name": None})
    assert type(again) is type(regularizer)
    assert again.get_config() == regularizer.get_config()


def test_objects_and_none_are_returned_as_they_are():
    class Half(regularizers.L2):
        pass

    for given in (None, np.sum, ALL[0], Half(0.5)):
        assert regularizers.get(given) is given
    for given in (None, np.sum, half := Half(0.5)):
        assert regularizers.serialize(given) is given
    assert not regularizers.is_builtin(half)


@pytest.mark.parametrize("given", ["l3", "", 0.01, {}, {"class_name": "L3"}, int])
def test_unknown_regularizers(given):
    with pytest.raises(ValueError, match=r"^embeddings_regularizer=.*(none of|no known|must be)"):
        regularizers.get(given)
    with pytest.raises(ValueError, match=r"^activity_regularizer="):
        regularizers.get(given, "activity_regularizer")


def test_unknown_arguments_of_a_configuration():
    with pytest.raises(TypeError, match="l3"):
        regularizers.get({"class_name": "L1", "config": {"l3": 1.0}})


def test_repr():
    assert repr(ALL[2]) == "L1L2(l1=0.3, l2=0.7)"
    assert repr(ALL[4]) == "OrthogonalRegularizer(factor=0.5, mode='columns')"
