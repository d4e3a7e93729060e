"""What the tests of several ranks train and compare, with threads for ranks or processes."""

import os
import random
import signal
import sys
import time

import numpy as np

import pyembed as pe
from kinds import OPTIMIZERS
from threaded import on_ranks


def make(name, comm=None):
    """Two tables, one with padding, frozen rows and a bag that shares it, and an optimizer."""
    options = {"comm": comm, "sum_by": "position"}
    emb = pe.Embedding(
        41, 5, seed=0, padding_idx=3, embeddings_regularizer="l2", name="emb", **options
    )
    bag = pe.EmbeddingBag.sharing(emb, mode="sqrtn", name="bag")
    wide = pe.Embedding(300, 17, seed=1, dtype="float64", name="wide", **options)
    emb.freeze([5, 7])
    return {"emb": emb, "bag": bag, "wide": wide, "opt": OPTIMIZERS[name]([emb, wide])}


def train(objects, steps, comm=None, ranks=1):
    """Step with gradients of all layers, as one rank, or as one process in the place of all."""
    emb, bag, wide, opt = (objects[name] for name in ("emb", "bag", "wide", "opt"))
    for step in steps:
        rng = np.random.default_rng(step)
        calls = [(emb, (24, 3)), (bag, (12, 6))] + [(wide, (700,))] * (step % 3 > 0)
        given = []
        for layer, shape in calls:
            pooled = shape[:1] if layer is bag else shape
            upstream = rng.standard_normal((*pooled, layer.output_dim)).astype(layer.dtype)
            given.append((layer, rng.integers(0, layer.input_dim, shape), upstream))
        here = range(ranks) if comm is None else [comm.rank]
        size = ranks if comm is None else comm.size
        grads = []
        for rank in here:
            for layer, ids, upstream in given:
                own = slice(len(ids) * rank // size, len(ids) * (rank + 1) // size)
                layer(ids[own])
                grads.append(layer.backward(ids[own], upstream[own]))
        opt.step(*grads)


def check_same(objects, expected, comm=None):
    """Compare the rows that are here, and their state, with those that one process has."""
    rank, size = (0, 1) if comm is None else (comm.rank, comm.size)
    for name, one in expected.items():
        item = objects[name]
        if name == "opt":
            state, state_expected = item.state_dict(), one.state_dict()
            assert state["config"] == state_expected["config"]
            for table, of_all in zip(state["tables"], state_expected["tables"], strict=True):
                assert table.pop("t") == of_all.pop("t")
                for key, array in table.items():
                    np.testing.assert_array_equal(array, of_all[key][rank::size])
        else:
            assert item.get_config() == one.get_config()
            np.testing.assert_array_equal(item.local, one.local[rank::size])
            frozen = [row for row in one.frozen_rows if row % size == rank]
            assert item.frozen_rows.tolist() == frozen


def killed(path, times):
    """Kill processes, of two ranks each, that save at random moments; tell what was seen."""
    generations = {1}
    save(path, 0)
    began = time.perf_counter()
    save(path, 1)
    enough = 3 * (time.perf_counter() - began)
    moments = random.Random(0)
    for _ in range(times):
        child = os.fork()
        if child == 0:
            generation = max(generations)
            while True:
                generation += 1
                save(path, generation)
        time.sleep(moments.uniform(0, enough))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        objects = pe.load(path)
        generation = int(objects["opt"].learning_rate)
        assert generation >= max(generations)
        state = objects["opt"].state_dict()["tables"]
        for array in (objects["emb"].embeddings, *(state[0][key] for key in "mv")):
            assert (array == generation).all(), generation
        # As many saves shall be through as are not, whatever the load of the machine.
        enough *= 0.9 if generation > max(generations) else 1.1
        generations.add(generation)
    return generations


def save(path, generation):
    """Save tables full of a number from two ranks, with nothing that a fork would break."""

    def body(comm):
        emb = pe.Embedding(2001, 16, pe.initializers.Constant(float(generation)), comm=comm)
        opt = pe.SparseAdam(emb, float(generation))
        for table in opt.state_dict()["tables"]:
            for key in "mv":
                table[key].fill(generation)
        pe.save(path, emb=emb, opt=opt)

    on_ranks(2, body)


if __name__ == "__main__":
    print(len(killed(sys.argv[1], int(sys.argv[2]))))
