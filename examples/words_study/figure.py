"""Words before and after training, on the same plane, and how far those that moved most went."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from .moves import Moves

# Okabe and Ito's colours, which stay apart for colour-blind eyes.
AGAINST, FOR, GREY = "#D55E00", "#0072B2", "0.82"
# Where a name stands beside its dot: alignment across and along, and how far away, in points.
SIDES = (
    *(("left", "center", 4, 0), ("right", "center", -4, 0)),
    *(("center", "bottom", 0, 4), ("center", "top", 0, -4)),
)


def draw(path: Path, moves: Moves, count: int, snippets: int) -> None:
    """Draw the words that moved most to either side; the ending of ``path`` is the format."""
    figure = Figure(figsize=(16, 8.5), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    before, after, far = figure.subplots(1, 3, width_ratios=(1, 1, 0.72))
    left, right = moves.by_side(count)
    _map(before, moves.before, left, right)
    before.set_title("Before: GloVe's vectors")
    _map(after, moves.after, left, right)
    after.set_title(f"After: trained on {snippets:,} review snippets")
    _same_limits(before, after, np.concatenate([moves.before, moves.after]))
    _arrows(far, moves, left, right)
    far.set_title("The words that moved most")
    for axes in figure.axes:
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.title.set_fontweight("bold")
        axes.axvline(0, color="black", linewidth=0.8, linestyle=":", zorder=0)
    for axes in (before, after):
        axes.set_xlabel("against the film  <  score of the word alone  <  for it")
    before.set_ylabel("where GloVe's vectors differ most besides")
    far.set_xlabel("score of the word alone: before (o), and after")
    figure.suptitle("What film reviews teach GloVe: praise and blame part", fontsize=15)
    canvas.draw()  # so that sizes are known
    for axes, places in ((before, moves.before), (after, moves.after)):
        _name(axes, canvas, moves, places, left, right)
    figure.savefig(path, dpi=150)


def _map(axes: Axes, places: npt.NDArray[np.float64], left: list[int], right: list[int]) -> None:
    axes.scatter(*places.T, s=5, color=GREY, linewidths=0)
    for side, color in ((left, AGAINST), (right, FOR)):
        axes.scatter(*places[side].T, s=26, color=color, linewidths=0)
    axes.set_yticks([])


def _same_limits(one: Axes, other: Axes, places: npt.NDArray[np.float64]) -> None:
    low, high = np.percentile(places, [0, 100], axis=0)
    room = (0.12, 0.03) * (high - low)
    for axes in (one, other):
        axes.set(xlim=(low[0] - room[0], high[0] + room[0]))
        axes.set(ylim=(low[1] - room[1], high[1] + room[1]))


def _name(
    axes: Axes,
    canvas: FigureCanvasAgg,
    moves: Moves,
    places: npt.NDArray[np.float64],
    left: list[int],
    right: list[int],
) -> None:
    """Write names beside the dots; one that would cover another, or another's dot, is left out."""
    colors = {**dict.fromkeys(left, AGAINST), **dict.fromkeys(right, FOR)}
    dots = axes.transData.transform(places[list(colors)])
    taken: dict[int, Bbox] = {}
    for place, (across, along, *away) in product(colors, SIDES):
        if place in taken:
            continue
        text = axes.annotate(
            moves.words[place],
            places[place],
            xytext=away,
            textcoords="offset points",
            ha=across,
            va=along,
            fontsize=9.5,
            color=colors[place],
        )
        box = text.get_window_extent(canvas.get_renderer()).padded(2)
        covers = any(box.overlaps(other) for other in taken.values())
        if covers or any(box.contains(*dot) for dot in dots):
            text.remove()
        else:
            taken[place] = box


def _arrows(axes: Axes, moves: Moves, left: list[int], right: list[int]) -> None:
    """Draw a line a word, from its score before to that after, in the order of these."""
    order = sorted({*left, *right}, key=lambda place: moves.after[place, 0])
    for height, place in enumerate(order):
        begin, end = moves.before[place, 0], moves.after[place, 0]
        color = FOR if end > begin else AGAINST
        axes.annotate(
            "",
            (end, height),
            (begin, height),
            arrowprops={"arrowstyle": "-|>", "color": color, "shrinkA": 0, "shrinkB": 0},
        )
        axes.plot(begin, height, "o", color="white", markeredgecolor=color, markersize=5)
    axes.set_yticks(range(len(order)), [moves.words[place] for place in order])
    axes.tick_params(axis="y", length=0)
    ends = np.array([(moves.before[place, 0], moves.after[place, 0]) for place in order])
    axes.set_xlim(1.1 * ends.min(), 1.1 * ends.max())
    axes.set_ylim(-1, len(order))
