"""FTRL-Proximal: cases worked by hand, powers other than the root, learning rates above 0."""

import numpy as np
import pytest

import pyembed as pe
import reference


def trained(gradients, ids=(1,), **arguments):
    """A table of 2s and its state, after steps with each gradient for each of `ids`."""
    emb = pe.Embedding(3, 1, weights=[[2.0]] * 3, dtype="float64")
    opt = pe.SparseFTRL(emb, 0.5, initial_accumulator_value=9.0, **arguments)
    for gradient in gradients:
        opt.step(emb.backward(list(ids), np.full((len(ids), 1), gradient)))
    (state,) = opt.state_dict()["tables"]
    return emb.embeddings, state["accumulator"], state["linear"]


# n: 9, 25, 169, so that roots rise by 2 and by 8, and by four times as much over the rate. Between
# the two steps w is 1/4.
PENALTIES = {
    "l1_regularization_strength": 1.0,
    "l2_regularization_strength": 0.5,
    "beta": 0.5,
}


@pytest.mark.parametrize(
    ("arguments", "gradients", "expected"),
    [
        ({}, [4.0], (4 / 10, 25, 4 - 4 * 2)),
        (PENALTIES, [4.0], ((-1 + 4) / (10 + 1 + 1), 25, -4)),
        (PENALTIES, [4.0, 12.0], ((1 - 4) / (26 + 1 + 1), 169, -4 + 12 - 16 / 4)),
        ({"l1_regularization_strength": 4.5}, [4.0], (0, 25, -4)),
        ({"l2_shrinkage_regularization_strength": 0.25}, [4.0], (3 / 10, 25, 4 + 1 - 8)),
        ({"learning_rate_power": -1.0}, [4.0], (60 / 50, 25, 4 - 32 * 2)),
        ({"learning_rate_power": 0.0}, [4.0], (-4 / 2, 25, 4)),
    ],
    ids=str,
)
def test_worked_cases(arguments, gradients, expected):
    for arrays in zip(trained(gradients, **arguments), expected, strict=True):
        np.testing.assert_allclose(arrays[0][1], arrays[1], rtol=1e-14)


def test_duplicates_are_summed_first():
    once, thrice = trained([6.0]), trained([2.0], ids=(1, 1, 1))
    np.testing.assert_array_equal(once, thrice)


def test_rows_without_a_gradient_rest():
    w, accumulator, linear = trained([4.0, 12.0], **PENALTIES)
    np.testing.assert_array_equal(w[[0, 2]], 2.0)
    np.testing.assert_array_equal(accumulator[[0, 2]], 9.0)
    np.testing.assert_array_equal(linear[[0, 2]], 0.0)


def test_l1_makes_weights_that_are_exactly_zero(dtype, rng):
    emb = pe.Embedding(200, 8, seed=0, dtype=dtype)
    opt = pe.SparseFTRL(emb, 0.1, l1_regularization_strength=2.0)
    for _ in range(5):
        opt.step(emb.backward(np.arange(200), rng.standard_normal((200, 8)).astype(dtype)))
    assert 0.2 < (emb.embeddings == 0).mean() < 0.9


@pytest.mark.parametrize("power", [-1.0, -0.7, -0.25, 0.0])
def test_other_powers_are_the_reference_to_rounding(power, threads, dtype, rng):
    table = rng.standard_normal((40, 17)).astype(dtype)
    emb = pe.Embedding(40, 17, weights=table, dtype=dtype)
    arguments = {"learning_rate_power": power, "initial_accumulator_value": 0.5, "beta": 0.5}
    opt = pe.SparseFTRL(emb, 0.25, l1_regularization_strength=0.01, **arguments)
    n, z = np.full_like(table, 0.5), np.zeros_like(table)
    for _ in range(5):
        ids = rng.integers(0, 40, 200)
        grad = rng.standard_normal((200, 17)).astype(dtype)
        opt.step(emb.backward(ids, grad))
        rows, sums = reference.coalesce(ids, grad)
        parts = [array[rows] for array in (table, n, z)]
        reference.ftrl(*parts, sums, 0.25, power, 0.01, beta=0.5)
        for array, part in zip((table, n, z), parts, strict=True):
            array[rows] = part
    tolerance = 1e-4 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(emb.embeddings, table, rtol=tolerance, atol=tolerance)
    assert (emb.embeddings != 0).any()


@pytest.mark.parametrize("rate", [0.0, -0.5, np.inf, np.nan, "0.1"])
def test_a_rate_that_is_not_above_zero_changes_nothing(rate):
    emb = pe.Embedding(3, 2, seed=0)
    opt = pe.SparseFTRL(emb, 0.5)
    with pytest.raises(ValueError, match=r"learning_rate=.* must be a finite number > 0"):
        opt.learning_rate = rate
    assert opt.learning_rate == 0.5
    before = emb.embeddings.copy()
    opt.learning_rate = lambda t: rate
    with pytest.raises(ValueError, match=r"learning_rate=.* must be a finite number > 0"):
        opt.step(emb.backward([1], np.ones((1, 2), np.float32)))
    np.testing.assert_array_equal(emb.embeddings, before)
    (state,) = opt.state_dict()["tables"]
    assert state["t"] == 0
    np.testing.assert_array_equal(state["linear"], 0.0)


def test_configuration():
    arguments = {
        "learning_rate_power": -0.75,
        "initial_accumulator_value": 0.25,
        "l1_regularization_strength": 0.5,
        "l2_regularization_strength": 1.0,
        "l2_shrinkage_regularization_strength": 2.0,
        "beta": 3.0,
    }
    config = pe.SparseFTRL(pe.Embedding(3, 2), 0.5, **arguments).get_config()
    assert config == {"class_name": "SparseFTRL", "learning_rate": 0.5, **arguments}
