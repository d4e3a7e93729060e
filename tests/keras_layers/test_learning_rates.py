import functools
import json

import keras
import numpy as np
import pytest

import pyembed as pe
from keras_layers.helpers import (
    BACKEND,
    DIM,
    ROWS,
    SGD,
    TRAINED,
    assert_close,
    data,
    fit,
    regression,
    table_of,
    trains,
)
from pyembed.keras import Embedding, FollowLearningRate

SCHEDULE = keras.optimizers.schedules.ExponentialDecay(0.5, 2, 0.25, staircase=True)


class Rates:
    """A learning rate that remembers the steps it was asked for."""

    def __init__(self):
        self.steps = []

    def __call__(self, t):
        self.steps.append(t)
        return 0.5


def trained(rng, layer, epochs=1, callbacks=(), rate=0.3, ids=None):
    model = regression(layer)
    model.compile(keras.optimizers.SGD(rate), "mse")
    given = data(rng) if ids is None else ids
    fit(model, *given, epochs=epochs, callbacks=list(callbacks))
    return model


def test_it_is_settable():
    layer = TRAINED(ROWS, DIM)
    assert layer.optimizer.learning_rate == 0.5
    layer.optimizer.learning_rate = 0.25
    assert layer.optimizer.learning_rate == 0.25
    assert layer.get_config()["optimizer"]["learning_rate"] == 0.25
    layer.optimizer.learning_rate = keras.ops.convert_to_tensor(0.125)
    assert layer.optimizer.learning_rate == 0.125
    with pytest.raises(ValueError, match="learning_rate"):
        layer.optimizer.learning_rate = -1.0
    assert layer.optimizer.momentum == 0.0
    assert TRAINED(ROWS, DIM).table.input_dim == ROWS
    assert Embedding(ROWS, DIM).optimizer is Embedding(ROWS, DIM).table is None


@trains
def test_a_new_rate_counts_at_once(rng):
    layer = TRAINED(ROWS, DIM)
    ids, targets = data(rng)
    model = trained(rng, layer, ids=(ids, targets))
    layer.optimizer.learning_rate = 0.0
    before = layer.get_weights()[0]
    fit(model, ids, targets)
    np.testing.assert_array_equal(layer.get_weights()[0], before)


@trains
@pytest.mark.parametrize(
    "schedule",
    [
        SCHEDULE,
        keras.optimizers.schedules.CosineDecay(0.5, 6, warmup_target=0.6, warmup_steps=2),
        keras.optimizers.schedules.PiecewiseConstantDecay([1, 3], [0.5, 0.1, 0.01]),
    ],
    ids=lambda schedule: type(schedule).__name__,
)
def test_a_schedule_of_keras_s_is_followed_as_keras_follows_it(rng, schedule):
    table, (ids, targets) = table_of(rng), data(rng)
    found = []
    for optimizer in (functools.partial(pe.SparseSGD, learning_rate=schedule), None):
        layer = Embedding(ROWS, DIM, weights=[table], optimizer=optimizer)
        model = regression(layer)
        model.compile(keras.optimizers.SGD(schedule), "mse")
        fit(model, ids, targets, epochs=2)
        found.append(layer.get_weights()[0])
    assert_close(*found, rtol=1e-4, atol=1e-5)


@trains
def test_a_callable_gets_the_step_count(rng):
    rates = Rates()
    trained(
        rng, Embedding(ROWS, DIM, optimizer=functools.partial(pe.SparseSGD, learning_rate=rates))
    )
    assert rates.steps == [1, 2, 3]


def test_a_schedule_may_be_set_later(rng):
    layer = TRAINED(ROWS, DIM)
    layer.optimizer.learning_rate = SCHEDULE
    assert layer.optimizer.learning_rate is SCHEDULE
    config = json.loads(json.dumps(layer.get_config()["optimizer"]))
    assert config["learning_rate"]["class_name"] == "ExponentialDecay"
    again = Embedding(ROWS, DIM, optimizer=config)
    assert again.optimizer.learning_rate.get_config() == SCHEDULE.get_config()


@trains
def test_a_schedule_set_after_a_step_was_compiled_is_heard_or_refused(rng):
    layer = TRAINED(ROWS, DIM)
    ids, targets = data(rng)
    model = trained(rng, layer, ids=(ids, targets))
    layer.optimizer.learning_rate = SCHEDULE
    if BACKEND == "jax":
        with pytest.raises(Exception, match=r"call model.compile again"):
            fit(model, ids, targets)
    else:
        fit(model, ids, targets)
        assert layer.optimizer.iterations == 6


@trains
def test_reduce_lr_on_plateau_reaches_the_table(rng):
    layer = TRAINED(ROWS, DIM)
    plateau = keras.callbacks.ReduceLROnPlateau("loss", factor=0.1, patience=1, min_delta=1e9)
    rates = []
    remember = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: rates.append(layer.optimizer.learning_rate)
    )
    trained(rng, layer, 3, [plateau, FollowLearningRate(), remember])
    assert rates == pytest.approx([0.5, 0.05, 0.005])


@trains
@pytest.mark.parametrize("first", [False, True])
def test_a_learning_rate_scheduler_reaches_the_table_in_any_order(rng, first):
    layer = TRAINED(ROWS, DIM)
    by_epoch = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.3 / (1 + epoch))
    callbacks = [by_epoch, FollowLearningRate()]
    rates = []
    remember = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: rates.append(layer.optimizer.learning_rate)
    )
    trained(rng, layer, 3, [*(callbacks[::-1] if first else callbacks), remember])
    assert rates[::3] == pytest.approx([0.5, 0.25, 0.5 / 3])
    assert rates[0] == rates[2]


@trains
def test_rates_that_cannot_be_followed(rng):
    layer = Embedding(ROWS, DIM, optimizer=functools.partial(pe.SparseSGD, learning_rate=SCHEDULE))
    trained(rng, layer, callbacks=[FollowLearningRate()])
    assert layer.optimizer.learning_rate is SCHEDULE
    with pytest.raises(ValueError, match="begins with 0"):
        trained(rng, TRAINED(ROWS, DIM), callbacks=[FollowLearningRate()], rate=0.0)


@pytest.mark.parametrize(
    ("optimizer", "error", "message"),
    [
        (keras.optimizers.SGD(), TypeError, "must be a functools.partial of one of pyembed's"),
        ("adam", TypeError, "must be a functools.partial"),
        (functools.partial(keras.optimizers.SGD), TypeError, "must be a functools.partial"),
        (functools.partial(pe.SparseAdam, 0.1), TypeError, "arguments by name"),
        (functools.partial(pe.SparseAdam, rate=0.1), TypeError, "has 'rate', which SparseAdam"),
        (functools.partial(pe.SparseAdam, beta_1=2.0), ValueError, "beta_1=2.0"),
        ({"class_name": "Adam"}, ValueError, "'class_name' that is none of SparseAdagrad"),
        ({"class_name": "SparseAdam", "beta_1": -1.0}, ValueError, "beta_1=-1.0"),
        (functools.partial(pe.SparseSGD, tables=[]), ValueError, "must not have tables"),
    ],
)
def test_optimizers_that_are_none(optimizer, error, message):
    with pytest.raises(error, match=message):
        Embedding(ROWS, DIM, optimizer=optimizer)


def test_an_optimizer_of_another_table_is_refused():
    other = pe.SparseAdam(pe.Embedding(3, 2))
    with pytest.raises(
        ValueError, match=r"belongs to another table.*functools.partial\(pyembed.Sparse"
    ):
        Embedding(ROWS, DIM, optimizer=other)


def test_one_choice_serves_several_layers():
    first, second = Embedding(ROWS, DIM, optimizer=SGD), Embedding(ROWS, DIM, optimizer=SGD)
    first.optimizer.learning_rate = 0.1
    assert second.optimizer.learning_rate == 0.5
