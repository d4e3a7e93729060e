"""Figures of what was timed: the time a row along one axis, a line a contestant.

Drawing needs matplotlib, which nothing else here does. The same measurements make the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, log10
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from harness import Measurement, Timing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AXES = {
    "dim": "numbers in a row",
    "ids": "ids in a call",
    "table": "rows of the table",
    "window": "words to either side of a window",
    "threads": "threads",
}
# Okabe and Ito's colours, which stay apart for colour-blind eyes, by how a name begins.
FAMILIES = {
    ("pyembed", "lazy"): "#0072B2",
    ("np.", "one-hot"): "#D55E00",
    ("torch", "F.", "nn."): "#CC79A7",
    ("numba",): "#E69F00",
    ("FBGEMM",): "#009E73",
    ("Keras",): "#56B4E9",
}
OURS = "pyembed"
# For lines of works, which have no family.
OTHERS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
DASHES = ("-", "--", "-.", ":")  # of the first, second … of a family
LIMIT = "0.55"
PANEL = (6.2, 3.6)  # inches
FEW = 300  # times from the lowest to the highest: then 2 and 5 are marked, not only powers of 10
LABEL_GAP = 0.065  # of a panel's height, from one line's name to the next


Styles = Mapping[str, Mapping[str, str]]  # by the name of a line


@dataclass(frozen=True)
class Line:
    """The time a row in nanoseconds along an axis, with quartiles."""

    name: str
    x: list[float]
    middle: list[float]
    low: list[float]
    high: list[float]


@dataclass(frozen=True)
class Panel:
    """Lines that share everything but the axis; the first is ours."""

    title: str
    lines: list[Line]
    limit: Line | None = None


def panels(measurements: Sequence[Measurement], axis: str, title: str = "") -> list[Panel]:
    """A panel for each combination of the labels that are no size."""
    found = _by_threads(measurements) if axis == "threads" else measurements
    groups: dict[str, list[Measurement]] = {}
    for one in _at_headline(found, axis):
        groups.setdefault(_panel_title(one, title), []).append(one)
    return [Panel(name, _lines(group, axis), _limit(group, axis)) for name, group in groups.items()]


def swept(measurements: Sequence[Measurement]) -> list[str]:
    """The axes along which there are at least two sizes to draw."""
    found = [
        axis for axis in ("dim", "ids", "table", "window") if len(_numbers(measurements, axis)) > 1
    ]
    threads = measurements and all(map(_thread_count, measurements[0].timings))
    return [*found, "threads"] if threads and len(measurements[0].timings) > 1 else found


def draw(path: Path, shown: Sequence[Panel], axis: str, heading: str) -> None:
    """Draw and save; the ending of ``path`` is the format."""
    import matplotlib
    from matplotlib.figure import Figure

    columns = min(len(shown), 3 if len(shown) == 3 else 2)
    rows = ceil(len(shown) / columns)
    figure = Figure(figsize=(PANEL[0] * columns, PANEL[1] * rows + 0.4), layout="constrained")
    figure.suptitle(heading, fontweight="bold", x=0.01, ha="left")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=axis != "threads")
    styles = _styles(shown)
    for axes, panel in zip(grid.flat, shown, strict=False):
        _draw_panel(axes, panel, axis, styles)
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel("ns a row")
    for axes, panel in zip(grid.flat, shown, strict=False):  # once all limits are known
        _name_lines(axes, panel, styles)
    with matplotlib.rc_context({"svg.hashsalt": path.name}):
        dated = {"metadata": {"Date": None}} if path.suffix == ".svg" else {}
        figure.savefig(path, dpi=100, **dated)


def _draw_panel(axes: Axes, panel: Panel, axis: str, styles: Styles) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    if panel.limit is not None:
        axes.plot(panel.limit.x, panel.limit.middle, color=LIMIT, linestyle=":", linewidth=1.5)
    for line in reversed(panel.lines):  # ours on top
        style = styles[line.name]
        band = {"color": style["color"], "alpha": 0.15, "linewidth": 0}
        axes.fill_between(line.x, line.low, line.high, **band)
        width = 2.4 if line.name.startswith(OURS) else 1.3
        axes.plot(line.x, line.middle, **style, marker="o", markersize=3.5, linewidth=width)
    axes.set(xscale="log", yscale="log", title=panel.title, xlabel=AXES[axis])
    values = sorted({x for line in panel.lines for x in line.x})
    axes.set_xticks(_apart(values), [_short(value) for value in _apart(values)])
    axes.xaxis.set_minor_locator(NullLocator())
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < FEW else (1,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _name_lines(axes: Axes, panel: Panel, styles: Styles) -> None:
    """Each line's name to the right of its end, moved apart where ends are close."""
    low, high = (log10(limit) for limit in axes.get_ylim())
    ends = [(line, styles[line.name]["color"]) for line in panel.lines]
    if panel.limit is not None:
        ends.append((panel.limit, LIMIT))
    ends.sort(key=lambda end: end[0].middle[-1])
    heights = [(log10(line.middle[-1]) - low) / (high - low) for line, _ in ends]
    for (line, color), height in zip(ends, _spread(heights), strict=True):
        axes.annotate(
            line.name,
            (1.015, height),
            xycoords="axes fraction",
            color=color,
            va="center",
            fontsize="small",
            fontweight="bold" if line.name.startswith(OURS) else "normal",
            annotation_clip=False,
        )


def _spread(heights: Sequence[float]) -> list[float]:
    """Ascending heights with a gap between neighbours; only those too close are moved."""
    blocks: list[list[float]] = []  # of neighbours that touch; each less the gaps below it
    for place, height in enumerate(heights):
        blocks.append([height - place * LABEL_GAP])
        while len(blocks) > 1 and fmean(blocks[-2]) > fmean(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    lows = [fmean(block) for block in blocks for _ in block]
    return [low + place * LABEL_GAP for place, low in enumerate(lows)]


def _lines(group: Sequence[Measurement], axis: str) -> list[Line]:
    names = dict.fromkeys(timing.name for one in group for timing in one.timings)
    return [_line(name, group, axis) for name in names]


def _line(name: str, group: Sequence[Measurement], axis: str) -> Line:
    points = sorted(
        (float(one.labels[axis]), *(1e9 / one.rows * t for t in (timing.median, *timing.quartiles)))
        for one in group
        if (timing := one.of(name)) is not None
    )
    return Line(name, *map(list, zip(*points, strict=True)))


def _limit(group: Sequence[Measurement], axis: str) -> Line | None:
    """The time that a streaming copy of as many bytes takes, out of the cache, if any are told."""
    points = sorted(
        (float(one.labels[axis]), 1e9 * one.bytes / one.rows / one.roof.copy_bytes_per_second)
        for one in group
        if one.bytes > 0 and one.roof is not None and not one.roof.in_cache
    )
    if len(points) < 2:
        return None
    x, nanoseconds = (list(values) for values in zip(*points, strict=True))
    return Line("streaming copy", x, nanoseconds, nanoseconds, nanoseconds)


def _by_threads(measurements: Sequence[Measurement]) -> list[Measurement]:
    """One for each number of threads, whose contestants are the works instead."""
    return [
        replace(
            one,
            labels={**one.labels, "threads": _thread_count(timing), "work": ""},
            timings=[Timing(str(one.labels["work"]), timing.seconds)],
            roof=None,
        )
        for one in measurements
        for timing in one.timings
    ]


def _thread_count(timing: Timing) -> int:
    """2 of ``"2 threads"``, 0 of other names."""
    count, _, unit = timing.name.partition(" ")
    return int(count) if unit.startswith("thread") and count.isdigit() else 0


def _at_headline(measurements: Sequence[Measurement], axis: str) -> list[Measurement]:
    """Those of the usual size along the other axes, and of a size along this one."""
    usual = {name: _usual(measurements, name) for name in ("dim", "ids", "table") if name != axis}
    return [
        one
        for one in measurements
        if isinstance(one.labels.get(axis), int)
        and all(one.labels.get(name) == value for name, value in usual.items())
    ]


def _usual(measurements: Sequence[Measurement], name: str) -> object:
    values = {one.labels.get(name) for one in measurements}
    preferred = {"dim": 64, "table": "memory"}.get(name)
    numbers = _numbers(measurements, name)
    return preferred if preferred in values else max(numbers) if numbers else next(iter(values))


def _numbers(measurements: Sequence[Measurement], name: str) -> set[int]:
    values = (one.labels.get(name) for one in measurements)
    return {value for value in values if isinstance(value, int)}


def _panel_title(one: Measurement, title: str) -> str:
    """The title, and the labels that are no sizes nor follow from them."""
    words = [
        f"{name} {value}" if isinstance(value, int) else value
        for name, value in one.labels.items()
        if name not in AXES
    ]
    return ", ".join(word for word in (title, *words) if word)


def _styles(shown: Sequence[Panel]) -> dict[str, dict[str, str]]:
    """A colour a family of contestants, the same in all figures; dashes tell its members apart."""
    names = list(dict.fromkeys(line.name for panel in shown for line in panel.lines))
    colors = [_family_color(name) for name in names]
    if None in colors:
        return {name: {"color": OTHERS[place % 4]} for place, name in enumerate(names)}
    return {
        name: {"color": color, "linestyle": DASHES[colors[:place].count(color) % 4]}
        for place, (name, color) in enumerate(zip(names, colors, strict=True))
    }


def _family_color(name: str) -> str | None:
    return next((color for starts, color in FAMILIES.items() if name.startswith(starts)), None)


def _apart(values: Sequence[float]) -> list[float]:
    """The values, less those whose ticks would run into the one before."""
    if len(values) < 2:
        return list(values)
    gap = log10(values[-1] / values[0]) / 14
    kept = [values[0]]
    for value in values[1:]:
        if log10(value / kept[-1]) >= gap:
            kept.append(value)
    return kept


def _short(value: float) -> str:
    """``65,536``, but ``20M``."""
    return f"{value / 1e6:.3g}M" if value >= 1e6 else f"{value:,.0f}"
