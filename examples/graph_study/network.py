"""A graph as arrays: the neighbours of every node, one list behind the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Nodes = npt.NDArray[np.int64]
Links = npt.NDArray[np.int64]  # (links, 2), each with its lower node first


@dataclass(frozen=True)
class Network:
    """An undirected graph: each link has a weight."""

    nodes: int
    links: Links
    weights: npt.NDArray[np.float64]

    def take(self, which: npt.NDArray[np.bool_] | Nodes) -> Network:
        """Keep some links, and all nodes."""
        return Network(self.nodes, self.links[which], self.weights[which])

    @cached_property
    def degrees(self) -> Nodes:
        """How many neighbours each node has."""
        return np.bincount(self.links.ravel(), minlength=self.nodes)

    @cached_property
    def starts(self) -> Nodes:
        """Where each node's neighbours start, (nodes + 1,)."""
        return np.concatenate([[0], np.cumsum(self.degrees)])

    @cached_property
    def _both_ways(self) -> tuple[Nodes, npt.NDArray[np.float64]]:
        """Each link both ways as a number, ascending, and its weight."""
        low, high = self.links.T
        keys = np.concatenate([low * self.nodes + high, high * self.nodes + low])
        order = np.argsort(keys)
        return keys[order], np.tile(self.weights, 2)[order]

    @cached_property
    def neighbours(self) -> Nodes:
        """The neighbours of node ``n`` are ``neighbours[starts[n]:starts[n + 1]]``, ascending."""
        return self._both_ways[0] % self.nodes

    @cached_property
    def _sums(self) -> npt.NDArray[np.float64]:
        """Sums of the weights up to each neighbour."""
        return np.concatenate([[0.0], np.cumsum(self._both_ways[1])])

    def draw(self, nodes: Nodes, rng: np.random.Generator) -> Nodes:
        """Draw a neighbour of each node, the more likely the heavier its link is."""
        first, last = self.starts[nodes], self.starts[nodes + 1] - 1
        low, high = self._sums[first], self._sums[last + 1]
        wanted = low + rng.random(len(nodes)) * (high - low)
        place = np.searchsorted(self._sums, wanted, side="right") - 1
        return self.neighbours[np.clip(place, first, last)]  # where a sum was rounded

    def linked(self, first: Nodes, second: Nodes) -> npt.NDArray[np.bool_]:
        """Tell of each pair whether there is a link."""
        keys, _ = self._both_ways
        wanted = first * self.nodes + second
        return keys[np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)] == wanted
