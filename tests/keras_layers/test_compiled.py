import functools

import keras
import numpy as np
import pytest

import pyembed as pe
from keras_layers.helpers import (
    BACKEND,
    DENSE,
    DIM,
    ROWS,
    TRAINED,
    assert_close,
    data,
    fit,
    regression,
    steps,
    table_of,
    trains,
)
from pyembed.keras import Embedding

pytestmark = trains


def both(rng, optimizer, **compile_options):
    """Train Keras's layer and ours by the same arguments; what tables and steps there were."""
    table, (ids, targets) = table_of(rng), data(rng)
    choice = functools.partial(pe.SparseSGD, learning_rate=0.5)
    theirs = DENSE(ROWS, DIM, weights=[table])
    ours = Embedding(ROWS, DIM, weights=[table], optimizer=choice)
    for layer in (ours, theirs):
        model = regression(layer)
        model.compile(optimizer(), "mse", **compile_options)
        fit(model, ids, targets, epochs=2)
    return ours, theirs


@pytest.mark.parametrize(
    "arguments",
    [{}, {"clipnorm": 0.05}, {"clipvalue": 0.002}, {"loss_scale_factor": 128.0}],
    ids=str,
)
def test_what_is_done_to_gradients_is_done_to_the_table_s(rng, arguments):
    ours, theirs = both(rng, lambda: keras.optimizers.SGD(0.5, **arguments))
    assert_close(ours.get_weights()[0], theirs.get_weights()[0], rtol=1e-4, atol=1e-5)
    if arguments:
        plain, _ = both(np.random.default_rng(20240229), lambda: keras.optimizers.SGD(0.5))
        moved = np.abs(plain.get_weights()[0] - ours.get_weights()[0]).max()
        assert (moved > 1e-3) == ("loss_scale_factor" not in arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"global_clipnorm": 1.0}, "global_clipnorm=1.0"),
        ({"gradient_accumulation_steps": 2}, "gradient_accumulation_steps=2"),
        ({"use_ema": True}, "use_ema=True"),
    ],
)
def test_what_cannot_be_done_to_a_table_s_gradient_is_refused(rng, arguments, message):
    layer = TRAINED(ROWS, DIM)
    model = regression(layer)
    model.compile(keras.optimizers.SGD(0.5, **arguments), "mse")
    before = [weight.copy() for weight in model.get_weights()]
    with pytest.raises(ValueError, match=f"cannot be trained with {message}"):
        fit(model, *data(rng))
    for weight, kept in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, kept)
    model.compile("sgd", "mse")
    fit(model, *data(rng))
    assert steps(layer) == 3


def test_several_optimizers_train_the_model(rng):
    if not hasattr(keras.optimizers, "MultiOptimizer"):
        pytest.skip("a newer Keras's")

    def of(**arguments):
        parts = {".*kernel": keras.optimizers.SGD(0.5, **arguments)}
        default = keras.optimizers.SGD(0.5)
        return keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(default, parts))

    if BACKEND == "jax":
        model = regression(TRAINED(ROWS, DIM))
        model.compile(of(), "mse")
        with pytest.raises(ValueError, match="cannot be trained with several optimizers"):
            fit(model, *data(rng))
        return
    ours, theirs = both(rng, of)
    assert_close(ours.get_weights()[0], theirs.get_weights()[0], rtol=1e-4, atol=1e-5)
    for arguments in ({"global_clipnorm": 1.0}, {"clipnorm": 1.0}):
        model = regression(TRAINED(ROWS, DIM))
        model.compile(of(**arguments), "mse")
        with pytest.raises(ValueError, match=r"clipnorm=1\.0"):
            fit(model, *data(rng))


def test_an_optimizer_that_accumulates_in_a_loop_of_the_user_s_own_is_refused(rng):
    layer = Embedding(ROWS, 2, optimizer=functools.partial(pe.SparseSGD))
    layer.build()
    before = layer.get_weights()[0]
    with pytest.raises(RuntimeError, match="accumulates gradients cannot make the steps"):
        layer._trained.step(np.full(2, np.inf, "float32"))
    np.testing.assert_array_equal(layer.get_weights()[0], before)


def test_dynamic_loss_scaling_is_refused(rng):
    model = regression(TRAINED(ROWS, DIM, dtype="mixed_float16"))
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()), "mse")
    with pytest.raises(ValueError, match="auto_scale_loss=False"):
        fit(model, *data(rng))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_trains(rng, policy):
    keras.config.set_dtype_policy(policy)
    try:
        layer = TRAINED(ROWS, DIM)
        model = regression(layer)
        model.compile("sgd", "mse", auto_scale_loss=False)
        losses = fit(model, *data(rng), epochs=3)
    finally:
        keras.config.set_dtype_policy("float32")
    assert losses[2] < losses[0]
    assert layer.get_weights()[0].dtype == np.float32
    assert steps(layer) == 9


def test_a_layer_within_a_remat_scope_is_refused():
    with keras.RematScope("full"), pytest.raises(ValueError, match="RematScope"):
        TRAINED(ROWS, DIM)
    with keras.RematScope("list_of_layers", layer_names=["dense"]):
        TRAINED(ROWS, DIM)
    with (
        keras.RematScope("list_of_layers", layer_names=["words"]),
        pytest.raises(ValueError, match="RematScope"),
    ):
        TRAINED(ROWS, DIM, name="words")


class Rematerialized(keras.Model):
    def __init__(self, embedding, around):
        super().__init__()
        self.embedding, self.around = embedding, around
        start = keras.initializers.RandomNormal(seed=1)
        self.dense = keras.layers.Dense(1, kernel_initializer=start)

    def call(self, ids):
        return self.dense(keras.ops.mean(self.around(self.embedding.call)(ids), axis=1))


def test_a_lookup_that_is_rematerialized_by_hand_counts_once_or_is_refused(rng):
    layer = TRAINED(ROWS, DIM)
    layer.build()
    ids, targets = data(rng)
    before = layer.get_weights()[0]
    tables = []
    for around in (lambda call: call, keras.remat):
        layer.set_weights([before])
        model = Rematerialized(layer, around)
        model.compile(keras.optimizers.SGD(0.5), "mse")
        if around is keras.remat and BACKEND == "jax":
            with pytest.raises(Exception, match=r"[Ee]ffects not supported"):
                fit(model, ids, targets)
            np.testing.assert_array_equal(layer.get_weights()[0], before)
            return
        fit(model, ids, targets)
        tables.append(layer.get_weights()[0])
    assert_close(*tables)


def test_several_steps_an_execution(rng):
    if BACKEND == "torch":
        model = regression(TRAINED(ROWS, DIM))
        model.compile("sgd", "mse", steps_per_execution=2)
        with pytest.raises(ValueError, match="steps_per_execution"):  # Keras's own
            fit(model, *data(rng))
        return
    ours, theirs = both(rng, lambda: keras.optimizers.SGD(0.5), steps_per_execution=2)
    assert_close(ours.get_weights()[0], theirs.get_weights()[0], rtol=1e-4, atol=1e-5)
    assert steps(ours) == 6


@pytest.mark.parametrize("jit", [False, True, "auto"])
def test_compilation_of_the_step(rng, jit):
    layer = TRAINED(ROWS, DIM)
    model = regression(layer)
    if jit is True and BACKEND != "jax":
        with pytest.warns(UserWarning, match="doesn't support `jit_compile=True`"):
            model.compile("sgd", "mse", jit_compile=True)
    else:
        model.compile("sgd", "mse", jit_compile=jit)
    assert model.jit_compile is (BACKEND == "jax" and jit is not False)
    fit(model, *data(rng))
    assert steps(layer) == 3


def test_a_step_that_runs_eagerly(rng):
    ours, theirs = both(rng, lambda: keras.optimizers.SGD(0.5), run_eagerly=True)
    assert_close(ours.get_weights()[0], theirs.get_weights()[0], rtol=1e-4, atol=1e-5)
    assert steps(ours) == 6


def test_a_distribution_is_refused():
    if BACKEND == "tensorflow":
        import tensorflow as tf

        with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
            TRAINED(ROWS, DIM).build()  # one replica is this process
        layer = TRAINED(ROWS, DIM)
        two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        with two.scope(), pytest.raises(ValueError, match="2 replicas"):
            layer.build()
    if BACKEND == "jax":
        with (
            keras.distribution.DataParallel().scope(),
            pytest.raises(ValueError, match="DataParallel"),
        ):
            TRAINED(ROWS, DIM).build()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lora_rank": 2}, "lora_rank=2 cannot be used with optimizer="),
        ({"dtype": "float16"}, "has variables of float16"),
        ({"dtype": "bfloat16"}, "has variables of bfloat16"),
        ({"dtype": "int8_from_float32"}, "cannot be used with optimizer="),
    ],
)
def test_what_only_a_variable_of_keras_s_can_do(arguments, message):
    with pytest.raises(ValueError, match=message):
        TRAINED(ROWS, DIM, **arguments)
    layer = TRAINED(ROWS, DIM)
    layer.build()
    with pytest.raises(ValueError, match=r"enable_lora\(\) cannot be used"):
        layer.enable_lora(2)
    with pytest.raises(ValueError, match=r"quantize\(\) cannot be used"):
        layer.quantize("int8")
    with pytest.raises(RuntimeError, match="no optimizer="):
        Embedding(ROWS, DIM).step()


def test_the_table_is_no_tensor_of_a_graph():
    layer = TRAINED(ROWS, DIM)
    layer.build()
    total = keras.ops.sum(keras.ops.square(layer.embeddings))
    assert not np.isfinite(keras.ops.convert_to_numpy(total))
