"""The lines at the end of a run."""

from __future__ import annotations

from collections.abc import Sequence

from harness import Measurement
from report import times


def by_distribution(what: str, peers: Sequence[str], found: Sequence[Measurement]) -> list[str]:
    """``what: 6.10x / 7.20x torch (uniform / zipf)``, the worst case of each distribution."""
    kinds = list(dict.fromkeys(str(one.labels["distribution"]) for one in found))
    lines = []
    for name in peers:
        worst = [_worst(found, name, kind) for kind in kinds]
        if None not in worst:
            figures = " / ".join(times(ratio) for ratio in worst)
            lines.append(f"{what}: {figures} {name} ({' / '.join(kinds)})")
        else:
            lines.append(f"{what}: {name} was not timed, no ratio")
    return lines


def _worst(found: Sequence[Measurement], name: str, kind: str) -> float | None:
    ratios = [one.ratio(name) for one in found if one.labels["distribution"] == kind]
    return min((ratio for ratio in ratios if ratio is not None), default=None)
