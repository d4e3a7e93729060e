"""Vectors of nodes: a walk is a sentence, its nodes are the words (Perozzi et al. 2014)."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyembed import word2vec

from .network import Nodes

DIM, RATE = 64, 0.0125  # at the usual rate, vectors of so few nodes learn the walks by heart
ARGUMENTS = {"window": 5, "negative": 5, "epochs": 1, "min_count": 1, "sample": 0}


@dataclass(frozen=True)
class Trained:
    """A vector for each node, and how long they took."""

    vectors: npt.NDArray[np.float32]
    seconds: float


def by_pyembed(walks: Nodes, seed: int) -> Trained:
    """Train with this library: the walks are taken as they are, and row ``n`` is that of node n."""
    started = time.perf_counter()
    trained = word2vec.train(
        walks, dim=DIM, learning_rate=RATE, seed=seed, progress=False, **ARGUMENTS
    )
    return Trained(trained.matrix, time.perf_counter() - started)


def by_gensim(walks: Nodes, nodes: int, seed: int, threads: int) -> Trained:
    """Train with gensim, which wants lists of names: to make these is not timed."""
    from gensim.models import Word2Vec

    sentences = [list(map(str, walk)) for walk in walks.tolist()]
    started = time.perf_counter()
    model = Word2Vec(
        sentences, vector_size=DIM, alpha=RATE, sg=1, workers=threads, seed=seed, **ARGUMENTS
    )
    seconds = time.perf_counter() - started
    return Trained(model.wv[[str(node) for node in range(nodes)]], seconds)
