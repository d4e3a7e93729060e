import functools

import keras
import numpy as np
import pytest

import pyembed as pe
from keras_layers.helpers import (
    BACKEND,
    BATCH,
    DENSE,
    DIM,
    KERAS,
    LENGTH,
    OURS,
    ROWS,
    TRAINED,
    assert_close,
    data,
    fit,
    gradient_of,
    ids_of,
    regression,
    steps,
    table_of,
    trains,
)
from pyembed.keras import Embedding

pytestmark = trains

# Each pair does the same where every row has a gradient in every step.
PAIRS = {
    "SGD": (keras.optimizers.SGD(0.3), functools.partial(pe.SparseSGD, learning_rate=0.3)),
    "RMSprop": (
        keras.optimizers.RMSprop(0.01),
        functools.partial(pe.SparseRMSprop, learning_rate=0.01),
    ),
    "Adam": (keras.optimizers.Adam(0.01), functools.partial(pe.SparseAdam, learning_rate=0.01)),
    "exact Adam": (
        keras.optimizers.Adam(0.01),
        functools.partial(pe.SparseAdam, learning_rate=0.01, update="exact"),
    ),
}


def compiled(model, optimizer):
    config = optimizer.get_config()
    model.compile(type(optimizer).from_config(config), "mse")
    return model


def both(build, optimizer, choice, table):
    """A model with Keras's layer, and one with ours that has an optimizer."""
    theirs = compiled(build(DENSE(ROWS, DIM, weights=[table])), optimizer)
    layer = Embedding(ROWS, DIM, weights=[table], optimizer=choice)
    ours = compiled(build(layer), optimizer)
    return ours, theirs, layer


def twice(embedding):
    """A model that calls its layer twice, once on the reversed ids."""
    ids = keras.Input((LENGTH,), dtype="int64")
    other = keras.Input((LENGTH,), dtype="int64")
    start = keras.initializers.RandomNormal(seed=1)
    x = keras.layers.Flatten()(embedding(ids) + 2.0 * embedding(other))
    return keras.Model([ids, other], keras.layers.Dense(1, kernel_initializer=start)(x))


class Subclassed(keras.Model):
    def __init__(self, embedding):
        super().__init__()
        self.embedding = embedding
        start = keras.initializers.RandomNormal(seed=1)
        self.dense = keras.layers.Dense(1, kernel_initializer=start)

    def call(self, ids):
        return self.dense(keras.ops.mean(self.embedding(ids), axis=1))


def sequential(embedding):
    start = keras.initializers.RandomNormal(seed=1)
    return keras.Sequential(
        [embedding, keras.layers.Flatten(), keras.layers.Dense(1, kernel_initializer=start)]
    )


def test_without_an_optimizer_training_is_keras_s(rng):
    table, (ids, targets) = table_of(rng), data(rng)
    results = []
    for kind in (KERAS, OURS):
        model = compiled(regression(kind(ROWS, DIM, weights=[table])), keras.optimizers.Adam(0.01))
        losses = fit(model, ids, targets, epochs=2)
        results.append([losses, *model.get_weights()])
    for theirs, ours in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("pair", "build"),
    [*((pair, regression) for pair in PAIRS), ("RMSprop", Subclassed), ("RMSprop", sequential)],
)
def test_where_every_row_has_a_gradient_training_is_keras_s(rng, pair, build):
    table, (ids, targets) = table_of(rng), data(rng)
    ours, theirs, layer = both(build, *PAIRS[pair], table)
    assert_close(fit(ours, ids, targets, epochs=2), fit(theirs, ids, targets, epochs=2))
    assert steps(layer) == 6
    for our, their in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert_close(our, their, rtol=1e-4, atol=1e-5)


def test_exact_adam_is_keras_s_adam_where_rows_rest(rng):
    table = table_of(rng)
    ids = rng.integers(0, ROWS, (6 * 2, LENGTH))
    targets = rng.standard_normal((len(ids), 1)).astype("float32")
    ours, theirs, _ = both(regression, *PAIRS["exact Adam"], table)
    for model in (ours, theirs):
        fit(model, ids, targets, epochs=3, batch_size=2)
    assert_close(ours.get_weights()[0], theirs.get_weights()[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pair", ["RMSprop", "exact Adam"])
def test_a_layer_that_is_called_twice_makes_one_step_of_a_batch(rng, pair):
    table, (ids, targets) = table_of(rng), data(rng)
    inputs = [ids, ids[:, ::-1].copy()]
    ours, theirs, layer = both(twice, *PAIRS[pair], table)
    assert_close(fit(ours, inputs, targets, epochs=2), fit(theirs, inputs, targets, epochs=2))
    assert steps(layer) == 6
    assert_close(ours.get_weights()[0], theirs.get_weights()[0], rtol=1e-4, atol=1e-5)


def test_two_models_share_a_layer(rng):
    table, (ids, targets) = table_of(rng), data(rng)
    optimizer, choice = PAIRS["SGD"]
    ours = Embedding(ROWS, DIM, weights=[table], optimizer=choice)
    theirs = KERAS(ROWS, DIM, weights=[table])
    for layer in (ours, theirs):
        models = [compiled(build(layer), optimizer) for build in (regression, sequential)]
        for model in (*models, *models):
            fit(model, ids, targets)
    assert steps(ours) == 12
    assert_close(ours.get_weights()[0], theirs.get_weights()[0], rtol=1e-4, atol=1e-5)


def test_passes_that_do_not_train_leave_the_table(rng):
    layer = TRAINED(ROWS, DIM)
    model = regression(layer)
    model.compile("sgd", "mse")
    ids, targets = data(rng)
    before = layer.get_weights()[0]
    model.evaluate(ids, targets, verbose=0)
    model.predict(ids, verbose=0)
    model.test_on_batch(ids[:4], targets[:4])
    model.predict_on_batch(ids[:4])
    model(ids[:4], training=True)
    np.testing.assert_array_equal(layer.get_weights()[0], before)
    assert steps(layer) == 0
    model.train_on_batch(ids[:4], targets[:4])
    assert steps(layer) == 1


def test_validation_within_fit_does_not_train(rng):
    table, (ids, targets) = table_of(rng), data(rng)
    results = []
    for validation in (None, (ids[:BATCH], targets[:BATCH])):
        layer = TRAINED(ROWS, DIM, weights=[table])
        model = regression(layer)
        model.compile("sgd", "mse")
        fit(model, ids, targets, epochs=2, validation_data=validation)
        assert steps(layer) == 6
        results.append(layer.get_weights()[0])
    np.testing.assert_array_equal(*results)


def test_validation_sees_the_steps_before_it(rng):
    layer = TRAINED(ROWS, DIM)
    model = regression(layer)
    model.compile("sgd", "mse")
    ids, targets = data(rng)
    options = {"verbose": 0, "shuffle": False, "batch_size": BATCH}
    history = model.fit(ids, targets, validation_data=(ids, targets), **options).history
    assert history["val_loss"][-1] == pytest.approx(
        model.evaluate(ids, targets, verbose=0), rel=1e-6
    )


def test_a_model_of_the_layer_alone_trains(rng):
    layer = TRAINED(ROWS, DIM)
    model = keras.Sequential([layer])
    model.compile("adam", "mse")
    ids = ids_of(rng)
    losses = fit(model, ids, rng.standard_normal((BATCH, LENGTH, DIM)), epochs=3)
    assert losses[2] < losses[1] < losses[0]


def test_a_layer_that_is_not_trainable_rests(rng):
    layer = TRAINED(ROWS, DIM, trainable=False)
    model = regression(layer)
    model.compile("sgd", "mse")
    ids, targets = data(rng)
    before = layer.get_weights()[0]
    fit(model, ids, targets)
    np.testing.assert_array_equal(layer.get_weights()[0], before)
    assert layer.trainable_weights == []
    layer.trainable = True
    model.compile("sgd", "mse")
    fit(model, ids, targets)
    assert steps(layer) == 3


def test_the_layer_may_lie_within_layers(rng):
    class Twin(keras.layers.Layer):
        def __init__(self, embedding, **kwargs):
            super().__init__(**kwargs)
            self.embedding = embedding

        def build(self, shape):
            self.embedding.build(shape)

        def call(self, ids):
            return self.embedding(ids) + self.embedding(keras.ops.flip(ids, 1))

    layer = TRAINED(ROWS, DIM)
    model = keras.Sequential(
        [
            keras.Input((LENGTH,), dtype="int32"),
            Twin(layer),
            keras.layers.Flatten(),
            keras.layers.Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    losses = fit(model, *data(rng), epochs=3)
    assert losses[2] < losses[0]
    assert steps(layer) == 9


@pytest.mark.parametrize("shape", [(), (3,), (4, 7), (2, 3, 4)])
def test_gradients_are_those_of_the_one_hot_product(rng, shape):
    layer = TRAINED(ROWS, DIM)
    ids = rng.integers(0, ROWS, shape)
    upstream = rng.standard_normal((*shape, DIM)).astype("float32")
    onehot = np.eye(ROWS, dtype="float32")[ids.reshape(-1)]
    assert_close(gradient_of(layer, ids, upstream), onehot.T @ upstream.reshape(-1, DIM), atol=1e-5)


@pytest.mark.skipif(BACKEND != "torch", reason="PyTorch's alone")
def test_a_loop_with_another_library_s_optimizer_calls_step(rng):
    import torch

    table, (ids, targets) = table_of(rng), data(rng, batches=1)
    found = []
    for embedding in (TRAINED(ROWS, DIM, weights=[table]), KERAS(ROWS, DIM, weights=[table])):
        model = regression(embedding)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        for _ in range(3):
            optimizer.zero_grad()
            (model(ids) - torch.from_numpy(targets)).square().mean().backward()
            optimizer.step()
            if isinstance(embedding, Embedding):
                embedding.step()
        found.append(model.get_weights())
    for ours, theirs in zip(*found, strict=True):
        assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_gradient_of_the_table_s_gradient_is_refused(rng):
    layer = TRAINED(ROWS, DIM)
    layer.build()
    ids = keras.ops.convert_to_tensor(ids_of(rng))
    anchor = layer.trainable_variables[0]
    if BACKEND == "torch":
        import torch

        loss = (layer(ids) ** 2).sum()
        (first,) = torch.autograd.grad(loss, [anchor.value], create_graph=True)
        with pytest.raises(RuntimeError, match="once_differentiable"):
            first.sum().backward()
    elif BACKEND == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                loss = tf.reduce_sum(layer(ids) ** 2)
            first = tf.reduce_sum(inner.gradient(loss, anchor))
        with pytest.raises(NotImplementedError, match="has no gradient again"):
            outer.gradient(first, anchor)
    else:
        import jax

        def loss(anchor):
            return (layer.stateless_call([anchor], [], ids)[0] ** 2).sum()

        with pytest.raises(Exception, match="JVP"):
            jax.grad(lambda anchor: jax.grad(loss)(anchor).sum())(anchor.value)


def test_a_loop_of_the_user_s_own_may_scale_gradients(rng):
    layer = TRAINED(ROWS, DIM)
    ids, upstream = ids_of(rng), rng.standard_normal((BATCH, LENGTH, DIM)).astype("float32")
    table = layer.table.embeddings
    before = table.copy()
    queue = layer._trained
    signal = queue.take(ids, upstream) + queue.take(ids, upstream)
    layer._embeddings.trained.step(signal * 0.25)
    expected = before - 0.5 * 0.25 * 2 * layer.table.backward(ids, upstream).to_dense()
    assert_close(table, expected)
    assert steps(layer) == 1


def test_what_a_failed_pass_left_is_not_part_of_the_next_step(rng):
    layer = TRAINED(ROWS, DIM)
    ids, upstream = ids_of(rng), rng.standard_normal((BATCH, LENGTH, DIM)).astype("float32")
    trained = layer._trained
    trained.take(ids, 100 * upstream)  # its signal was lost
    expected = layer.get_weights()[0] - 0.5 * layer.table.backward(ids, upstream).to_dense()
    trained.step(trained.take(ids, upstream))
    assert_close(layer.get_weights()[0], expected)
    assert trained.waiting == 0


def test_a_step_whose_gradients_are_gone_is_refused(rng):
    layer = TRAINED(ROWS, DIM)
    ids, upstream = ids_of(rng), np.ones((BATCH, LENGTH, DIM), "float32")
    trained = layer._trained
    signal = trained.take(ids, upstream)
    trained.step(signal)
    before = layer.get_weights()[0]
    with pytest.raises(RuntimeError, match="do not wait here"):
        trained.step(signal)
    np.testing.assert_array_equal(layer.get_weights()[0], before)


def test_gradients_that_nobody_applies_are_refused_before_they_fill_the_memory(rng):
    layer = TRAINED(ROWS, DIM)
    trained = layer._trained
    given = np.zeros(1, "int64"), np.ones((1, DIM), "float32")
    for _ in range(1000):
        trained.take(*given)
    with pytest.raises(RuntimeError, match=r"1000 gradients of the table wait .* layer.step\(\)"):
        trained.take(*given)
    layer.step()
    assert steps(layer) == 1
    assert trained.waiting == 0
