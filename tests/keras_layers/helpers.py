"""What the tests of the layers for Keras share."""

import functools
import math

import keras
import numpy as np
import pytest

import pyembed as pe
from pyembed.keras import Embedding, EmbeddingBag

BACKEND = keras.backend.backend()
TRAINS = BACKEND != "numpy"
trains = pytest.mark.skipif(not TRAINS, reason="Keras's NumPy backend has no gradients")
ROWS, DIM, LENGTH, BATCH = 40, 5, 7, 16
SGD = functools.partial(pe.SparseSGD, learning_rate=0.5)


class Peer(keras.layers.Embedding):
    """Keras's layer with a dense gradient: of a sparse one, TensorFlow's optimizers square each
    duplicate apart."""

    def call(self, inputs):
        return keras.ops.take(self.embeddings * 1.0, keras.ops.cast(inputs, "int32"), axis=0)


KERAS = functools.partial(keras.layers.Embedding)
DENSE = functools.partial(Peer)
OURS = functools.partial(Embedding)
TRAINED = functools.partial(Embedding, optimizer=SGD)
KINDS = pytest.mark.parametrize("kind", [OURS, TRAINED], ids=["without optimizer", "optimizer"])
BAGS = pytest.mark.parametrize(
    "kind",
    [EmbeddingBag, functools.partial(EmbeddingBag, optimizer=SGD)],
    ids=["without optimizer", "optimizer"],
)


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def ids_of(rng, shape=(BATCH, LENGTH), rows=ROWS):
    """Ids that name every row, so that optimizers which move all rows do as those that do not."""
    ids = rng.integers(0, rows, shape)
    every = np.arange(min(rows, ids.size))
    ids.ravel()[: len(every)] = every
    return ids


def data(rng, batches=3):
    """Batches of ids, each of which names every row, and numbers to be predicted."""
    ids = np.concatenate([ids_of(rng) for _ in range(batches)])
    return ids, rng.standard_normal((len(ids), 1)).astype("float32")


def table_of(rng, rows=ROWS, dim=DIM):
    return rng.standard_normal((rows, dim)).astype("float32")


def regression(embedding, dtype="int64"):
    """A model with an embedding: a functional one, of fixed other weights."""
    ids = keras.Input((LENGTH,), dtype=dtype)
    pooled = keras.layers.GlobalAveragePooling1D()(embedding(ids))
    start = keras.initializers.RandomNormal(seed=1)
    outputs = keras.layers.Dense(1, kernel_initializer=start)(pooled)
    return keras.Model(ids, outputs)


def fit(model, ids, targets, epochs=1, **options):
    """Train without shuffling, in batches that name every row; what the losses were."""
    options = {"verbose": 0, "shuffle": False, "batch_size": BATCH} | options
    return model.fit(ids, targets, epochs=epochs, **options).history["loss"]


def assert_close(ours, theirs, rtol=2e-5, atol=2e-6):
    np.testing.assert_allclose(array(ours), array(theirs), rtol=rtol, atol=atol)


def steps(layer):
    return layer.optimizer.iterations


def gradient_of(layer, ids, upstream):
    """The gradient by the table of sum(layer(ids) * upstream), as one step of SGD shows it."""
    layer.build()
    before = layer.get_weights()[0]
    layer.optimizer.learning_rate = 1.0
    train(layer, ids, upstream)
    return before - layer.get_weights()[0]


def train(layer, ids, upstream):
    """One step of a loop of the backend's own, by an optimizer of Keras's."""
    optimizer = keras.optimizers.SGD(0.25)
    optimizer.build(layer.trainable_variables)
    if BACKEND == "torch":
        ids, upstream = map(keras.ops.convert_to_tensor, (ids, upstream))
        (layer(ids) * upstream).sum().backward()
        grads = [variable.value.grad for variable in layer.trainable_variables]
        optimizer.apply(grads, layer.trainable_variables)
        for variable in layer.trainable_variables:
            variable.value.grad = None
    elif BACKEND == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(tf.constant(ids)) * upstream)
        variables = layer.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
    else:
        import jax

        def loss(trainable):
            rows, _ = layer.stateless_call(trainable, [], keras.ops.convert_to_tensor(ids))
            return (rows * upstream).sum()

        @jax.jit
        def stepped(trainable, own):
            return optimizer.stateless_apply(own, jax.grad(loss)(trainable), trainable)

        values = [variable.value for variable in layer.trainable_variables]
        stepped(values, [variable.value for variable in optimizer.variables])


def product(shape):
    return math.prod(shape)
