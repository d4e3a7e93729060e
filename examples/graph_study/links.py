"""Link prediction: some links are hidden, and guessed among pairs that have none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .network import Links, Network

SHARE = 0.2  # of the links, that is hidden
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Hidden:
    """What may be walked on, and the pairs to be judged: half of them are links that are not."""

    known: Network
    pairs: Links  # (2 * hidden, 2)
    is_link: npt.NDArray[np.bool_]


def hide(network: Network, seed: int) -> Hidden:
    """Hide links at random, but none that is the last one of a node."""
    rng = np.random.default_rng(seed)
    left = network.degrees.copy()
    is_known = np.ones(len(network.links), np.bool_)
    wanted = int(SHARE * len(network.links))
    for link in rng.permutation(len(network.links)):
        ends = network.links[link]
        if wanted and left[ends].min() > 1:
            left[ends] -= 1
            is_known[link] = False
            wanted -= 1
    hidden = network.links[~is_known]
    others = _without_link(network, len(hidden), rng)
    return Hidden(
        known=network.take(is_known),
        pairs=np.concatenate([hidden, others]),
        is_link=np.repeat([True, False], len(hidden)),
    )


def _without_link(network: Network, count: int, rng: np.random.Generator) -> Links:
    """Draw different pairs that have no link, hidden or not.

    Each end is one of a link drawn at random: nodes with many links are there as often as among the
    links, or popularity alone would tell these from those.
    """
    ends = network.links.ravel()
    found = np.empty((0, 2), np.int64)
    while len(found) < count:
        pairs = np.sort(rng.choice(ends, (2 * count, 2)), axis=1)
        good = (pairs[:, 0] != pairs[:, 1]) & ~network.linked(*pairs.T)
        found = np.unique(np.concatenate([found, pairs[good]]), axis=0)
    return rng.permutation(found)[:count]


def by_vectors(vectors: npt.NDArray[np.float32], pairs: Links) -> Scores:
    """Score pairs by the cosine of their vectors."""
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    first, second = (vectors[ends] / lengths[ends, None] for ends in pairs.T)
    return np.einsum("nd,nd->n", first, second).astype(np.float64)


def by_degrees(known: Network, pairs: Links) -> Scores:
    """Score pairs by how many neighbours both have: what popularity alone can tell."""
    return known.degrees[pairs].prod(axis=1).astype(np.float64)


def by_shared_neighbours(known: Network, pairs: Links) -> Scores:
    """Score pairs by the neighbours that they share: one counts the more, the fewer it has.

    (Adamic & Adar 2003.)
    """
    is_linked = np.zeros((known.nodes, known.nodes))
    is_linked[known.links[:, 0], known.links[:, 1]] = 1
    is_linked += is_linked.T
    worth = 1 / np.log(np.maximum(known.degrees, 2))
    first, second = pairs.T
    return np.einsum("nk,nk,k->n", is_linked[first], is_linked[second], worth)


def auc(scores: Scores, is_link: npt.NDArray[np.bool_]) -> float:
    """Return how often a link has a higher score than a pair without; ties count half."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # from 1; the middle one of ties
    links, others = int(is_link.sum()), int((~is_link).sum())
    return float((ranks[is_link].sum() - links * (links + 1) / 2) / (links * others))


def average_precision(scores: Scores, is_link: npt.NDArray[np.bool_]) -> float:
    """Return the mean, over the links, of how many of those that score so high are links."""
    _, place = np.unique(-scores, return_inverse=True)
    found = np.cumsum(np.bincount(place, weights=is_link))
    precision = found / np.cumsum(np.bincount(place))
    return float((precision[place] * is_link).sum() / is_link.sum())
