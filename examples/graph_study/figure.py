"""A map of the films, and how good guesses were, as one figure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

import maps
from datasets import Ratings

from .network import Network, Nodes

# Okabe and Ito's colours, which stay apart for colour-blind eyes.
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#9A9A9A"
# The last year of each time, and its colour.
TIMES = {
    "before 1965": (1964, PURPLE),
    "1965 to 1989": (1989, BLUE),
    "1990 to 1995": (1995, GREEN),
    "1996 to 1998": (1998, ORANGE),
}
NAMED = 45  # films


def draw(
    path: Path,
    network: Network,
    films: Nodes,
    vectors: npt.NDArray[np.float32],
    ratings: Ratings,
    guesses: Mapping[str, npt.NDArray[np.float64]],
    seed: int,
) -> None:
    """Draw and save; the ending of ``path`` is the format.

    `guesses` has the AUC and the average precision of every split, (splits, 2).
    """
    figure = Figure(figsize=(15, 8.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2.3, 1))
    _draw_guesses(right, guesses)
    _draw_map(figure, left, network, films, vectors, ratings, seed)
    figure.savefig(path, dpi=150)


def _draw_map(
    figure: Figure,
    axes: Axes,
    network: Network,
    films: Nodes,
    vectors: npt.NDArray[np.float32],
    ratings: Ratings,
    seed: int,
) -> None:
    points, method = maps.flat(vectors, seed)
    times = np.array([_time(ratings.years[film]) for film in films])
    axes.add_collection(LineCollection(points[network.links], color="0.94", lw=0.5, zorder=0))
    for time, (_, color) in TIMES.items():
        axes.scatter(*points[times == time].T, s=18, color=color, label=time, zorder=2)
    axes.set_title(
        f"Films by their vectors ({method}): lines link those that the same people like",
        fontweight="bold",
    )
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    # Below the map, which may reach into every corner.
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "ncols": len(TIMES)}
    axes.legend(frameon=False, markerscale=1.6, title="came out", **place)
    often = np.bincount(ratings.films, minlength=len(ratings.titles))[films]
    shown = maps.spread(points, np.argsort(-often, kind="stable"), NAMED)
    names = [_short(ratings.titles[films[node]]) for node in shown]
    colors = [TIMES[times[node]][1] for node in shown]
    maps.add_names(figure, axes, points, shown, names, colors)


def _time(year: int) -> str:
    return next(time for time, (last, _) in TIMES.items() if year <= last)


def _short(title: str) -> str:
    """Return a title without what follows a colon or stands in brackets."""
    title = re.split(r" \(| or: |: ", title)[0]
    for article in (", The", ", A", ", An"):
        if title.endswith(article):
            return f"{article[2:]} {title.removesuffix(article)}"
    return title


def _draw_guesses(axes: Axes, guesses: Mapping[str, npt.NDArray[np.float64]]) -> None:
    """Draw a line for each way to guess."""
    heights = -np.arange(len(guesses))
    values = np.array(list(guesses.values()))  # (ways, splits, 2)
    splits = values.shape[1]
    for measure, (name, color) in enumerate((("AUC", BLUE), ("average precision", ORANGE))):
        axes.errorbar(
            values[:, :, measure].mean(axis=1),
            heights + 0.08 - 0.16 * measure,
            xerr=values[:, :, measure].std(axis=1),
            fmt="o",
            capsize=3,
            color=color,
            label=name,
        )
    axes.axvline(0.5, color="black", linestyle=":")
    axes.annotate("tossing a coin", (0.505, heights[-1] - 0.45), rotation=90, va="bottom")
    axes.set_yticks(heights, list(guesses))
    spread = f"mean ± std of {splits} splits" if splits > 1 else "one split"
    axes.set_title("Which links were hidden?", fontweight="bold")
    axes.set(xlabel=f"of guesses, by how alike both films are\n({spread})")
    axes.set(xlim=(0.35, 1), ylim=(heights[-1] - 0.5, 0.5))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
