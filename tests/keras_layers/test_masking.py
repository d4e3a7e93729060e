import functools

import keras
import numpy as np
import pytest

import pyembed as pe
from keras_layers.helpers import (
    KERAS,
    KINDS,
    OURS,
    TRAINED,
    array,
    assert_close,
    fit,
    steps,
    table_of,
    trains,
)
from pyembed.keras import Embedding

LENGTH = 6


def padded(rng, rows, batch=8):
    """Texts of several lengths, one of them empty but for padding at its start."""
    ids = rng.integers(1, rows, (batch, LENGTH))
    for text, length in zip(ids, rng.integers(1, LENGTH + 1, batch), strict=True):
        text[length:] = 0
    return ids


FOLLOWERS = {
    "LSTM": lambda: keras.layers.LSTM(4),
    "GRU": lambda: keras.layers.GRU(4),
    "Bidirectional": lambda: keras.layers.Bidirectional(keras.layers.SimpleRNN(4)),
    "GlobalAveragePooling1D": lambda: keras.layers.GlobalAveragePooling1D(),
}


def model_of(embedding, follower):
    keras.utils.set_random_seed(7)
    ids = keras.Input((None,), dtype="int32")
    x = embedding(ids)
    if follower == "MultiHeadAttention":
        x = keras.layers.MultiHeadAttention(2, 4)(x, x)
        x = keras.layers.GlobalAveragePooling1D()(x)
    else:
        x = FOLLOWERS[follower]()(x)
    return keras.Model(ids, keras.layers.Dense(1)(x))


@pytest.mark.parametrize("follower", [*FOLLOWERS, "MultiHeadAttention"])
def test_layers_that_follow_get_the_mask(rng, follower):
    table = table_of(rng, 20, 8)
    ids = padded(rng, 20)
    theirs = model_of(KERAS(20, 8, weights=[table], mask_zero=True), follower)
    expected = array(theirs(ids))
    for kind, masks in ((OURS, True), (TRAINED, True), (TRAINED, False)):
        ours = model_of(kind(20, 8, weights=[table], mask_zero=masks), follower)
        ours.set_weights(theirs.get_weights())
        assert np.allclose(array(ours(ids)), expected, rtol=2e-5, atol=2e-6) == masks


@trains
@pytest.mark.parametrize("follower", ["GRU", "MultiHeadAttention"])
def test_training_through_a_mask_is_keras_s(rng, follower):
    table = table_of(rng, 20, 8)
    ids = padded(rng, 20)
    targets = rng.standard_normal((len(ids), 1)).astype("float32")
    choice = functools.partial(pe.SparseSGD, learning_rate=0.1)
    embeddings = (
        Embedding(20, 8, weights=[table], mask_zero=True, optimizer=choice),
        KERAS(20, 8, weights=[table], mask_zero=True),
    )
    models = [model_of(embedding, follower) for embedding in embeddings]
    models[0].set_weights(models[1].get_weights())
    losses = []
    for model in models:
        model.compile(keras.optimizers.SGD(0.1), "mse")
        losses.append(fit(model, ids, targets, epochs=3))
    assert_close(*losses, rtol=1e-4)
    assert steps(embeddings[0]) == 3
    for ours, theirs in zip(*(model.get_weights() for model in models), strict=True):
        assert_close(ours, theirs, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(embeddings[0].get_weights()[0][0], table[0])


@trains  # arrays of NumPy's have no attributes
@KINDS
def test_a_layer_that_cannot_mask_does_what_it_does_in_keras(kind, rng):
    ids = padded(rng, 20)
    found = []
    for made in (kind, KERAS):
        rows = made(20, 8, mask_zero=True)(ids)
        with pytest.warns(UserWarning, match="does not support masking"):
            keras.layers.Conv1D(2, 3)(rows)
        found.append(array(rows._keras_mask))
    np.testing.assert_array_equal(*found)
