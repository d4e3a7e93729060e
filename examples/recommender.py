"""How many stars? A recommender on MovieLens 100K, trained with NumPy and pyembed.

The model is matrix factorisation with biases: a vector and a bias for every user and every film,
four tables in all. It is judged by the RMSE of held-out ratings, in five-fold cross-validation:

1. Is it as good as published? In the same kind of test, with its default settings, Surprise has
   0.944 for biases alone, 0.934 for its SVD, which is this model, and 0.919 for SVD++, which also
   counts what a user has rated at all.
2. What does each optimizer make of it? Every rate decays along a cosine, from a start of its own.
3. What does lazy Adam change? It leaves rows without a gradient alone, where dense Adam moves all
   rows at every step. Exact Adam has dense Adam's result, from the rows in the batch alone.

Only the times differ from run to run; every other number is the same with any number of threads.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import product

import numpy as np
from tqdm import tqdm

import datasets
import pyembed as pe
from arguments import add_number, add_seed, add_threads_and_figure, example_parser
from recommender_study import figure
from recommender_study.factorization import Factorization
from recommender_study.folds import FOLDS, folds
from recommender_study.optimizers import DENSE, EXACT, LAZY, OPTIMIZERS
from recommender_study.training import Run, train

# Five-fold cross-validation of Surprise, with its defaults: https://surpriselib.com
PUBLISHED = {"biases alone": 0.944, "Surprise's SVD": 0.934, "Surprise's SVD++": 0.919}
EPOCHS = 12
QUERIES = ("Star Wars", "Toy Story", "Pulp Fiction", "Casablanca")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train with every optimizer on every fold, and report."""
    options = parse_arguments(arguments)
    pe.set_num_threads(options.threads)
    try:
        ratings = datasets.movielens_100k()
    except datasets.DataUnavailableError as error:
        sys.exit(f"recommender.py: {error}")
    users, films = ratings.user_count, len(ratings.titles)
    print(f"{len(ratings):,} ratings of {films:,} films by {users} users")

    splits = folds(ratings, options.seed)[: options.folds]
    tasks = list(product(OPTIMIZERS, splits))
    runs: dict[str, list[Run]] = {name: [] for name in OPTIMIZERS}
    for name, split in tqdm(tasks, desc="training", leave=False, disable=None):
        runs[name].append(train(name, split, epochs=EPOCHS, seed=options.seed))

    print(results(runs))
    print(adams(runs))
    print(neighbours(runs[EXACT][0].model, ratings))
    curves = {name: np.array([run.rmse for run in each]) for name, each in runs.items()}
    figure.draw(options.output, curves, PUBLISHED)
    print(f"\nFigure: {options.output}")


def results(runs: dict[str, list[Run]]) -> str:
    """Tell how good every optimizer's model is, and how long a step took."""
    count = len(runs[EXACT])
    of_folds = f"mean ± std of {count} folds" if count > 1 else "one fold"
    lines = [f"\nRMSE of held-out ratings after {EPOCHS} epochs, {of_folds}; ms a training step"]
    for name, each in runs.items():
        last = np.array([run.rmse[-1] for run in each])
        milliseconds = 1e3 * np.median([run.step_seconds for run in each])
        spread = f" ± {last.std():.4f}" if count > 1 else ""
        lines.append(f"  {name:<16}  {last.mean():.4f}{spread}  {milliseconds:6.2f} ms")
    lines += [f"  {name:<16}  {rmse:.3f}, published" for name, rmse in PUBLISHED.items()]
    return "\n".join(lines)


def adams(runs: dict[str, list[Run]]) -> str:
    """Tell how far lazy and exact Adam's tables end up from dense Adam's."""
    dense = runs[DENSE][0].model.tables

    def farthest(name: str) -> float:
        pairs = zip(runs[name][0].model.tables, dense, strict=True)
        return max(float(np.abs(own.embeddings - to.embeddings).max()) for own, to in pairs)

    return (
        "\nThe largest difference between a weight and dense Adam's, on the first fold\n"
        f"  {LAZY}   {farthest(LAZY):.1e}\n"
        f"  {EXACT}  {farthest(EXACT):.1e}, the rounding of float32"
    )


def neighbours(model: Factorization, ratings: datasets.Ratings, count: int = 4) -> str:
    """Name the films that are rated most like some well-known ones, by the cosine of vectors."""
    vectors = model.film_vectors.embeddings
    lengths = np.sqrt(np.einsum("vd,vd->v", vectors, vectors))
    directions = vectors / np.maximum(lengths, 1e-12)[:, None]
    often = np.bincount(ratings.films, minlength=len(lengths)) >= 50
    lines = ["\nFilms that the same people like, of those with 50 ratings or more"]
    for title in QUERIES:
        film = ratings.titles.index(title)
        cosine = np.einsum("vd,d->v", directions, directions[film])
        cosine[~often] = -1.0
        cosine[film] = -1.0
        nearest = np.argsort(-cosine, kind="stable")[:count]
        named = "; ".join(f"{ratings.titles[other]} {cosine[other]:.2f}" for other in nearest)
        lines.append(f"  {title:<13} {named}")
    return "\n".join(lines)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; what cannot work is refused here, before any work is done."""
    parser = example_parser(str(__doc__))
    add_seed(parser, "of the folds, the first vectors and the batches")
    add_number(
        parser, "--folds", FOLDS, f"how many of the {FOLDS} folds to hold out in turn", 1, FOLDS
    )
    add_threads_and_figure(parser, pe.get_num_threads(), "recommender.png")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
