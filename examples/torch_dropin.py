"""One changed import: a PyTorch model with a large table, trained by torch and by pyembed.

The model guesses the next word of the speeches of US presidents, among random other words, from a
bag of hashed features of the words before it: single ones, pairs and up to five in a row. Such a
table of millions of rows is what recommenders and click predictors have, of which a batch touches
a few percent. It is trained three times on the same batches from the same start:

1. as most programs have it, with torch's ``SparseAdam``;
2. with the one import changed: ``from pyembed.torch import SparseAdam``;
3. with the modules' imports changed as well: ``from pyembed.torch import Embedding, EmbeddingBag``.

Needs PyTorch (``pip install '.[examples,torch]'``) and about 3 GB of memory.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure
from tqdm import tqdm

import datasets
import pyembed.torch as pt
from arguments import add_number, add_seed, add_threads_and_figure, example_parser

ROWS = 1 << 21  # of the table of features
DIM = 64
BATCH = 16_384
OTHERS = 5  # random words beside each true one
RARE = 5  # words seen less often are one word
LEARNING_RATE = 1e-3
# Which of the words before the next one each feature is made of: 0 is the last one.
FEATURES = ((0,), (1,), (2,), (0, 1), (0, 2), (0, 1, 2), (0, 1, 2, 3), (0, 1, 2, 3, 4))
BEFORE = 1 + max(map(max, FEATURES))

Ints = npt.NDArray[np.int64]

# The three programs differ in where these come from.
SIDES: dict[str, tuple[Any, Any, Any]] = {
    "torch": (torch.nn.EmbeddingBag, torch.nn.Embedding, torch.optim.SparseAdam),
    "pyembed's SparseAdam": (torch.nn.EmbeddingBag, torch.nn.Embedding, pt.SparseAdam),
    "pyembed's modules too": (pt.EmbeddingBag, pt.Embedding, pt.SparseAdam),
}


class NextWord(torch.nn.Module):
    """Scores of words that may come next, by inner products with the bag of features."""

    def __init__(self, bag: Any, embedding: Any, words: int) -> None:
        super().__init__()
        self.features = bag(ROWS, DIM, mode="sum", sparse=True)
        self.words = embedding(words, DIM, sparse=True)
        with torch.no_grad():
            self.features.weight.mul_(0.05)
            self.words.weight.zero_()

    def forward(self, features: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """Score words (batch, candidates) after features (batch, len(FEATURES))."""
        before = self.features(features)
        scores: torch.Tensor = torch.einsum("bd,bcd->bc", before, self.words(words))
        return scores


@dataclass
class Run:
    """One training: the loss and the time after each step, and where the time went."""

    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    step_seconds: list[float] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train with each set of imports, and report."""
    options = parse_arguments(arguments)
    torch.set_num_threads(options.threads)
    try:
        text = datasets.state_of_the_union()
    except datasets.DataUnavailableError as error:
        sys.exit(f"torch_dropin.py: {error}")
    words, vocabulary = encode(text)
    features = hashed(words)
    print(
        f"{len(words):,} words of {vocabulary:,} kinds; {len(np.unique(features)):,} of {ROWS:,} "
        f"rows of the table are used; {options.threads} threads"
    )
    runs = {
        name: train(name, words, features, vocabulary, options.epochs, options.seed)
        for name in SIDES
    }
    print(results(runs))
    draw(options.output, runs)
    print(f"\nFigure: {options.output}")


def encode(text: str) -> tuple[Ints, int]:
    """Return the number of each word, commonest first, and how many there are; 0 is a rare one."""
    found = re.findall(r"[a-z]+|[0-9]+", text.lower())
    kept = [word for word, count in Counter(found).most_common() if count >= RARE]
    numbers = {word: number for number, word in enumerate(kept, 1)}
    return np.array([numbers.get(word, 0) for word in found]), len(kept) + 1


def hashed(words: Ints) -> Ints:
    """Return the features (positions, len(FEATURES)) of the words before each position."""
    count = len(words) - BEFORE
    columns = []
    for number, places in enumerate(FEATURES):
        key = np.full(count, number, np.uint64)
        for place in places:
            before = words[BEFORE - 1 - place :][:count].astype(np.uint64)
            key = (key + before + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
            key ^= key >> np.uint64(32)
        columns.append(key % np.uint64(ROWS))
    return np.stack(columns, axis=1).astype(np.int64)


def batches(words: Ints, features: Ints, seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield features, and words of which the first is the true one, in a random order."""
    rng = np.random.default_rng(seed)
    true = words[BEFORE:]
    order = rng.permutation(len(true))
    for start in range(0, len(order) - BATCH + 1, BATCH):
        chosen = order[start : start + BATCH]
        # As often as in the text: what is common must be told apart too.
        others = true[rng.integers(0, len(true), (BATCH, OTHERS))]
        candidates = np.concatenate([true[chosen, None], others], axis=1)
        yield torch.from_numpy(features[chosen]), torch.from_numpy(candidates)


def train(name: str, words: Ints, features: Ints, vocabulary: int, epochs: int, seed: int) -> Run:
    """Train one of the programs: but for the three classes, all is torch's."""
    bag, embedding, sparse_adam = SIDES[name]
    torch.manual_seed(seed)
    model = NextWord(bag, embedding, vocabulary)
    optimizer = sparse_adam(model.parameters(), lr=LEARNING_RATE)
    wanted = torch.zeros(BATCH, 1 + OTHERS)
    wanted[:, 0] = 1.0
    run = Run()
    steps = len(features) // BATCH * epochs
    spent = 0.0
    with tqdm(total=steps, desc=name, leave=False, disable=None) as progress:
        for epoch in range(epochs):
            for ids, candidates in batches(words, features, seed + epoch):
                start = time.perf_counter()
                optimizer.zero_grad()
                scores = model(ids, candidates)
                loss = torch.nn.functional.binary_cross_entropy_with_logits(scores, wanted)
                loss.backward()
                before_step = time.perf_counter()
                optimizer.step()
                end = time.perf_counter()
                spent += end - start
                run.losses.append(loss.item())
                run.seconds.append(spent)
                run.step_seconds.append(end - before_step)
                progress.update()
    return run


def results(runs: dict[str, Run]) -> str:
    """Tell how long each took, and how far the losses are apart."""
    torch_run = next(iter(runs.values()))
    lines = ["\n                        last loss  seconds          optimizer.step()"]
    for name, run in runs.items():
        total, step = run.seconds[-1], 1e3 * float(np.median(run.step_seconds))
        total_ratio = torch_run.seconds[-1] / total
        step_ratio = 1e3 * float(np.median(torch_run.step_seconds)) / step
        lines.append(
            f"  {name:<22} {np.mean(run.losses[-20:]):.6f}  {total:7.1f} (x{total_ratio:4.1f})"
            f"  {step:7.1f} ms (x{step_ratio:4.1f})"
        )
    apart = max(
        float(np.abs(np.subtract(run.losses, torch_run.losses)).max()) for run in runs.values()
    )
    lines.append(f"  the losses of a step are at most {apart:.1e} apart")
    return "\n".join(lines)


def draw(path: Path, runs: dict[str, Run]) -> None:
    """Draw the losses by step, where they are one curve, and by time, where they are not."""
    # Okabe and Ito's colours, which stay apart for colour-blind eyes; wide below narrow.
    styles = [("#8CCBF0", 9.0), ("#D55E00", 4.0), ("#000000", 1.2)]
    figure = Figure(figsize=(12.5, 4.8), layout="constrained")
    by_step, by_time = figure.subplots(1, 2, sharey=True)
    for (name, run), (color, width) in zip(runs.items(), styles, strict=True):
        smooth = np.convolve(run.losses, np.full(9, 1 / 9), mode="valid")
        by_step.plot(np.arange(9, len(run.losses) + 1), smooth, color=color, linewidth=width)
        seconds = run.seconds[8:]
        by_time.plot(seconds, smooth, color=color, linewidth=min(width, 3.0), label=name)
        by_time.annotate(
            f"{seconds[-1]:.0f} s",
            (seconds[-1], smooth[-1]),
            xytext=(0, -16),
            textcoords="offset points",
            color=color,
            ha="center",
        )
    by_step.set(
        title="One loss curve, three times", xlabel="steps", ylabel="loss (mean of 9 steps)"
    )
    by_time.set(title="The same, by the clock", xlabel="seconds of training")
    by_time.legend(frameon=False, title="SparseAdam of")
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.title.set_fontweight("bold")
        axes.grid(axis="y", alpha=0.3)
        axes.margins(y=0.1)
    figure.savefig(path, dpi=150)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; what cannot work is refused here, before any work is done."""
    parser = example_parser(str(__doc__))
    add_number(parser, "--epochs", 2, "how often to go through the text", 1, 100)
    add_seed(parser, "of the first weights and the batches")
    add_threads_and_figure(
        parser, torch.get_num_threads(), "torch_dropin.png", "of torch, which pyembed follows"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
