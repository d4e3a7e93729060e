"""A graph of films: those are linked that the same people like.

What makes it good?

- *Liked*, not rated: four stars or more. People see the films of their time, good or bad.
- *More than by chance*: the most popular films are liked together with every other. So links go by
  normalised pointwise mutual information, 1 where two films are liked by the same people alone, 0
  where it is as by chance.
- *Not by a few*: films that few people like are left out, since there chance decides.
- *The nearest alone*: each film chooses ten others, and a link is there where either chose. So none
  has too few links to walk on, and none is linked with everything.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from datasets import Ratings

from .network import Network, Nodes

STARS = 4  # from here on a film is liked
LIKED = 15  # by as many people, or left out
TOGETHER = 5  # as many people must like both
CHOSEN = 10


def liked_together(ratings: Ratings) -> tuple[Network, Nodes]:
    """Return the graph, whose nodes are those films that have links, and which films these are."""
    likes = ratings.take(np.flatnonzero(ratings.stars >= STARS))
    often = np.bincount(likes.films, minlength=len(ratings.titles)) >= LIKED
    films = np.flatnonzero(often)
    is_liked = np.zeros((ratings.user_count, len(ratings.titles)), np.float32)
    is_liked[likes.users, likes.films] = 1
    likeness = _likeness(is_liked[:, films])
    chosen = np.argsort(-likeness, axis=1, kind="stable")[:, :CHOSEN]
    pairs = np.stack([np.repeat(np.arange(len(films)), CHOSEN), chosen.ravel()], axis=1)
    pairs = np.unique(np.sort(pairs[likeness[pairs[:, 0], pairs[:, 1]] > 0], axis=1), axis=0)
    nodes, links = np.unique(pairs, return_inverse=True)
    weights = likeness[pairs[:, 0], pairs[:, 1]]
    return Network(len(nodes), links.reshape(pairs.shape), weights), films[nodes]


def _likeness(is_liked: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the normalised mutual information of each two films, 0 where too few like both."""
    people = len(is_liked)
    both = np.einsum("uf,ug->fg", is_liked, is_liked, optimize=True).astype(np.float64) / people
    alone = is_liked.mean(axis=0, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        likeness = np.log(both / np.outer(alone, alone)) / -np.log(both)
    likeness[both * people < TOGETHER - 0.5] = 0
    np.fill_diagonal(likeness, 0)
    return likeness
