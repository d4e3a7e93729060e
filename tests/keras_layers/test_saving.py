import functools
import json
import pickle

import keras
import numpy as np
import pytest

import pyembed as pe
from keras_layers.helpers import (
    DIM,
    KERAS,
    ROWS,
    TRAINED,
    data,
    fit,
    regression,
    steps,
    table_of,
    trains,
)
from pyembed.keras import Embedding, EmbeddingBag

OPTIMIZERS = {
    "Adam": functools.partial(pe.SparseAdam, learning_rate=0.01),
    "exact Adam": functools.partial(pe.SparseAdam, learning_rate=0.01, update="exact"),
    "Adam by row": functools.partial(pe.SparseAdam, learning_rate=0.01, step_bias="row"),
    "Adagrad": functools.partial(pe.SparseAdagrad, learning_rate=0.1),
    "momentum": functools.partial(pe.SparseSGD, learning_rate=0.1, momentum=0.9),
}


def compiled(choice):
    layer = Embedding(ROWS, DIM, optimizer=choice, name="words")
    model = regression(layer)
    model.compile(keras.optimizers.Adam(0.01), "mse")
    return model, layer


@trains
@pytest.mark.parametrize(
    ("choice", "name"),
    [
        ("Adam", "model.keras"),
        ("Adagrad", "model.keras"),
        ("momentum", "model.weights.h5"),
        ("exact Adam", "model.weights.h5"),
        ("Adam by row", "model.weights.h5"),
    ],
)
def test_training_goes_on_from_a_file_bit_for_bit(tmp_path, rng, choice, name):
    ids, targets = data(rng)
    ids[: len(ids) // 2, 0] = 3  # some rows rest
    model, layer = compiled(OPTIMIZERS[choice])
    fit(model, ids, targets)
    layer.optimizer.learning_rate = 0.02
    if name.endswith(".keras"):
        model.save(tmp_path / name)
        again = keras.saving.load_model(tmp_path / name)
    else:
        model.save_weights(tmp_path / name)
        again, _ = compiled(OPTIMIZERS[choice])
        again.optimizer.build(again.trainable_variables)
        for old, new in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
            new.assign(old)
        again.load_weights(tmp_path / name)
    restored = again.get_layer("words")
    assert steps(restored) == steps(layer) == 3
    assert restored.optimizer.learning_rate == 0.02
    losses = [fit(one, ids, targets, epochs=2) for one in (model, again)]
    assert losses[0] == losses[1]
    for ours, theirs in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@trains
def test_a_checkpoint_of_fit_has_the_table_of_its_epoch(tmp_path, rng):
    ids, targets = data(rng)
    model, layer = compiled(OPTIMIZERS["Adam"])
    tables = []
    remember = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: tables.append(layer.get_weights()[0])
    )
    path = str(tmp_path / "{epoch}.keras")
    fit(model, ids, targets, 3, callbacks=[remember, keras.callbacks.ModelCheckpoint(path)])
    for epoch, table in enumerate(tables, 1):
        saved = keras.saving.load_model(tmp_path / f"{epoch}.keras").get_layer("words")
        np.testing.assert_array_equal(saved.get_weights()[0], table)
        assert steps(saved) == 3 * epoch


@trains
def test_the_best_weights_are_restored(rng):
    ids, targets = data(rng)
    model, layer = compiled(functools.partial(pe.SparseSGD, learning_rate=1e4))  # which diverges
    tables = [None]
    remember = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: tables.append(layer.get_weights()[0])
    )
    stop = keras.callbacks.EarlyStopping("loss", patience=1, restore_best_weights=True)
    losses = fit(model, ids, targets, 6, callbacks=[remember, stop])
    best = int(np.nanargmin(losses)) + 1
    assert best < len(tables) - 1
    np.testing.assert_array_equal(layer.get_weights()[0], tables[best])


@trains
def test_training_can_be_backed_up_and_restored(tmp_path, rng):
    ids, targets = data(rng)

    class Ends(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    whole, _ = compiled(OPTIMIZERS["Adam"])
    start = whole.get_weights()
    fit(whole, ids, targets, 4)
    model, _ = compiled(OPTIMIZERS["Adam"])
    model.set_weights(start)
    backup = tmp_path / "backup"
    with pytest.raises(KeyboardInterrupt):
        fit(model, ids, targets, 4, callbacks=[keras.callbacks.BackupAndRestore(backup), Ends()])
    model, layer = compiled(OPTIMIZERS["Adam"])
    fit(model, ids, targets, 4, callbacks=[keras.callbacks.BackupAndRestore(backup)])
    assert steps(layer) == 12
    for ours, theirs in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_summary_counts_the_table_and_no_more():
    lines = {}
    for kind in (TRAINED, KERAS):
        model = regression(kind(ROWS, DIM, name="words"))
        printed = []
        model.summary(print_fn=lambda text, printed=printed: printed.append(text))
        lines[kind] = "".join(printed)
        assert model.count_params() == ROWS * DIM + DIM + 1
    ours, theirs = (
        [line for line in text.splitlines() if "params:" in line.lower()] for text in lines.values()
    )
    assert ours == theirs
    assert any("206" in line for line in ours)


@trains
def test_the_model_s_optimizer_keeps_no_state_for_the_table(rng):
    for name in ("adam", "sgd", "rmsprop", "adagrad", "adafactor", "lion", "ftrl", "nadam"):
        model = regression(TRAINED(ROWS, DIM))
        model.compile(name, "mse")
        model.optimizer.build(model.trainable_variables)
        assert max(int(np.prod(v.shape)) for v in model.optimizer.variables) <= DIM, name


def test_a_table_goes_over_to_keras_s_layer_and_back(tmp_path, rng):
    table = table_of(rng)
    ours, theirs = regression(TRAINED(ROWS, DIM)), regression(KERAS(ROWS, DIM, weights=[table]))
    ours.set_weights(theirs.get_weights())
    np.testing.assert_array_equal(ours.layers[1].get_weights()[0], table)
    ours.set_weights([2 * weight for weight in ours.get_weights()])
    theirs.set_weights(ours.get_weights())
    np.testing.assert_array_equal(theirs.layers[1].get_weights()[0], 2 * table)
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    ours = regression(TRAINED(ROWS, DIM))
    ours.load_weights(tmp_path / "theirs.weights.h5")  # there is no state in it, and none is lost
    np.testing.assert_array_equal(ours.layers[1].get_weights()[0], 2 * table)


@pytest.mark.filterwarnings("ignore:.*[Ss]kipping.*")
def test_files_that_do_not_fit_are_refused_and_change_nothing(tmp_path, rng):
    model = regression(Embedding(ROWS, DIM, optimizer=pe.SparseAdam))
    model.save_weights(tmp_path / "adam.weights.h5")
    other = regression(Embedding(ROWS, DIM, optimizer=pe.SparseSGD))
    before = other.layers[1].get_weights()[0]
    with pytest.raises(Exception, match=r"state has m, t, v, but SparseSGD has"):
        other.load_weights(tmp_path / "adam.weights.h5")
    larger = regression(Embedding(ROWS + 1, DIM, optimizer=pe.SparseAdam))
    with pytest.raises(Exception, match=r"table of shape \(41, 5\), but the file has \(40, 5\)"):
        larger.load_weights(tmp_path / "adam.weights.h5")
    np.testing.assert_array_equal(other.layers[1].get_weights()[0], before)


@trains
def test_models_pickle_with_their_state(rng):
    ids, targets = data(rng)
    model, _ = compiled(OPTIMIZERS["Adam"])
    fit(model, ids, targets)
    again = pickle.loads(pickle.dumps(model))
    assert steps(again.get_layer("words")) == 3
    assert fit(again, ids, targets) == fit(model, ids, targets)


def test_a_clone_has_a_table_of_its_own(rng):
    model = regression(TRAINED(ROWS, DIM))
    clone = keras.models.clone_model(model)
    ours, theirs = model.layers[1], clone.layers[1]
    assert theirs.optimizer.sparse is not ours.optimizer.sparse
    before = ours.get_weights()[0]
    theirs.set_weights([table_of(rng)])
    np.testing.assert_array_equal(ours.get_weights()[0], before)


def test_a_model_s_configuration_is_json(tmp_path):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    for choice in (
        pe.SparseAdam,
        functools.partial(pe.SparseAdam, learning_rate=schedule),
        functools.partial(pe.SparseAdam, learning_rate=pe.schedules.CosineDecay(0.1, 5)),
        {"class_name": "SparseFTRL", "learning_rate": 0.1, "beta": 0.5},
    ):
        model = regression(Embedding(ROWS, DIM, optimizer=choice))
        again = keras.models.model_from_json(model.to_json())
        config, restored = (one.layers[1].get_config() for one in (model, again))
        assert json.dumps(restored["optimizer"]) == json.dumps(config["optimizer"])


@trains
def test_bags_are_saved_with_their_state(tmp_path, rng):
    layer = EmbeddingBag(ROWS, DIM, mask_zero=True, optimizer=pe.SparseAdam, name="bag")
    model = keras.Sequential([keras.Input((7,), dtype="int64"), layer, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    ids, targets = data(rng)
    fit(model, ids, targets)
    model.save(tmp_path / "bag.keras")
    again = keras.saving.load_model(tmp_path / "bag.keras")
    assert fit(again, ids, targets) == fit(model, ids, targets)
