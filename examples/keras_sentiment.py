"""Favourable or not? One Keras model with three embedding layers, side by side.

The model is the mean of a snippet's word vectors and a logistic regression on it, fitted by Keras
on reviews of films. Its embedding layer is, in turn:

1. Keras's own;
2. that of `pyembed.keras`, one changed import: the same results, since it is Keras's layer;
3. the same with ``optimizer=``: a step updates the rows in its batch, and no others.

Once with the words of the reviews, some 20,000, and once with words and pairs of words hashed into
a table of a million rows. Each training has a process of its own, whose memory is measured.

Needs Keras and a backend (``pip install '.[examples,keras]' torch``; KERAS_BACKEND picks another).
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import sys
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

import datasets
import pyembed as pe
from arguments import add_seed, add_threads_and_figure, example_parser
from pyembed.vectors import Vocabulary
from sentiment_study.figure import BLUE, GREY, ORANGE
from sentiment_study.snippets import Snippets, Split, split_by_film, tokenize

LAYERS = ("Keras's", "ours", "ours, optimizer=")
COLORS = (GREY, ORANGE, BLUE)
DIM = 64
BATCH = 256
RATE = 5e-3
WARM_STEPS = 5  # in which code is loaded and memory touched


@dataclass(frozen=True)
class Data:
    """Padded ids and labels, to learn from and to be judged on."""

    name: str
    rows: int  # of the table that the ids name
    training: tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]
    test: tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Result:
    """What one training came to."""

    accuracy: float
    step_ms: float
    memory_mb: float | None  # the most in training, table and optimizer included


def main(arguments: Sequence[str] | None = None) -> None:
    """Train every layer on both vocabularies."""
    options = parse_arguments(arguments)
    try:
        reviews = datasets.rotten_tomatoes()
    except datasets.DataUnavailableError as error:
        sys.exit(f"keras_sentiment.py: {error}")
    texts = [tokenize(text) for text in reviews.texts]
    hashed_rows = 100_000 if options.quick else 1_000_000
    epochs = 1 if options.quick else 3
    results: dict[str, dict[str, Result]] = {}
    for data in (
        of_words(texts, reviews.fresh, reviews.movies, options.seed),
        of_hashes(texts, reviews.fresh, reviews.movies, options.seed, hashed_rows),
    ):
        snippets, length = data.training[0].shape
        print(f"\n{data.name}: {snippets:,} snippets to learn from, padded to {length} ids")
        results[data.name] = {
            layer: in_fresh_process(layer, data, epochs, options) for layer in LAYERS
        }
    print(table_of(results))
    draw(options.output, results)
    print(f"\nFigure: {options.output}")


def of_words(
    texts: list[list[str]], fresh: npt.NDArray[np.bool_], films: npt.NDArray[np.str_], seed: int
) -> Data:
    """Ids of the reviews' own words."""
    words = Vocabulary.from_texts(texts, padding=None)  # 0, of unknown words, is for padding
    split = split_by_film(Snippets.encode(texts, fresh, words), films, seed)
    return padded(f"{len(words) - 1:,} words", len(words), split)


def of_hashes(
    texts: list[list[str]],
    fresh: npt.NDArray[np.bool_],
    films: npt.NDArray[np.str_],
    seed: int,
    rows: int,
) -> Data:
    """Hashes of words and of pairs of neighbours; 0 is left for padding."""
    features = [[*text, *map(" ".join, itertools.pairwise(text))] for text in texts]
    hashed = [[1 + zlib.crc32(one.encode()) % (rows - 1) for one in of] for of in features]
    lengths = np.array([len(ids) for ids in hashed], np.int64)
    snippets = Snippets(
        ids=np.array([one for ids in hashed for one in ids], np.int64),
        offsets=np.cumsum(lengths) - lengths,
        labels=fresh.astype(np.float32),
    )
    return padded(f"{rows:,} hashes", rows, split_by_film(snippets, films, seed))


def padded(name: str, rows: int, split: Split) -> Data:
    """Bags as rows of one length, zeros after their ids."""
    length = int(max(part.lengths.max() for part in (split.training, split.test)))

    def matrix(part: Snippets) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        ids = np.zeros((len(part), length), np.int64)
        ids[np.arange(length) < part.lengths[:, None]] = part.ids
        return ids, part.labels[:, None]

    return Data(name, rows, matrix(split.training), matrix(split.test))


def in_fresh_process(layer: str, data: Data, epochs: int, options: argparse.Namespace) -> Result:
    """Train in a process that has trained nothing before."""
    print(f"\n{layer}", flush=True)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(trained, (layer, data, epochs, options.seed, options.threads))


def trained(layer: str, data: Data, epochs: int, seed: int, threads: int) -> Result:
    """Fit the model with one of the layers."""
    import keras

    use_threads(threads)
    keras.utils.set_random_seed(seed)
    clock = clock_of(keras)
    before = memory_mb("VmRSS")
    model = model_of(keras, layer, data.rows, data.training[0].shape[1], seed)
    forget_peak()  # the making of the table is no step
    model.fit(*data.training, batch_size=BATCH, epochs=epochs, callbacks=[clock])
    peak = memory_mb("VmHWM")
    _, accuracy = model.evaluate(*data.test, verbose=0)
    memory = None if before is None or peak is None else peak - before
    return Result(float(accuracy), 1e3 * float(np.median(clock.seconds[WARM_STEPS:])), memory)


def model_of(keras: Any, layer: str, rows: int, length: int, seed: int) -> Any:
    """Make the model; all of them start from the same weights."""
    from pyembed.keras import Embedding

    start = pe.initializers.RandomUniform(seed=seed)
    embedding = {
        "Keras's": keras.layers.Embedding,
        "ours": Embedding,
        # Dense Adam's weights, as the other two have: without update=, rows rest between batches.
        "ours, optimizer=": partial(
            Embedding, optimizer=partial(pe.SparseAdam, learning_rate=RATE, update="exact")
        ),
    }[layer]
    model = keras.Sequential(
        [
            keras.Input((length,), dtype="int64"),
            embedding(rows, DIM, start, mask_zero=True),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(keras.optimizers.Adam(RATE), "binary_crossentropy", metrics=["accuracy"])
    return model


def clock_of(keras: Any) -> Any:
    """Make a callback that remembers how long each step took."""

    class Clock(keras.callbacks.Callback):  # type: ignore[misc, name-defined, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.seconds: list[float] = []

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self._began = time.perf_counter()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.seconds.append(time.perf_counter() - self._began)

    return Clock()


def use_threads(threads: int) -> None:
    """Have ours use so many; PyTorch too, whose number they follow."""
    pe.set_num_threads(threads)
    if os.environ.get("KERAS_BACKEND") == "torch":
        import torch

        torch.set_num_threads(threads)


def memory_mb(what: str) -> float | None:
    """Return what Linux knows of this process's memory; None on other systems."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    lines = (line.split() for line in status.read_text().splitlines())
    return next(int(line[1]) / 1e3 for line in lines if line[0] == f"{what}:")


def forget_peak() -> None:
    """Let the peak of memory be counted from now on, where the system can."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")


def table_of(results: dict[str, dict[str, Result]]) -> str:
    """Return all results as a table of text, a column a layer."""
    lines = [f"\n{'':<38}" + "".join(f"{layer:>20}" for layer in LAYERS)]
    for name, of in results.items():
        found = [of[layer] for layer in LAYERS]
        columns = {
            "accuracy": [f"{one.accuracy:.3f}" for one in found],
            "ms a step": [f"{one.step_ms:,.1f}" for one in found],
            "MB": ["-" if one.memory_mb is None else f"{one.memory_mb:,.0f}" for one in found],
        }
        for what, values in columns.items():
            lines.append(f"{name + ', ' + what:<38}" + "".join(f"{value:>20}" for value in values))
    return "\n".join(lines)


def draw(path: Path, results: dict[str, dict[str, Result]]) -> None:
    """Draw accuracy, time and memory; the ending of ``path`` is the format."""
    figure = Figure(figsize=(12, 4), layout="constrained")
    panels = {
        "Accuracy on films not seen": lambda one: one.accuracy,
        "A step of fit, ms": lambda one: one.step_ms,
        "Memory of training, MB": lambda one: one.memory_mb or np.nan,
    }
    for axes, (title, value) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        for place, (layer, color) in enumerate(zip(LAYERS, COLORS, strict=True)):
            heights = [value(of[layer]) for of in results.values()]
            at = np.arange(len(heights)) + 0.27 * (place - 1)
            bars = axes.bar(at, heights, 0.25, color=color, label=layer)
            texts = [f"{height:.2f}" if height < 1 else f"{height:,.0f}" for height in heights]
            axes.bar_label(bars, texts, fontsize=8)
        axes.set_title(title)
        axes.set_xticks(range(len(results)), list(results))
        axes.spines[["top", "right"]].set_visible(False)
        if "Accuracy" in title:
            axes.set_ylim(0.5, 0.9)
        else:
            axes.set_yscale("log")
            axes.set_ylim(bottom=1, top=2 * axes.get_ylim()[1])
            axes.yaxis.set_major_formatter("{x:,.0f}")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(path)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; what cannot work is refused here, before any work is done."""
    parser = example_parser(str(__doc__))
    add_seed(parser, "of the split, the weights and the order of batches")
    parser.add_argument("--quick", action="store_true", help="one epoch, and a smaller table")
    add_threads_and_figure(parser, pe.get_num_threads(), "keras_sentiment.png")
    options = parser.parse_args(arguments)
    choose_backend(parser)
    return options


def choose_backend(parser: argparse.ArgumentParser) -> None:
    """Let Keras run on a backend that is installed, where none is named."""
    if find_spec("keras") is None:
        parser.error("needs Keras: pip install 'keras>=3.10'")
    there = [name for name in ("torch", "tensorflow", "jax") if find_spec(name) is not None]
    if not there:
        parser.error("needs a backend of Keras's: pip install torch, tensorflow or jax")
    os.environ.setdefault("KERAS_BACKEND", there[0])


if __name__ == "__main__":
    main()
