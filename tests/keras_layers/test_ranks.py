"""Tables that ranks share: what one rank shows, and two of them under MPI where there is one."""

import functools
import itertools
import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest

import pyembed as pe
from keras_layers.helpers import (
    BACKEND,
    DIM,
    ROWS,
    SGD,
    array,
    data,
    fit,
    ids_of,
    regression,
    table_of,
    trains,
)
from pyembed.keras import Embedding, EmbeddingBag
from threaded import Group, ThreadCommunicator

LAUNCHER = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec")
JOB = Path(__file__).parent / "ranks_job.py"
LAYERS = pytest.mark.parametrize("cls", [Embedding, EmbeddingBag])


@pytest.fixture
def comm():
    """A job of one rank."""
    return ThreadCommunicator(Group(1), 0)


@pytest.mark.skipif(find_spec("mpi4py") is None or LAUNCHER is None, reason="there is no MPI")
def test_the_bits_of_one_process(tmp_path):
    job = subprocess.run(
        [LAUNCHER, "-n", "2", sys.executable, str(JOB)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
    )
    assert job.returncode == 0, job.stderr
    assert job.stdout.split()[-1] == "calls_in_another_order_raise"


@LAYERS
def test_a_communicator_needs_an_optimizer(cls, comm):
    with pytest.raises(ValueError, match="comm= needs optimizer="):
        cls(ROWS, DIM, comm=comm)
    with pytest.raises(TypeError, match="comm=3 must be an mpi4py communicator"):
        cls(ROWS, DIM, optimizer=SGD, comm=3)
    with pytest.raises(ValueError, match="sum_by='column'"):
        cls(ROWS, DIM, optimizer=SGD, comm=comm, sum_by="column")


@trains
def test_one_rank_trains_as_one_process(rng, comm):
    table, (ids, targets) = table_of(rng), data(rng)
    models = []
    for own in (comm, None):
        layer = Embedding(ROWS, DIM, optimizer=pe.SparseAdam, comm=own, weights=[table])
        model = regression(layer)
        model.compile(keras.optimizers.SGD(0.5, clipnorm=0.05), "mse")
        models.append((layer, model, fit(model, ids, targets, epochs=2)))
    (ours, _, losses), (theirs, _, expected) = models
    assert losses == expected
    np.testing.assert_array_equal(ours.table.local, theirs.get_weights()[0])


def test_rows_are_made_by_ours_of_the_name(comm):
    given = {"embeddings_initializer": keras.initializers.RandomNormal(stddev=2.0, seed=7)}
    layer = Embedding(ROWS, DIM, optimizer=SGD, comm=comm, **given)
    expected = pe.initializers.RandomNormal(stddev=2.0, seed=7)((ROWS, DIM))
    np.testing.assert_array_equal(layer.table.local, expected)
    tables = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        tables.append(Embedding(ROWS, DIM, optimizer=SGD, comm=comm).table.local)
    np.testing.assert_array_equal(*tables)
    assert tables[0].std() > 0.01
    whole = {"embeddings_initializer": keras.initializers.Orthogonal()}
    with pytest.raises(ValueError, match="cannot make some rows alone"):
        Embedding(ROWS, DIM, optimizer=SGD, comm=comm, **whole).build()


@LAYERS
def test_weights_are_written_and_not_read_as_a_whole(cls, comm, rng, tmp_path):
    layer = cls(ROWS, DIM, optimizer=SGD, comm=comm)
    model = keras.Sequential([keras.Input((7,), dtype="int64"), layer])
    table = table_of(rng)
    layer.set_weights([table])
    np.testing.assert_array_equal(layer.table.local, table)
    for read in (layer.get_weights, lambda: model.save_weights(tmp_path / "w.weights.h5")):
        with pytest.raises(RuntimeError, match=r"pyembed\.save\(path, emb=layer\.table"):
            read()
    other = keras.Sequential([keras.Input((7,), dtype="int64"), cls(ROWS, DIM, optimizer=SGD)])
    other.save_weights(tmp_path / "whole.weights.h5")
    with pytest.raises(RuntimeError, match=r"use pyembed\.load\(path, emb=layer\.table"):
        layer.load_own_variables({"0": table})
    np.testing.assert_array_equal(layer.table.local, table)


def test_a_configuration_has_no_communicator(comm):
    layer = Embedding(ROWS, DIM, optimizer=SGD, comm=comm, sum_by="position")
    config = layer.get_config()
    json.dumps({name: config[name] for name in config if name != "dtype"})
    assert not {"comm", "sum_by"} & set(config)
    assert Embedding.from_config(config).table.embeddings.shape == (ROWS, DIM)


@trains
def test_what_ranks_cannot_do_together_is_refused(comm, rng):
    def compiled(optimizer, **options):
        layer = Embedding(ROWS, DIM, optimizer=SGD, comm=comm)
        model = regression(layer)
        model.compile(optimizer, "mse", **options)
        return layer, model

    layer, model = compiled(keras.optimizers.SGD(clipvalue=0.5))
    before = layer.table.local.copy()
    with pytest.raises(ValueError, match=r"clipvalue=0\.5"):
        fit(model, *data(rng))
    np.testing.assert_array_equal(layer.table.local, before)
    layer, model = compiled("sgd", steps_per_execution=2)
    if BACKEND == "jax":
        fit(model, *data(rng))
        assert layer.optimizer.iterations == 3
        return
    with pytest.raises(ValueError, match="steps_per_execution"):
        fit(model, *data(rng))
    assert layer.optimizer.iterations == 0


def test_building_and_shapes_need_no_other_rank(comm):
    layer = Embedding(ROWS, DIM, optimizer=SGD, comm=comm)
    layer.build()
    made = len(calls_of(comm))
    model = regression(layer)
    model.compile("sgd", "mse")
    assert layer.compute_output_shape((3, 2)) == (3, 2, DIM)
    assert len(calls_of(comm)) == made
    rows = array(layer(keras.ops.convert_to_tensor([1, 2])))
    np.testing.assert_array_equal(rows, layer.table.local[1:3])
    assert len(calls_of(comm)) > made


def calls_of(comm):
    """The exchanges that a communicator has made since it was first asked."""
    if not hasattr(comm, "calls"):
        comm.calls = []
        for name in ("counts", "alltoallv"):
            setattr(comm, name, functools.partial(_counted, comm.calls, getattr(comm, name)))
    return comm.calls


def _counted(calls, exchange, *given):
    calls.append(exchange)
    return exchange(*given)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="whose executor has no order of its own")
def test_calls_within_a_graph_have_an_order(comm, rng):
    import tensorflow as tf

    words, bags = (cls(ROWS, DIM, optimizer=SGD, comm=comm) for cls in (Embedding, EmbeddingBag))

    @tf.function
    def stepped(ids):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(words(ids)) + tf.reduce_sum(bags(ids)) + tf.reduce_sum(words(ids))
        variables = [words.trainable_variables[0], bags.trainable_variables[0]]
        for variable, grad in zip(variables, tape.gradient(loss, variables), strict=True):
            variable.assign(grad)

    words.build()
    bags.build()
    graph = stepped.get_concrete_function(tf.constant(ids_of(rng))).graph
    calls = [node for node in graph.get_operations() if node.type == "PyFunc"]
    assert len(calls) == 3 + 3 + 2
    for before, after in itertools.pairwise(calls):
        assert before in after.control_inputs
