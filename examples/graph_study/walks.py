"""Random walks that prefer where to go by where they come from (Grover & Leskovec 2016: node2vec).

A walker that came from ``before`` to ``here`` goes on to a neighbour, with a probability that is
the weight of the link times

- ``1 / p`` if that is ``before`` again,
- 1 if it is a neighbour of ``before``,
- ``1 / q`` if it is farther away.

With a low ``q`` walks wander off, with a high one they stay around where they are.
"""

from __future__ import annotations

import numpy as np

from .network import Network, Nodes


def walk(network: Network, *, p: float, q: float, times: int, length: int, seed: int) -> Nodes:
    """Walk from every node, so many times, in random order: (nodes * times, length).

    Every node must have a neighbour. All walkers step at once.
    """
    rng = np.random.default_rng(seed)
    walks = np.empty((network.nodes * times, length), np.int64)
    walks[:, 0] = rng.permutation(np.repeat(np.arange(network.nodes), times))
    for step in range(1, length):
        here = walks[:, step - 1]
        walks[:, step] = (
            network.draw(here, rng)
            if step == 1
            else _steps(network, walks[:, step - 2], here, p, q, rng)
        )
    return walks


def _steps(
    network: Network, before: Nodes, here: Nodes, p: float, q: float, rng: np.random.Generator
) -> Nodes:
    """Take one step with every walker.

    By rejection: a neighbour is drawn by weights alone, and taken with a probability that is in
    proportion to its preference; walkers who refuse draw again. So no table of the preferences
    after each link is needed, of which there are as many as pairs of links that meet.
    """
    preferences = np.array([1 / q, 1.0, 1 / p])
    chances = preferences / preferences.max()
    there = np.empty_like(here)
    waiting = np.arange(len(here))
    while len(waiting):
        drawn = network.draw(here[waiting], rng)
        kind = np.where(
            drawn == before[waiting], 2, network.linked(before[waiting], drawn).astype(np.int64)
        )
        taken = rng.random(len(waiting)) < chances[kind]
        there[waiting[taken]] = drawn[taken]
        waiting = waiting[~taken]
    return there
