"""What state_dict holds of every kind of optimizer, and that load_state_dict goes on from there."""

import copy

import numpy as np
import pytest

import pyembed as pe
from kinds import OPTIMIZERS

NAMES = {
    "sgd": [],
    "momentum": ["momentum"],
    "adagrad": ["accumulator"],
    "row-wise adagrad": ["accumulator"],
    "rmsprop": ["v"],
    "ftrl": ["accumulator", "linear"],
    "lion": ["m"],
    "adam": ["m", "v"],
    "adam by row": ["m", "v", "row_t"],
    "exact adam": ["m", "v", "stamp"],
}


def train(emb, opt, steps):
    for step in steps:
        rng = np.random.default_rng(step)
        ids = rng.integers(0, 9, 12)
        opt.step(emb.backward(ids, rng.standard_normal((12, 5)).astype(emb.dtype)))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_another_optimizer_goes_on_to_the_same_bits(name, dtype):
    emb = pe.Embedding(9, 5, seed=0, dtype=dtype)
    opt = OPTIMIZERS[name](emb)
    train(emb, opt, range(3))
    state = copy.deepcopy(opt.state_dict())
    (table,) = state["tables"]
    assert table.keys() == {"t", *NAMES[name]}
    assert table["t"] == 3
    other = pe.Embedding(9, 5, weights=emb.embeddings, dtype=dtype)
    again = OPTIMIZERS[name](other)
    again.load_state_dict(state)
    train(emb, opt, range(3, 6))
    train(other, again, range(3, 6))
    np.testing.assert_array_equal(other.embeddings, emb.embeddings)


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if NAMES[name]])
def test_a_state_of_another_shape_or_dtype_changes_nothing(name):
    emb = pe.Embedding(9, 5, seed=0)
    opt = OPTIMIZERS[name](emb)
    train(emb, opt, range(2))
    before = copy.deepcopy(opt.state_dict())
    (table,) = before["tables"]
    for key in NAMES[name]:
        shorter = table | {"t": 7, key: table[key][:-1]}
        with pytest.raises(ValueError, match=f"{key} has shape"):
            opt.load_state_dict(before | {"tables": [shorter]})
        other = table | {"t": 7, key: table[key].astype(np.float16)}
        with pytest.raises(TypeError, match=f"{key} must have dtype"):
            opt.load_state_dict(before | {"tables": [other]})
    np.testing.assert_equal(opt.state_dict(), before)
