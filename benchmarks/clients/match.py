"""A client on both sides: its losses are compared, and its rounds timed by turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from side import Round

WARM_ROUNDS = 2


class Trains(Protocol):
    """A side, as `side.Side` is one."""

    name: str

    def train(self, name: str, tiny: bool) -> Round: ...

    def forget(self, name: str) -> None: ...


@dataclass(frozen=True)
class Found:
    """Seconds by side, and how far the losses are apart, relatively."""

    client: str
    step: dict[str, float]  # one of the tables' optimizer: the median
    whole: dict[str, float]  # a round: the median
    apart: float


class Disagreement(AssertionError):
    """The two sides have different losses."""


def measured(
    client: str, rtol: float, sides: Sequence[Trains], rounds: int, tiny: bool = False
) -> Found:
    """Train by turns, another side first each time; untimed rounds come first, if not ``tiny``."""
    found: dict[str, list[Round]] = {side.name: [] for side in sides}
    warm = 0 if tiny else WARM_ROUNDS
    for turn in range(warm + rounds):
        for side in sides if turn % 2 else reversed(sides):
            found[side.name].append(side.train(client, tiny))
    for side in sides:
        side.forget(client)
    timed = {name: its[warm:] for name, its in found.items()}
    return Found(
        client,
        {
            name: float(np.median(np.concatenate([one.steps for one in its])))
            for name, its in timed.items()
        },
        {name: float(np.median([one.seconds for one in its])) for name, its in timed.items()},
        _apart(*found.values(), rtol=rtol),
    )


def _apart(one: Sequence[Round], other: Sequence[Round], rtol: float) -> float:
    """The largest difference of two losses; raise ``Disagreement`` where it is too large."""
    mine, its = (np.concatenate([each.losses for each in rounds]) for rounds in (one, other))
    if mine.shape != its.shape:
        raise Disagreement(f"there are {len(mine)} losses and {len(its)}")
    apart = float(np.max(np.abs(mine - its) / np.abs(mine)))
    if not apart <= rtol:
        raise Disagreement(f"losses are {apart:.1e} apart, more than {rtol:g}")
    return apart
