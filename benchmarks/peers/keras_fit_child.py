"""A model of Keras's is fitted here, with Keras's embedding layer and with those of pyembed.keras.

Started by ``keras_fit.py``, which writes a line of JSON for each thing to do and reads a line back
when it is done, in an environment that has Keras, the backend of ``KERAS_BACKEND`` and pyembed.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from rest import rest

RATE = 1e-3


class Models:
    """One model for each kind of layer, all with the same weights."""

    def __init__(self, names: list[str], rows: int, dim: int, length: int) -> None:
        self._length = length
        self._models = {name: _model(name, rows, dim, length) for name in names}
        self.losses: dict[str, list[float]] = {name: [] for name in names}

    def fit(self, name: str, ids: Any, steps: int) -> float:
        """Train on the ids for some steps; the seconds that one of them took."""
        ids = ids.reshape(-1, self._length)
        targets = (ids % 7 == 3).mean(axis=1, keepdims=True).astype("float32")
        options = {"batch_size": len(ids) // steps, "shuffle": False, "verbose": 0}
        rest()
        started = time.perf_counter()
        history = self._models[name].fit(ids, targets, **options)
        seconds = (time.perf_counter() - started) / steps
        rest()
        self.losses[name] += history.history["loss"]
        return seconds


def _model(name: str, rows: int, dim: int, length: int) -> Any:
    import keras

    return _compiled(
        keras.Sequential(
            [
                keras.Input((length,), dtype="int32"),
                _layer(name, rows, dim),
                keras.layers.GlobalAveragePooling1D(),
                keras.layers.Dense(1, kernel_initializer=keras.initializers.HeNormal(seed=0)),
            ]
        )
    )


def _layer(name: str, rows: int, dim: int) -> Any:
    import keras

    import pyembed as pe
    from pyembed.keras import Embedding

    start = pe.initializers.RandomUniform(seed=0)  # Keras's would leave memory behind
    if name == "keras Adam":
        return keras.layers.Embedding(rows, dim, start)
    update = "exact" if "exact" in name else "lazy"
    choice = functools.partial(pe.SparseAdam, learning_rate=RATE, update=update)
    return Embedding(rows, dim, start, optimizer=choice)


def _compiled(model: Any) -> Any:
    import keras

    model.compile(keras.optimizers.Adam(RATE), "mse")
    return model


def peak(models: Models, name: str, ids: Any, steps: int, before: int) -> int:
    """The most memory of some steps, above what there was before the model was made."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the making of the table is no step
    models.fit(name, ids, steps)
    return max(0, status("VmHWM") - before)


def status(what: str) -> int:
    """What the system knows of this process's memory, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) * 1024
    raise LookupError(what)


def use_threads(threads: int) -> None:
    """Have each side use so many."""
    import keras

    import pyembed as pe

    pe.set_num_threads(threads)
    if keras.backend.backend() == "torch":
        import torch

        torch.set_num_threads(threads)
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)


def main(files: Path, threads: int) -> None:
    """Make models for each line that describes some, and do what the other lines say."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the libraries print is no answer
    use_threads(threads)
    models, before = None, 0
    for line in sys.stdin:
        order = json.loads(line)
        answer: Any = None
        what = order.pop("what")
        if what == "make":
            models = None  # the ones before must be gone to make room
            before = status("VmRSS")
            models = Models(**order)
        elif what == "losses":
            answer = models.losses[order["name"]]
        else:
            ids = np.fromfile(files / "ids", np.int32)
            if what == "fit":
                answer = models.fit(ids=ids, **order)
            else:
                answer = peak(models, ids=ids, before=before, **order)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
