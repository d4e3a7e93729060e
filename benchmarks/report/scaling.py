"""What more ranks are worth: measured for a few, and for many by a model of their messages.

A step of a rank takes the time of its own work and that of its messages, one after the other::

    fixed + an_id * ids + messages * latency * (ranks - 1) + crossing bytes / bandwidth

Of its `messages` with each other rank, four have rows and their numbers, and the others one number;
the bytes that cross are those of rows of other ranks, (ranks - 1) / ranks of all. Work is measured
with one rank, which sends all of it to itself, and so has the copies too. Nothing overlaps: that
is what a step without `prefetch` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness import Measurement
from report import Report, megabytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MESSAGES = 10  # of a lookup and a step, with each other rank
WAYS = 2  # that rows go: looked up, and as gradients
MOST = 1000  # ranks that are drawn
COLORS = ("#0072B2", "#009E73", "#D55E00")
HEADER = ("scaling", "ranks", "ids", "table", "ms", "model ms", "efficiency", "extra MB a rank")


@dataclass(frozen=True)
class Network:
    """What a message takes before its first byte, in seconds, and bytes a second."""

    name: str
    latency: float
    bandwidth: float


ASSUMED = (
    Network("100 Gb/s InfiniBand, assumed 2 µs, 11 GB/s", 2e-6, 11e9),
    Network("25 Gb/s TCP, assumed 25 µs, 2.8 GB/s", 25e-6, 2.8e9),
)


@dataclass(frozen=True)
class Costs:
    """What was measured: seconds of a step's own work, and this machine's between its processes."""

    fixed: float
    an_id: float
    row_bytes: int
    latency: float
    bandwidth: float

    @classmethod
    def of(
        cls,
        found: Sequence[Measurement],
        *,
        crossing: float,
        message: float,
        exchange: float,
    ) -> Costs:
        """The costs, from one rank with batches of two sizes, and messages of two ranks.

        `crossing` are the bytes that a rank sends to the other in an `exchange`.
        """
        (few, fewer), (more, longer) = sorted(
            (one.rows, one.ours.median) for one in found if one.labels["ranks"] == 1
        )
        an_id = max(0.0, (longer - fewer) / (more - few))
        fixed = max(0.0, fewer - an_id * few)
        row_bytes = int(found[0].labels["dim"]) * 4
        return cls(fixed, an_id, row_bytes, message, crossing / exchange)

    @property
    def here(self) -> Network:
        return Network("this machine's memory", self.latency, self.bandwidth)

    def parts(self, network: Network, ranks: int, ids: float) -> dict[str, float]:
        """The seconds of a step of so many ids a rank, by what they go to."""
        row = WAYS * (self.row_bytes + 8)
        return {
            "work": self.fixed + self.an_id * ids,
            "latency": MESSAGES * network.latency * (ranks - 1),
            "bytes": ids * row * (ranks - 1) / ranks / network.bandwidth,
        }

    def seconds(self, network: Network, ranks: int, ids: float) -> float:
        """Those of a step."""
        return sum(self.parts(network, ranks, ids).values())


def report_of(found: Sequence[Measurement], extra: Mapping[int, int], costs: Costs) -> Report:
    """A row a measurement, and lines on what the model tells of many ranks."""
    return Report(
        HEADER,
        [_row(one, found, extra, costs) for one in found],
        [
            "efficiency: of one rank's time, weak: over ours; strong: over ours times ranks. More "
            "ranks than processors share them, and their messages wait for each other.",
            f"model: {costs.fixed * 1e3:.2f} ms + {costs.an_id * 1e9:.0f} ns an id; measured "
            f"between two ranks here: {costs.latency * 1e6:.1f} µs a message, "
            f"{costs.bandwidth / 1e9:.1f} GB/s.",
        ],
        [line for network in ASSUMED for line in _told(network, found, costs)],
        [*(asdict(one) for one in found), {"costs": asdict(costs)}],
    )


def _row(
    one: Measurement, found: Sequence[Measurement], extra: Mapping[int, int], costs: Costs
) -> list[str]:
    how, ranks = str(one.labels["scaling"]), int(one.labels["ranks"])
    model = costs.seconds(costs.here, ranks, one.rows / ranks)
    return [
        how,
        str(ranks),
        f"{one.rows:,}",
        f"{one.labels['table']:,}",
        f"{one.ours.median * 1e3:.1f}",
        f"{model * 1e3:.1f}",
        f"{_efficiency(one, found):.0%}",
        megabytes(extra[ranks]) if how == "weak" else "",
    ]


def _efficiency(one: Measurement, found: Sequence[Measurement]) -> float:
    """How much of one rank's speed each rank keeps."""
    alone = _series(found, str(one.labels["scaling"]))[0].ours.median
    share = 1 if one.labels["scaling"] == "weak" else int(one.labels["ranks"])
    return alone / one.ours.median / share


def _series(found: Sequence[Measurement], how: str) -> list[Measurement]:
    chosen = [one for one in found if one.labels["scaling"] == how]
    return sorted(chosen, key=lambda one: int(one.labels["ranks"]))


def _told(network: Network, found: Sequence[Measurement], costs: Costs) -> list[str]:
    ids = _series(found, "weak")[0].rows
    parts = costs.parts(network, MOST, ids)
    kept = costs.seconds(network, 1, ids) / sum(parts.values())
    bound = max(parts, key=parts.__getitem__)
    told = ", ".join(f"{name} {seconds * 1e3:.1f} ms" for name, seconds in parts.items())
    return [
        f"weak scaling by the model to {MOST:,} ranks of one thread, {ids:,} ids each, "
        f"{network.name}: {kept:.0%} efficiency ({told}); bound by {bound}"
    ]


def draw(path: Path, report: Report) -> None:
    """Draw what was measured, and the model beside it to `MOST` ranks."""
    import matplotlib
    from matplotlib.figure import Figure

    found = [one for one in report.measurements if "scaling" in one.labels]
    (record,) = (one["costs"] for one in report.records if "costs" in one)
    figure = Figure(figsize=(12.4, 4.6), layout="constrained")
    figure.suptitle("sharding: a step, as ranks are added", fontweight="bold", x=0.01, ha="left")
    for axes, how in zip(figure.subplots(1, 2), ("weak", "strong"), strict=True):
        _draw_panel(axes, how, _series(found, how), Costs(**record))
    with matplotlib.rc_context({"svg.hashsalt": path.name}):
        dated = {"metadata": {"Date": None}} if path.suffix == ".svg" else {}
        figure.savefig(path, dpi=100, **dated)


def _draw_panel(axes: Axes, how: str, series: Sequence[Measurement], costs: Costs) -> None:
    first, last = series[0], series[-1]
    measured = [int(one.labels["ranks"]) for one in series]
    to_most = [*dict.fromkeys(round(10 ** (power / 8)) for power in range(24)), MOST]
    for network, color in zip((costs.here, *ASSUMED), COLORS, strict=True):
        ranks = measured if network == costs.here else to_most
        ids = [first.rows if how == "weak" else first.rows / count for count in ranks]
        seconds = [costs.seconds(network, *pair) for pair in zip(ranks, ids, strict=True)]
        label = f"model, {network.name}"
        axes.plot(ranks, [1e3 * one for one in seconds], color=color, label=label)
    label = f"measured on one machine, to {measured[-1]} ranks"
    axes.plot(measured, [1e3 * one.ours.median for one in series], "ko", label=label)
    axes.set(xscale="log", yscale="log", xlabel="ranks of one thread", ylabel="ms a step")
    of_each = f"{first.rows:,} ids a rank" if how == "weak" else f"{last.rows:,} ids in all"
    axes.set_title(f"{how} scaling, {of_each}", loc="left")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=8, frameon=False)
