"""What the tests of checkpoints train and compare, here and in processes of their own.

There it is a script: python checkpoint_jobs.py JOB …
"""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np

import pyembed as pe
from kinds import OPTIMIZERS


def make(name):
    """Two tables, one with padding, frozen rows and a bag that shares it, and an optimizer."""
    emb = pe.Embedding(40, 5, seed=0, padding_idx=3, embeddings_regularizer="l2", name="emb")
    bag = pe.EmbeddingBag.sharing(emb, mode="sqrtn", name="bag")
    wide = pe.Embedding(300, 17, seed=1, dtype="float64", name="wide")
    emb.freeze([5, 7])
    return {"emb": emb, "bag": bag, "wide": wide, "opt": OPTIMIZERS[name]([emb, wide])}


def train(emb, bag, wide, opt, steps):
    """Step with gradients of all layers, which depend on the step alone; the tables' t differ."""
    for step in steps:
        rng = np.random.default_rng(step)
        calls = [(emb, (8, 3)), (bag, (4, 6))] + [(wide, (700,))] * (step % 3 > 0)
        grads = []
        for layer, shape in calls:
            ids = rng.integers(0, layer.input_dim, shape)
            y = layer(ids)
            grads.append(layer.backward(ids, rng.standard_normal(y.shape).astype(y.dtype)))
        opt.step(*grads)


def trained(name="adam", steps=4):
    objects = make(name)
    train(**objects, steps=range(steps))
    return objects


def values(objects):
    """Copies of all that a checkpoint holds of layers and optimizers."""
    found = {}
    for name, item in objects.items():
        if isinstance(item, pe.Embedding | pe.EmbeddingBag):
            found[name] = item.get_config(), item.embeddings.copy(), item.frozen_rows.copy()
        else:
            state = item.state_dict()
            tables = [{key: np.copy(table[key]) for key in table} for table in state["tables"]]
            found[name] = state["config"], tables
    return found


def run(*arguments):
    """Run a job in a process of its own; return what it printed."""
    done = subprocess.run(
        [sys.executable, __file__, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def go_on(path, names, steps):
    """Load `path`, train and save, as new objects or into objects: for each of `names`."""
    pe.set_num_threads(5)
    for number, name in enumerate(names.split(",")):
        source = os.path.join(path, f"{name}.safetensors")
        if number % 2:
            objects = make(name)
            train(**objects, steps=range(50, 52))  # to be overwritten
            objects["emb"].freeze([1])
            pe.load(source, **objects)
        else:
            objects = pe.load(source)
        train(**objects, steps=range(*map(int, steps.split(","))))
        pe.save(source, **objects)


def killed(path, times):
    """Kill saving processes at random moments; print what was seen of their leftovers."""
    emb = pe.Embedding(2000, 16, "zeros")
    bag = pe.EmbeddingBag(500, 8, "zeros", dtype="float64")
    opt = pe.SparseAdam([emb, bag], 1.0)
    state = opt.state_dict()["tables"]
    arrays = [emb.embeddings, bag.embeddings, *(table[m] for table in state for m in "mv")]
    objects = {"emb": emb, "bag": bag, "opt": opt}

    def save(generation):
        for array in arrays:
            array.fill(generation)
        opt.learning_rate = float(generation)
        pe.save(path, **objects)

    save(0)
    began = time.perf_counter()
    save(1)
    enough = 3 * (time.perf_counter() - began)
    moments = random.Random(0)
    generations = {1}
    for _ in range(int(times)):
        child = os.fork()
        if child == 0:
            generation = max(generations)
            while True:
                generation += 1
                save(generation)
        time.sleep(moments.uniform(0, enough))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        pe.load(path, **objects)
        generation = opt.learning_rate
        assert generation >= max(generations)
        for array in arrays:
            assert (array == generation).all(), generation
        # As many saves shall be through as are not, whatever the load of the machine.
        enough *= 0.9 if generation > max(generations) else 1.1
        generations.add(int(generation))
    print(len(generations))


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
