"""The answers as one figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, NullLocator

from .neighbours import PAIRS, Similarity
from .one_hot import Comparison, Cost
from .pretrained import LearningCurve, Start

# Okabe and Ito's colours, which stay apart for colour-blind eyes.
BLUE, ORANGE, GREY, GREEN = "#0072B2", "#D55E00", "#7F7F7F", "#009E73"
START_COLORS = {Start.SCRATCH: ORANGE, Start.OWN: GREEN, Start.FROZEN: GREY, Start.TUNED: BLUE}


def draw(
    path: Path,
    comparisons: Sequence[Comparison],
    curves: Mapping[Start, LearningCurve],
    majority: float,
    similarities: Mapping[str, Similarity],
) -> None:
    """Draw all answers and save them; the ending of ``path`` is the format."""
    layout = ConstrainedLayoutEngine(hspace=0.06, wspace=0.04)
    figure = Figure(figsize=(12.5, 9.5), layout=layout)
    (accuracy, words), (times, memory) = figure.subplots(2, 2)
    _draw_accuracy(accuracy, curves, majority)
    _draw_pairs(words, similarities)
    _draw_costs(times, comparisons, lambda cost: 1e3 * cost.seconds)
    times.set(title="A lookup or a one-hot matmul: time", ylabel="ms a training step")
    _draw_costs(memory, comparisons, lambda cost: np.array([1e-6 * cost.peak_bytes]))
    memory.set(
        title="... and memory",
        ylabel="MB of arrays in a step, besides the table",
    )
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.title.set_fontweight("bold")
    figure.savefig(path, dpi=150)


def _draw_accuracy(axes: Axes, curves: Mapping[Start, LearningCurve], majority: float) -> None:
    # The points of a group stand side by side, so that their error bars can be told apart.
    for shift, (start, curve) in zip((0.94, 0.98, 1.02, 1.06), curves.items(), strict=True):
        axes.errorbar(
            shift * curve.snippets,
            100 * curve.mean(),
            yerr=100 * curve.spread(),
            marker="o",
            capsize=3,
            color=START_COLORS[start],
            label=start.value,
        )
    axes.axhline(100 * majority, color="black", linestyle=":")
    axes.annotate(
        "always the commoner answer",
        (1, 100 * majority),
        xycoords=("axes fraction", "data"),
        xytext=(0, 4),
        textcoords="offset points",
        ha="right",
    )
    axes.set(
        title="Do pretrained vectors help?",
        xscale="log",
        xlabel="training snippets",
        ylabel="accuracy on unseen films, %",
    )
    _label_counts(axes, curves[Start.TUNED].snippets)
    axes.grid(axis="y", alpha=0.3)
    seeds = curves[Start.TUNED].accuracy.shape[1]
    axes.legend(
        title=f"word vectors (mean ± std of {seeds} seeds)", frameon=False, loc="upper left"
    )


def _draw_pairs(axes: Axes, similarities: Mapping[str, Similarity]) -> None:
    """Draw a line a pair, and a heading above each group of pairs."""
    heights, labels = [], []
    top = 0
    for group, pairs in PAIRS.items():
        axes.text(-1.03, -top, group, va="center", fontstyle="italic", color="0.35")
        heights += [-(top + place) for place in range(1, len(pairs) + 1)]
        labels += [f"{first} / {second}" for first, second in pairs]
        top += len(pairs) + 1
    cosines = np.array(
        [
            [space.between(*pair) for pairs in PAIRS.values() for pair in pairs]
            for space in similarities.values()
        ]
    )
    axes.hlines(heights, cosines.min(axis=0), cosines.max(axis=0), color="0.85", linewidth=2)
    for color, name, values in zip((GREY, GREEN, BLUE, ORANGE), similarities, cosines, strict=True):
        axes.scatter(values, heights, s=55, color=color, label=name, zorder=2)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set(
        title="Which words are alike?",
        xlabel="cosine similarity of the two words",
        xlim=(-1.05, 1.05),
        ylim=(0.6 - top, 0.6),
    )
    axes.set_yticks(heights, labels)
    # Words of the same verdict are alike in every table: the left half is free beside them.
    beside = -(len(PAIRS["opposite verdicts"]) + 1 + (len(PAIRS["the same verdict"]) + 1) / 2)
    axes.legend(
        frameon=False,
        loc="center left",
        bbox_to_anchor=(-1.05, beside),
        bbox_transform=axes.transData,
    )


def _draw_costs(
    axes: Axes,
    comparisons: Sequence[Comparison],
    values: Callable[[Cost], npt.NDArray[np.float64]],
) -> None:
    """Draw the median of some values of each side; bars reach from quartile to quartile."""
    rows = [result.rows for result in comparisons]
    sides = {
        "one-hot matmul (NumPy)": (ORANGE, [values(result.one_hot) for result in comparisons]),
        "lookup (pyembed)": (BLUE, [values(result.lookup) for result in comparisons]),
    }
    for label, (color, samples) in sides.items():
        low, middle, high = np.array([np.percentile(sample, (25, 50, 75)) for sample in samples]).T
        bars = (middle - low, high - middle)
        axes.errorbar(rows, middle, yerr=bars, marker="o", capsize=3, color=color, label=label)
    one_hot, lookup = (np.median(samples[-1]) for _, samples in sides.values())
    axes.annotate(
        "",
        (rows[-1], lookup),
        (rows[-1], one_hot),
        arrowprops={"arrowstyle": "->", "color": "0.5", "shrinkA": 9, "shrinkB": 9},
    )
    axes.text(
        rows[-1], np.sqrt(one_hot * lookup), f"{one_hot / lookup:,.0f} times less  ", ha="right"
    )
    axes.set(xscale="log", yscale="log", xlabel="words in the table")
    _label_counts(axes, rows)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.grid(axis="y", alpha=0.3)
    axes.legend(frameon=False, loc="upper left")


def _label_counts(axes: Axes, counts: Sequence[int] | npt.NDArray[np.int64]) -> None:
    """Mark the counts themselves on a logarithmic axis, not powers of ten."""
    axes.set_xticks(counts, [f"{count:,}" for count in counts])
    axes.xaxis.set_minor_locator(NullLocator())
