"""Layers, their optimizer and a file: calls of chance are made on them, and told by digests."""

import argparse
import copy
import faulthandler
import hashlib
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pyembed as pe
from kinds import OPTIMIZERS

PATIENCE = 60.0  # seconds, after which a thread hangs


class World:
    """Small tables and an optimizer of a kind, all by chance: alike for the same seed."""

    def __init__(self, seed, path):
        rng = np.random.default_rng(seed)
        self.path = Path(path)
        self.kind = list(OPTIMIZERS)[rng.integers(len(OPTIMIZERS))]
        self.rows = int(rng.choice([3, 50, 2000]))
        dim = int(rng.choice([1, 8]))
        self.layers = [
            pe.Embedding(self.rows, dim, seed=n, name=f"emb{n}") for n in range(rng.integers(1, 5))
        ]
        self.opt = OPTIMIZERS[self.kind](self.layers)
        self.path.unlink(missing_ok=True)
        self.train(1)
        self.saved = copy.deepcopy(self.opt.state_dict())
        pe.save(self.path, **self.objects)
        self.train(2)

    @property
    def objects(self):
        return {f"emb{n}": layer for n, layer in enumerate(self.layers)} | {"opt": self.opt}

    def grads(self, number):
        """Return gradients of all tables, the same ones for the same number."""
        rng = np.random.default_rng(number)
        grads = []
        for layer in self.layers:
            ids = rng.integers(0, self.rows, 2 * self.rows)
            upstream = rng.standard_normal((len(ids), layer.output_dim))
            grads.append(layer.backward(ids, upstream.astype(layer.dtype)))
        return grads

    def train(self, number):
        self.opt.step(*self.grads(number))

    def call(self, name):
        """Return a call of that name, with no arguments; all that it needs is made already."""
        grads = self.grads(3)
        calls = {
            "step": lambda: self.opt.step(*grads),
            "load_state_dict": lambda: self.opt.load_state_dict(self.saved),
            "load": lambda: pe.load(self.path, **self.objects),
            "save": lambda: pe.save(self.path, **self.objects),
            "grow": lambda: self.layers[0].grow(2 * self.rows + 1),
            "freeze": lambda: self.layers[0].freeze([0, 2]),
            "release": self.opt.release,
            "copy": lambda: copy.deepcopy((self.opt, self.layers)),
            "look up": lambda: self.layers[0](np.arange(self.rows)),
            "flush": self.opt.flush,
        }
        return calls[name]

    def digest(self):
        """Return a hash of all that calls may change."""
        told = hashlib.sha256(self.path.read_bytes())
        for layer in self.layers:
            owner = layer._table.owner
            told.update(layer.embeddings.tobytes() + layer.frozen_rows.tobytes())
            told.update(repr((layer.input_dim, owner is None, owner is self.opt)).encode())
        told.update(repr(len(self.opt.tables)).encode())
        for state in self.opt.state_dict()["tables"] if self.opt.tables else ():
            for array in state.values():
                told.update(np.ascontiguousarray(array).tobytes())
        return told.hexdigest()

    def use(self):
        """Step, with a new optimizer where the old one gave its tables up, and look up."""
        if not self.opt.tables:
            self.opt = OPTIMIZERS[self.kind](self.layers)
        self.train(4)
        for layer in self.layers:
            layer([0, self.rows - 1])
            layer.unfreeze()


CALLS = (
    *("step", "load_state_dict", "load", "save", "grow", "freeze", "release", "copy", "look up"),
    "flush",
)


def twins(seed, case, folder):
    """Return for a case its source of chance, the name of a call, and two worlds that are alike."""
    rng = np.random.default_rng([seed, case])
    name = CALLS[rng.integers(len(CALLS))]
    world_seed = rng.integers(2**32)
    twin = World(world_seed, folder / "twin.safetensors")
    world = World(world_seed, folder / "file.safetensors")
    twin.digest()  # which settles rows, as that of `world` does before its call
    return rng, name, twin, world


def in_other_thread(function):
    """Run a function in a thread; raise what it raised, or say where all threads hang."""
    errors = []

    def guarded():
        try:
            function()
        except BaseException as error:
            errors.append(error)

    run_threads([threading.Thread(target=guarded, daemon=True)])
    if errors:
        raise errors[0]


def run_threads(threads):
    until = time.monotonic() + PATIENCE
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
        if thread.is_alive():
            faulthandler.dump_traceback(all_threads=True)
            print("a fault: a thread hangs", file=sys.stderr, flush=True)
            os._exit(1)


def main(description, attack, summary, argv=None):
    """Call attack(seed, case, folder) for cases of chance; count what came of them."""
    import tempfile

    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="run this one alone")
    arguments = parser.parse_args(argv)
    faulthandler.enable()
    counts, number = Counter(), 0
    cases = iter(range(2**62)) if arguments.case is None else [arguments.case]
    until = time.monotonic() + 60 * arguments.minutes
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            if time.monotonic() >= until:
                break
            try:
                counts.update(attack(arguments.seed, case, Path(folder)))
            except BaseException:
                again = f"--seed {arguments.seed} --case {case}"
                print(f"a fault: {again}", file=sys.stderr, flush=True)
                raise
            number += 1
    for what, count in sorted(counts.items()):
        print(f"{count:8} {what}")
    print(f"{number} {summary}, with seed {arguments.seed}")
    return 0
