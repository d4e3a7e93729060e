"""Keras on TensorFlow trains a table here, in a process and an environment of its own.

Started by ``keras_parent.py``, which writes a line of JSON for each thing to do and reads a line
back when it is done. Arrays lie in files of a folder that both know. Needs neither pyembed nor
anything else but NumPy, Keras and TensorFlow.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from rest import rest


class Adam:
    """``Embedding`` and ``Adam`` in a ``tf.function``, as ``fit`` has it; or ``tuned``.

    Then XLA compiles it, and the gradient is made dense before Keras's optimizer has it. So XLA
    needs two thirds of the time and memory, and duplicate ids are summed as they should: of
    ``IndexedSlices`` Keras squares each duplicate apart.
    """

    def __init__(
        self, files: Path, rows: int, dim: int, dtype: str, tuned: bool, settings: dict[str, float]
    ) -> None:
        import keras
        import tensorflow as tf

        self._files, self._dim, self._dtype, self._tf = files, dim, dtype, tf
        table = keras.layers.Embedding(rows, dim, embeddings_initializer="zeros", dtype=dtype)
        table.build()
        variables = table.trainable_variables
        optimizer = keras.optimizers.Adam(**settings)
        optimizer.build(variables)

        @tf.function(jit_compile=tuned)
        def step(ids: Any, dy: Any) -> Any:
            with tf.GradientTape() as tape:
                output = table(ids)
            (gradient,) = tape.gradient(output, variables, output_gradients=[dy])
            if tuned:
                gradient = tf.convert_to_tensor(gradient)
            optimizer.apply([gradient], variables)
            return optimizer.iterations + 0

        self._weights, self._step = variables[0], step

    def start(self) -> None:
        """Take the weights of the file."""
        self._weights.assign(self._read("weights", self._dtype, self._dim))

    def step(self) -> float:
        """A step; its seconds, from when TensorFlow holds ids and gradient in its own memory."""
        ids = self._tf.constant(np.fromfile(self._files / "ids", np.int64))
        dy = self._tf.constant(self._read("dy", self._dtype, self._dim))
        rest()
        started = time.perf_counter()
        self._step(ids, dy).numpy()  # waits for the result
        seconds = time.perf_counter() - started
        rest()
        return seconds

    def save(self) -> None:
        """Write the weights to the file."""
        self._weights.numpy().tofile(self._files / "weights")

    def _read(self, name: str, dtype: str, dim: int) -> Any:
        return np.fromfile(self._files / name, dtype).reshape(-1, dim)


def main(files: Path, threads: int) -> None:
    """Make a table for each line that describes one, and do what the other lines say."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the libraries print is no answer
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    adam = None
    for line in sys.stdin:
        order, answer = json.loads(line), None
        if isinstance(order, dict):
            adam = None  # the one before must be gone to make room
            adam = Adam(files, **order)
        else:
            answer = getattr(adam, order)()
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
