"""Calls from several threads at once: none sees half of another.

    python tests/attacks/threads.py --minutes 5 --seed 1

Every step does the same to every element, so a table is always of one number, which follows from
its count of steps. Threads step, look up, copy, save and load, grow and freeze tables of one
optimizer, by chance. A fault is a row or a table of two numbers, a file or a copy whose tables are
not of one step, a step that is not counted, an error, or a thread that hangs. It is told with its
case, which ``--case`` runs again: with other turns, as threads go.
"""

import copy
import sys
import threading

import numpy as np
from world import main, run_threads

import pyembed as pe
from kinds import OPTIMIZERS

ROWS = 3000  # enough for several threads of the core's own to share a call
CALLS = ("step", "look up", "bag", "copy", "copy a layer", "save", "grow", "freeze", "state")


class Game:
    def __init__(self, kind, dim, path):
        self.kind, self.dim, self.path = kind, dim, path
        self.layers = [pe.Embedding(ROWS, dim, "zeros") for _ in range(2)]
        self.bag = pe.EmbeddingBag.sharing(self.layers[0], mode="max")
        self.opt = OPTIMIZERS[kind](self.layers)
        self.steps = 0
        self.lock = threading.Lock()

    def grads(self, layers):
        ids = np.arange(ROWS)
        return [layer.backward(ids, np.ones((ROWS, self.dim), np.float32)) for layer in layers]

    def call(self, name, number):
        layer = self.layers[number % 2]
        if name == "step":
            self.opt.step(*self.grads(self.layers))
            with self.lock:
                self.steps += 1
        elif name == "look up":
            one_number(layer(np.arange(ROWS)))
        elif name == "bag":
            one_number(self.bag(np.arange(ROWS).reshape(-1, 3)))
        elif name == "copy":
            opt, layers = copy.deepcopy((self.opt, self.layers))
            self.check(opt, layers)
        elif name == "copy a layer":
            one_number(copy.deepcopy(layer).embeddings[:ROWS])
        elif name == "save":
            path = self.path.with_suffix(f".{threading.get_ident()}")
            pe.save(path, a=self.layers[0], b=self.layers[1], opt=self.opt)
            loaded = pe.load(path)
            self.check(loaded["opt"], [loaded["a"], loaded["b"]])
        elif name == "grow":
            with self.lock:
                layer.grow(layer.input_dim + number % 3)
        elif name == "freeze":
            layer.freeze([layer.input_dim - 1] if layer.input_dim > ROWS else [])
            layer.unfreeze()
        else:
            self.opt.state_dict()

    def check(self, opt, layers):
        """Check that an optimizer and its tables, which nobody else uses, are of one step."""
        steps = [table["t"] for table in opt.state_dict()["tables"]]
        assert len(set(steps)) == 1, f"tables of {steps} steps"
        for layer in layers:
            assert one_number(layer.embeddings[:ROWS]) == self.after(steps[0]), (
                "another step's rows"
            )

    def after(self, steps):
        """Return what the tables hold after so many steps."""
        if not hasattr(self, "expected"):
            alone = pe.Embedding(1, self.dim, "zeros")
            opt = OPTIMIZERS[self.kind](alone)
            self.expected = [0.0]
            for _ in range(200):
                opt.step(alone.backward([0], np.ones((1, self.dim), np.float32)))
                self.expected.append(alone.embeddings[0, 0])
        return self.expected[steps]


def one_number(rows):
    assert (rows == rows.flat[0]).all(), "a table of two numbers"
    return rows.flat[0]


def attack(seed, case, folder):
    rng = np.random.default_rng([seed, case])
    kind = list(OPTIMIZERS)[rng.integers(len(OPTIMIZERS))]
    game = Game(kind, int(rng.choice([1, 4, 33])), folder / "file")
    game.after(0)
    errors = []

    def play(names, numbers):
        try:
            for name, number in zip(names, numbers, strict=True):
                game.call(name, int(number))
        except BaseException as error:
            errors.append(error)

    players, counts = [], []
    for _ in range(rng.integers(2, 6)):
        names = [CALLS[number] for number in rng.integers(0, len(CALLS), 12)]
        counts += names
        arguments = (names, rng.integers(0, 1000, 12))
        players.append(threading.Thread(target=play, args=arguments, daemon=True))
    run_threads(players)
    if errors:
        raise errors[0]
    game.check(game.opt, game.layers)
    assert game.opt.state_dict()["tables"][0]["t"] == game.steps, "a step that is not counted"
    return counts


if __name__ == "__main__":
    sys.exit(main(__doc__.split("\n")[0], attack, "games of threads: none sees half of a call"))
