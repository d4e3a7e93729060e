"""Which films go together? Random walks on a graph of films, embedded with NumPy and pyembed.

Films are linked that the same people like (MovieLens 100K). Walks through this graph are sentences
whose words are films, and word2vec makes vectors of them. Are these any good?

1. A fifth of the links is hidden, and guessed among as many pairs of films that have no link but
   are as popular: by the vectors, by how many neighbours two films share, or by popularity alone?
2. What do the preferences of the walks change? With a low p they turn back, with a low q they
   wander off, as in node2vec; with 1 for both each step is free, as in DeepWalk.
3. What do films lie beside? A map, and the nearest ones of some.

With ``--gensim``, that is trained on the same walks, to compare (``pip install gensim``). Only the
times differ from run to run, and what gensim finds; every other number is the same with any number
of threads.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

import datasets
import pyembed as pe
from arguments import add_number, add_seed, add_threads_and_figure, example_parser
from graph_study import embedding, figure, links
from graph_study.embedding import Trained
from graph_study.films import CHOSEN, liked_together
from graph_study.links import Hidden
from graph_study.network import Nodes
from graph_study.walks import walk

PREFERENCES = ((1.0, 1.0), (0.5, 2.0), (2.0, 0.5))  # p and q of the walks
MAP = (0.5, 2.0)  # of the map's
TIMES, LENGTH = 10, 80  # walks from each film, films of each
QUERIES = ("Star Wars", "Toy Story", "Pulp Fiction", "Casablanca", "Scream")


def main(arguments: Sequence[str] | None = None) -> None:
    """Hide links and guess them, then draw the whole graph."""
    options = parse_arguments(arguments)
    pe.set_num_threads(options.threads)
    try:
        ratings = datasets.movielens_100k()
    except datasets.DataUnavailableError as error:
        sys.exit(f"graph.py: {error}")
    network, films = liked_together(ratings)
    print(
        f"{len(films):,} films and {len(network.links):,} links: each chose {CHOSEN} others that "
        "the same people like"
    )

    results = Results()
    splits = range(options.seed, options.seed + options.splits)
    for split in tqdm(splits, desc="splits", leave=False, disable=None):
        guess(links.hide(network, split), split, options, results)
    print(results.table())

    walks = walk(network, p=MAP[0], q=MAP[1], times=TIMES, length=LENGTH, seed=options.seed)
    vectors = embedding.by_pyembed(walks, options.seed).vectors
    print(neighbours(vectors, films, ratings))
    figure.draw(options.output, network, films, vectors, ratings, results.goodness(), options.seed)
    print(f"\nFigure: {options.output}")


class Results:
    """How good each way to guess was in every split, and how long it took."""

    def __init__(self) -> None:
        self._rows: dict[str, list[tuple[float, float, float, float]]] = {}

    def add(
        self, way: str, scores: links.Scores, hidden: Hidden, walking: float, training: float
    ) -> None:
        """Judge the scores of one split."""
        auc = links.auc(scores, hidden.is_link)
        precision = links.average_precision(scores, hidden.is_link)
        self._rows.setdefault(way, []).append((auc, precision, walking, training))

    def goodness(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return the AUC and average precision of every split, (splits, 2)."""
        return {way: np.array(rows)[:, :2] for way, rows in self._rows.items()}

    def table(self) -> str:
        """Tell all that is known."""
        splits = len(next(iter(self._rows.values())))
        of_splits = f"mean ± std of {splits} splits" if splits > 1 else "one split"
        lines = [
            f"\nHidden links among pairs without one, {of_splits}; median seconds of walks and of "
            "training",
            f"  {'guesses by':<32}  {'AUC':<15}  {'average precision':<17}   walks  training",
        ]
        for way, rows in self._rows.items():
            mean, spread = np.mean(rows, axis=0), np.std(rows, axis=0)
            both = (f"{mean[k]:.3f}" + f" ± {spread[k]:.3f}" * (splits > 1) for k in (0, 1))
            walking, training = np.median(rows, axis=0)[2:]
            took = f"  {walking:6.2f}    {training:6.2f}" if training else ""
            lines.append(f"  {way:<32}  {next(both):<15}  {next(both):<17}{took}".rstrip())
        return "\n".join(lines)


def guess(hidden: Hidden, split: int, options: argparse.Namespace, results: Results) -> None:
    """Guess hidden links in every way."""
    known, pairs = hidden.known, hidden.pairs
    results.add("popularity alone", links.by_degrees(known, pairs), hidden, 0, 0)
    shared = links.by_shared_neighbours(known, pairs)
    results.add("shared neighbours", shared, hidden, 0, 0)
    for p, q in PREFERENCES:
        started = time.perf_counter()
        walks = walk(known, p=p, q=q, times=options.walks, length=LENGTH, seed=split)
        walking = time.perf_counter() - started
        for who, train in trainers(known.nodes, split, options).items():
            trained = train(walks)
            scores = links.by_vectors(trained.vectors, pairs)
            results.add(f"{who}, p = {p:g}, q = {q:g}", scores, hidden, walking, trained.seconds)


def trainers(
    nodes: int, seed: int, options: argparse.Namespace
) -> dict[str, Callable[[Nodes], Trained]]:
    """Return who trains on walks."""
    made = {"vectors": lambda walks: embedding.by_pyembed(walks, seed)}
    if options.gensim:
        made["gensim's"] = lambda walks: embedding.by_gensim(walks, nodes, seed, options.threads)
    return made


def neighbours(
    vectors: npt.NDArray[np.float32], films: Nodes, ratings: datasets.Ratings, count: int = 4
) -> str:
    """Name the films whose vectors are nearest to those of some."""
    lines = ["\nFilms that are reached from the same places"]
    for title in QUERIES:
        node = int(np.flatnonzero(films == ratings.titles.index(title))[0])
        pairs = np.stack([np.full(len(films), node), np.arange(len(films))], axis=1)
        cosine = links.by_vectors(vectors, pairs)
        cosine[node] = -1.0
        nearest = np.argsort(-cosine, kind="stable")[:count]
        named = "; ".join(f"{ratings.titles[films[n]]} {cosine[n]:.2f}" for n in nearest)
        lines.append(f"  {title:<13} {named}")
    return "\n".join(lines)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; what cannot work is refused here, before any work is done."""
    parser = example_parser(str(__doc__))
    add_seed(parser, "first seed: of the hidden links, the walks and the vectors")
    add_number(parser, "--splits", 5, "how often other links are hidden", 1, 100)
    add_number(parser, "--walks", TIMES, "from each film", 1, 1000)
    parser.add_argument("--gensim", action="store_true", help="train with gensim as well")
    add_threads_and_figure(parser, pe.get_num_threads(), "graph.png")
    options = parser.parse_args(arguments)
    if options.gensim and find_spec("gensim") is None:
        parser.error("--gensim needs gensim: pip install gensim")
    return options


if __name__ == "__main__":
    main()
