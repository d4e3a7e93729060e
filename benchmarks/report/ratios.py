"""What measurements come to: ratios and other figures, the worst case of each distribution."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from harness import Measurement
from report import times

Figures = dict[str, float]  # by distribution


def worst(
    found: Iterable[Measurement],
    figure: Callable[[Measurement], float | None],
    choose: Callable[[Iterable[float]], float] = min,
) -> Figures:
    """The worst of a figure that some measurements have."""
    kinds: dict[str, list[float]] = {}
    for one in found:
        if (value := figure(one)) is not None:
            kinds.setdefault(str(one.labels.get("distribution", "uniform")), []).append(value)
    return {kind: choose(values) for kind, values in kinds.items()}


def flatness(found: Sequence[Measurement]) -> Figures:
    """The longest time a row over the shortest: 1 is flat."""
    shortest = worst(found, lambda one: 1 / one.rows_per_second)
    longest = worst(found, lambda one: 1 / one.rows_per_second, max)
    return {kind: time / shortest[kind] for kind, time in longest.items()}


def by_distribution(what: str, found: Sequence[Measurement]) -> list[str]:
    """``what: 6.10x / 7.20x torch (uniform / zipf)`` for each peer."""
    names = dict.fromkeys(timing.name for one in found for timing in one.timings[1:])
    ratios = {name: worst(found, lambda one, name=name: one.ratio(name)) for name in names}
    return [
        f"{what}: {' / '.join(map(times, kinds.values()))} {name} ({' / '.join(kinds)})"
        for name, kinds in ratios.items()
    ]
