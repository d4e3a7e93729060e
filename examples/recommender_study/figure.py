"""What was found, as one figure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .optimizers import DENSE, EXACT, LAZY

# Okabe and Ito's colours, which stay apart for colour-blind eyes.
BLUE, ORANGE, SKY, GREY = "#0072B2", "#D55E00", "#8CCBF0", "#7F7F7F"
Curves = Mapping[str, npt.NDArray[np.float64]]  # (folds, epochs + 1) of each optimizer


def draw(path: Path, curves: Curves, published: Mapping[str, float]) -> None:
    """Draw and save; the ending of ``path`` is the format."""
    figure = Figure(figsize=(12.5, 4.8), layout="constrained")
    learning, results = figure.subplots(1, 2, width_ratios=(1.15, 1))
    _draw_adams(learning, curves)
    _draw_results(results, curves, published)
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.title.set_fontweight("bold")
    figure.savefig(path, dpi=150)


def _draw_adams(axes: Axes, curves: Curves) -> None:
    """Draw dense Adam's curve wide and pale, so that exact Adam's shows on it."""
    styles = {
        LAZY: {"color": ORANGE, "linewidth": 2, "marker": "o", "markersize": 4},
        DENSE: {"color": SKY, "linewidth": 8},
        EXACT: {"color": BLUE, "linewidth": 2, "marker": "o", "markersize": 4},
    }
    for name, style in styles.items():
        mean = curves[name].mean(axis=0)
        axes.plot(np.arange(1, len(mean)), mean[1:], **style)
    epochs = curves[LAZY].shape[1] - 1
    axes.annotate(
        "lazy: rows without\na gradient rest",
        (2, curves[LAZY][:, 2].mean()),
        xytext=(12, 10),
        textcoords="offset points",
        color=ORANGE,
    )
    # Below the curves' bend it is free.
    axes.text(0.04, 0.06, "dense, and exact\non top of it", color=BLUE, transform=axes.transAxes)
    axes.set(
        title="Three Adams, one learning rate",
        xlabel="epochs",
        ylabel="RMSE of held-out ratings, stars",
        xticks=range(1, epochs + 1),
    )
    axes.grid(axis="y", alpha=0.3)


def _draw_results(axes: Axes, curves: Curves, published: Mapping[str, float]) -> None:
    """Draw a line an optimizer: the mean of the folds, and how far they stray."""
    names = list(curves)
    last = np.array([rmse[:, -1] for rmse in curves.values()])
    spread = f"mean ± std of {last.shape[1]} folds" if last.shape[1] > 1 else "one fold"
    heights = -np.arange(len(names))
    axes.errorbar(
        last.mean(axis=1),
        heights,
        xerr=last.std(axis=1),
        fmt="o",
        capsize=3,
        color=BLUE,
    )
    for label, rmse in published.items():
        axes.axvline(rmse, color=GREY, linestyle=":")
        axes.annotate(
            f"{label} {rmse}",
            (rmse, 0.55),
            xytext=(3, 0),
            textcoords="offset points",
            color=GREY,
            va="top",
            rotation=90,
        )
    axes.set_yticks(heights, names)
    axes.set(
        title="Every optimizer, and what is published (dotted)",
        xlabel=f"RMSE of held-out ratings, stars ({spread})",
        ylim=(heights[-1] - 0.6, 0.6),
    )
    axes.grid(axis="x", alpha=0.3)
