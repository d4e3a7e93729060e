"""A job of MPI: what ranks that share the tables of a Keras model must come to, on each of them.

The other weights are fixed, so that one process can do what all ranks do together: it trains on
each rank's batch in turn, and takes their gradients in one step.
"""

import functools
import os
import re
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
sys.path.insert(0, str(Path(__file__).parent.parent))

import keras
import numpy as np
import pytest
from mpi4py import MPI

import pyembed as pe
from keras_layers.helpers import TRAINS, train
from pyembed.keras import Embedding, EmbeddingBag

COMM = MPI.COMM_WORLD
ROWS, DIM, LENGTH, BATCH, BATCHES = 23, 5, 7, 8, 3
ADAM = functools.partial(pe.SparseAdam, learning_rate=0.05)
SGD = functools.partial(pe.SparseSGD, learning_rate=0.5, momentum=0.9)
KINDS = {
    "words": (Embedding, {"optimizer": ADAM, "sum_by": "position"}),
    "bags": (EmbeddingBag, {"optimizer": SGD, "sum_by": "rank", "mode": "max"}),
}


def same(actual, expected):
    np.testing.assert_array_equal(actual, expected, strict=True)


def layers(comm=None):
    rng = np.random.default_rng(3)
    weights = {name: rng.standard_normal((ROWS, DIM)).astype("float32") for name in KINDS}
    return {
        name: cls(ROWS, DIM, weights=weights[name], comm=comm, **options)
        for name, (cls, options) in KINDS.items()
    }


def model_of(layers, optimizer=None):
    ids = keras.Input((LENGTH,), dtype="int64")
    pooled = keras.layers.GlobalAveragePooling1D()(layers["words"](ids))
    twice = keras.layers.GlobalMaxPooling1D()(layers["words"](ids))
    both = keras.layers.Concatenate()([pooled, layers["bags"](ids), twice])
    start = keras.initializers.RandomNormal(seed=1)
    outputs = keras.layers.Dense(1, kernel_initializer=start, trainable=False)(both)
    model = keras.Model(ids, outputs)
    model.compile(optimizer or keras.optimizers.SGD(), "mse")
    return model


def batches():
    """Return the ids and targets of each rank."""
    rng = np.random.default_rng(4)
    shape = (COMM.size, BATCH * BATCHES)
    ids = rng.integers(0, ROWS, (*shape, LENGTH))
    return list(zip(ids, rng.standard_normal((*shape, 1)).astype("float32"), strict=True))


def in_one_process(alone, data, epochs):
    """Train a model of one process on the batches of all ranks."""
    model, kept = model_of(alone), {name: [] for name in alone}

    def keep(name, grads, rate):
        # At once: what gradients borrow is the backend's.
        plain = pe.Embedding.sharing(alone[name].table)
        kept[name].append(
            sum(plain.backward(grad.ids.copy(), grad.values.copy()) for grad in grads)
        )

    for name, layer in alone.items():
        layer._trained._apply = functools.partial(keep, name)
    for _ in range(epochs):
        for at in range(0, BATCH * BATCHES, BATCH):
            for ids, targets in data:
                model.train_on_batch(ids[at : at + BATCH], targets[at : at + BATCH])
            for name, layer in alone.items():
                grads = kept[name] if layer._trained else None  # when all has run
                if KINDS[name][1]["sum_by"] == "rank":
                    grads = [grad.coalesce() for grad in grads]
                layer.optimizer.sparse.step(*grads)
                kept[name].clear()
    return model


def compare(shared, alone, steps):
    for name, layer in shared.items():
        same(layer.table.local, alone[name].table.embeddings[COMM.rank :: COMM.size])
        [ours], [theirs] = (
            of.optimizer.sparse.state_dict()["tables"] for of in (layer, alone[name])
        )
        assert ours["t"] == theirs["t"] == steps
        for state in set(ours) - {"t"}:
            same(ours[state], theirs[state][COMM.rank :: COMM.size])


def fit_evaluate_and_predict():
    shared, alone = layers(COMM), layers()
    model, data = model_of(shared), batches()
    ids, targets = data[COMM.rank]
    epochs = 2 if TRAINS else 0
    if TRAINS:
        options = {"validation_data": (ids, targets), "shuffle": False, "verbose": 0}
        history = model.fit(ids, targets, batch_size=BATCH, epochs=epochs, **options).history
        expected = in_one_process(alone, data, epochs)
        compare(shared, alone, epochs * BATCHES)
        assert history["val_loss"][-1] == expected.evaluate(
            ids, targets, batch_size=BATCH, verbose=0
        )
    else:
        expected = model_of(alone)
    predicted = [of.predict(ids, batch_size=BATCH, verbose=0) for of in (model, expected)]
    same(*predicted)
    more = 1 + COMM.rank  # batches of other sizes
    same(*(of.predict_on_batch(ids[:more]) for of in (model, expected)))


def a_norm_is_that_of_all_ranks():
    if not TRAINS:
        return
    shared = Embedding(ROWS, DIM, optimizer=SGD, comm=COMM, embeddings_initializer="zeros")
    ids = keras.Input((LENGTH,), dtype="int64")
    outputs = keras.layers.GlobalAveragePooling1D()(shared(ids))
    model = keras.Model(ids, outputs)
    model.compile(keras.optimizers.SGD(clipnorm=0.25), lambda y, x: keras.ops.sum(x * y, axis=-1))
    given, _ = batches()[COMM.rank]
    model.train_on_batch(given, np.full((len(given), DIM), 7.0, "float32"))
    squares = COMM.allreduce(float(np.square(shared.table.local, dtype="f8").sum()))
    assert np.sqrt(squares) == pytest.approx(0.25 * 0.5, rel=1e-5)


def a_loop_of_one_s_own():
    if not TRAINS:
        return
    rng = np.random.default_rng(5)
    for sum_by in ("rank", "position"):
        shared = Embedding(
            ROWS,
            DIM,
            optimizer=ADAM,
            embeddings_initializer=pe.initializers.RandomUniform(seed=6),
            comm=COMM,
            sum_by=sum_by,
        )
        shared.build()
        emb = pe.Embedding(ROWS, DIM, seed=6)
        opt = ADAM(emb)
        for _ in range(3):
            ids = rng.integers(0, ROWS, (COMM.size, BATCH, LENGTH))
            ups = rng.standard_normal((*ids.shape, DIM)).astype("float32")
            train(shared, ids[COMM.rank], ups[COMM.rank])
            grads = [emb.backward(*call) for call in zip(ids, ups, strict=True)]
            opt.step(*(grad.coalesce() for grad in grads) if sum_by == "rank" else grads)
            table = shared.table  # when all has run
            same(table.local, emb.embeddings[COMM.rank :: COMM.size])


def the_example_of_the_page():
    page = Path(__file__).parents[2] / "docs" / "coming-from-keras-and-pytorch.md"
    blocks = re.findall(
        r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    [block] = [block for block in blocks if "pyembed.keras" in block and "mpi4py" in block]
    names = {"__name__": "__main__"}
    exec(compile(block, page, "exec"), names)
    assert Path("words.safetensors").stat().st_size > 0
    for variable in names["model"].get_layer("score").variables:
        same(ready(variable), COMM.bcast(ready(variable)))


def an_error_of_one_rank_is_that_of_all():
    shared = layers(COMM)["words"]
    with pytest.raises(Exception, match=f"rank 1: id {ROWS} at position"):
        ready(shared(keras.ops.convert_to_tensor([ROWS if COMM.rank == 1 else 0])))


def a_step_of_one_rank_s_gradients():
    shared, alone = (layers(comm)["words"] for comm in (COMM, None))
    given = np.arange(6), np.ones((6, DIM), "float32")
    for trained in [alone._trained, *([shared._trained] if COMM.rank == 1 else [])]:
        trained.take(*given)
    shared.step()
    alone.step()
    same(shared.table.local, alone.table.embeddings[COMM.rank :: COMM.size])
    with pytest.raises(ValueError, match="needs at least one gradient"):
        shared.step()


def calls_in_another_order_raise():
    shared = layers(COMM)
    ids = keras.ops.convert_to_tensor(np.arange(4))
    names = ["words", "bags"] if COMM.rank == 0 else ["bags", "words"]
    with pytest.raises(Exception, match="must make the same calls in the same order"):
        ready(shared[names[0]](keras.ops.reshape(ids, (2, 2))))
    if not TRAINS or keras.backend.backend() == "jax":  # whose next call tells of it again
        return
    call = functools.partial(shared["words"], ids) if COMM.rank == 0 else shared["words"].step
    with pytest.raises(Exception, match="must make the same calls in the same order"):
        call()
    same(ready(shared["words"](ids)), layers()["words"].get_weights()[0][:4])


def ready(rows):
    """Return an array: on JAX a lookup may be under way until then."""
    return keras.ops.convert_to_numpy(rows)


def the_seed_is_rank_0_s():
    keras.utils.set_random_seed(COMM.rank)
    shared = Embedding(ROWS, DIM, optimizer=ADAM, comm=COMM)
    rows = ready(shared(keras.ops.convert_to_tensor(np.arange(ROWS))))
    same(rows, COMM.bcast(rows))
    assert rows.std() > 0.01


def a_checkpoint():
    shared = layers(COMM)["words"]
    if TRAINS:
        train(shared, np.arange(6).reshape(2, 3), np.ones((2, 3, DIM), "float32"))
    pe.save("saved", emb=shared.table, opt=shared.optimizer.sparse)
    COMM.Barrier()
    loaded = pe.load("saved")
    same(loaded["emb"].embeddings[COMM.rank :: COMM.size], shared.table.local)
    other = layers(COMM)["words"]
    pe.load("saved", emb=other.table, opt=other.optimizer.sparse)
    same(other.table.local, shared.table.local)
    assert other.optimizer.iterations == shared.optimizer.iterations == int(TRAINS)


for case in (
    fit_evaluate_and_predict,
    a_norm_is_that_of_all_ranks,
    a_loop_of_one_s_own,
    the_seed_is_rank_0_s,
    a_checkpoint,
    the_example_of_the_page,
    a_step_of_one_rank_s_gradients,
    an_error_of_one_rank_is_that_of_all,
    calls_in_another_order_raise,
):
    case()
    COMM.Barrier()
    if COMM.rank == 0:
        print(case.__name__, flush=True)
