"""Favourable or not? A sentiment classifier on film reviews, trained with NumPy and pyembed.

The model is the mean of a snippet's word vectors and a logistic regression on it. It answers
three questions that come up with embeddings, as tables and as one figure:

1. A lookup is said to be the same as a matmul with one-hot rows. Is it, and what does each cost?
2. Do pretrained word vectors help, and most where there is little to learn from? GloVe's have read
   a library, those of word2vec the reviews alone, without their verdicts.
3. Which words are alike after training? The task teaches verdicts, pretraining taught meanings.

Only the times differ from run to run; every other number is the same with any number of threads.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

import datasets
import pyembed as pe
from arguments import add_seed, add_threads_and_figure, example_parser
from pyembed.vectors import Vocabulary, WordVectors
from sentiment_study import figure, one_hot, report
from sentiment_study.neighbours import Similarity
from sentiment_study.one_hot import Comparison
from sentiment_study.pretrained import (
    LearningCurve,
    Pretrained,
    Start,
    majority_accuracy,
    train,
)
from sentiment_study.snippets import Snippets, Split, split_by_film, tokenize

T = TypeVar("T")


@dataclass(frozen=True)
class Effort:
    """How much to compute."""

    table_sizes: tuple[int, ...]
    timed_steps: int
    training_sizes: tuple[int | None, ...]  # None: all snippets
    seeds: int
    training_steps: int


FULL = Effort(
    table_sizes=(1_000, 4_000, 16_000, 64_000, 256_000),
    timed_steps=30,
    training_sizes=(100, 300, 1_000, 3_000, None),
    seeds=5,
    training_steps=2_000,
)
QUICK = Effort(
    table_sizes=(1_000, 8_000, 64_000),
    timed_steps=10,
    training_sizes=(100, 1_000, None),
    seeds=3,
    training_steps=1_000,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Answer the three questions."""
    options = parse_arguments(arguments)
    pe.set_num_threads(options.threads)
    effort = QUICK if options.quick else FULL
    try:
        reviews = datasets.rotten_tomatoes()
        every = WordVectors(*datasets.glove_50d())
    except datasets.DataUnavailableError as error:
        sys.exit(f"sentiment.py: {error}")

    texts = [tokenize(text) for text in reviews.texts]
    words = Vocabulary.from_texts(texts, padding=None)
    snippets = Snippets.encode(texts, reviews.fresh, words)
    glove = Pretrained.select(words, every)
    splits = [
        split_by_film(snippets, reviews.movies, options.seed + place)
        for place in range(effort.seeds)
    ]
    films = len(np.unique(reviews.movies))
    print(f"{len(snippets):,} review snippets, {films} films, {len(words) - 1:,} different words")

    comparisons = compare_one_hot(texts, reviews.fresh, every, effort, options.seed)
    print(report.on_one_hot(comparisons))

    own = [
        Pretrained.from_text(split.training, *glove.vectors.shape, seed)
        for seed, split in progress(enumerate(splits, options.seed), "word2vec", len(splits))
    ]
    curves = learning_curves(splits, glove, own, effort, options.seed)
    majority = float(np.mean([majority_accuracy(split) for split in splits]))
    print(report.on_pretraining(curves, majority))

    similarities = compare_words(words, snippets, splits[0], glove, own[0], effort, options.seed)
    print(report.on_words(similarities))

    figure.draw(options.output, comparisons, curves, majority, similarities)
    print(f"\nFigure: {options.output}")


def compare_one_hot(
    texts: list[list[str]],
    fresh: npt.NDArray[np.bool_],
    every: WordVectors,
    effort: Effort,
    seed: int,
) -> list[Comparison]:
    """Train lookups and matmuls alike, on the commonest words of GloVe."""
    rows = max(effort.table_sizes)
    vectors = np.zeros((rows, every.dim), np.float32)
    vectors[1:] = every.matrix[: rows - 1]  # row 0 is for unknown words
    words = Vocabulary(every.words[: rows - 1], padding=None)
    snippets = Snippets.encode(texts, fresh, words)
    results = one_hot.compare(
        snippets, vectors, effort.table_sizes, steps=effort.timed_steps, seed=seed
    )
    return list(progress(results, "one-hot", len(effort.table_sizes)))


def learning_curves(
    splits: Sequence[Split],
    glove: Pretrained,
    own: Sequence[Pretrained],
    effort: Effort,
    seed: int,
) -> dict[Start, LearningCurve]:
    """Train from every start, with every number of snippets, on every split."""
    runs = list(product(Start, effort.training_sizes, range(len(splits))))
    counts, accuracies = [], []
    for start, size, place in progress(runs, "training", len(runs)):
        first = own[place] if start is Start.OWN else glove
        steps = effort.training_steps
        run = train(start, splits[place], size, first, steps=steps, seed=seed + place)
        counts.append(run.snippets)
        accuracies.append(run.accuracy)
    shape = (len(Start), len(effort.training_sizes), len(splits))
    mean_counts = np.reshape(counts, shape).mean(axis=2).astype(int)
    accuracy = np.reshape(accuracies, shape)
    return {
        start: LearningCurve(mean_counts[place], accuracy[place])
        for place, start in enumerate(Start)
    }


def compare_words(
    words: Vocabulary,
    snippets: Snippets,
    split: Split,
    glove: Pretrained,
    own: Pretrained,
    effort: Effort,
    seed: int,
) -> dict[str, Similarity]:
    """Train on all training snippets, and keep the word vectors before and after."""
    vectors = {"GloVe, before": glove.vectors, "own text, before": own.vectors}
    for start in (Start.TUNED, Start.SCRATCH):
        run = train(start, split, None, glove, steps=effort.training_steps, seed=seed)
        vectors[start.value] = run.classifier.bag.embeddings
    # Rarer words are left out as neighbours: training from scratch cannot place them.
    counts = np.bincount(snippets.ids, minlength=len(glove.known))
    _, *names = words
    alphabetic = np.array([False, *(word.isalpha() for word in names)])
    candidates = (counts >= 15) & alphabetic & glove.known & own.known
    return {name: Similarity(names, table, candidates) for name, table in vectors.items()}


def progress(items: Iterable[T], what: str, total: int) -> tqdm[T]:
    """Show a progress bar, on a terminal only, that makes room for the table when done."""
    return tqdm(items, desc=what, total=total, leave=False, disable=None)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; what cannot work is refused here, before any work is done."""
    parser = example_parser(str(__doc__))
    add_seed(parser, "first seed")
    parser.add_argument("--quick", action="store_true", help="a smaller run, of some seconds")
    add_threads_and_figure(parser, pe.get_num_threads(), "sentiment.png")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
