"""Maps of vectors: two dimensions of many, and names that do not lie on each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

Points = npt.NDArray[np.float64]  # (points, 2)
Boxes = npt.NDArray[np.float64]  # (boxes, 4): left, bottom, right, top
_DISTANCES = (5, 9, 14, 20, 28, 38)  # points of type between a dot and its name
_DIRECTIONS = 24
_NEAR = 9  # so far away, a name needs no line
_DOT = 3  # half the width of one


def flat(vectors: npt.NDArray[np.float32], seed: int) -> tuple[Points, str]:
    """Return where vectors lie on a map, and how that was found.

    Neighbours stay neighbours with scikit-learn's t-SNE; where that is not installed, it is the
    plane along which the directions of the vectors vary most.
    """
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    directions = vectors / np.maximum(lengths, 1e-12)[:, None]
    try:
        from sklearn.manifold import TSNE
        from threadpoolctl import threadpool_limits
    except ImportError:
        centred = directions - directions.mean(axis=0)
        left, sizes, _ = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
        return left[:, :2] * sizes[:2], "PCA"
    perplexity = min(30.0, len(vectors) / 4)
    tsne = TSNE(metric="cosine", perplexity=perplexity, random_state=seed)
    with threadpool_limits(1):  # its threads wait for each other so often that one is quicker
        return tsne.fit_transform(directions).astype(np.float64), "t-SNE"


def spread(points: Points, order: Sequence[int], count: int, apart: float = 0.07) -> list[int]:
    """Choose points, the first ones in the order given, but none close to one that was chosen.

    They are apart by a share of the map's width or height at least.
    """
    places = points / np.ptp(points, axis=0)
    chosen: list[int] = []
    for point in order:
        if len(chosen) == count:
            break
        if (np.abs(places[chosen] - places[point]).max(axis=1) >= apart).all():
            chosen.append(int(point))
    return chosen


def add_names(
    figure: Figure,
    axes: Axes,
    points: Points,
    which: Sequence[int],
    names: Sequence[str],
    colors: Sequence[str],
    size: float = 9,
    bold: int = 0,
) -> None:
    """Write the names of some points beside them, the first ones first, and some of these bold.

    A name that would lie on another, or beyond the axes, stands farther away, with a line to its
    dot; where there is no room at all, it is left out. Call it when all else is drawn.
    """
    figure.draw_without_rendering()  # now it is known where the axes are
    renderer = FigureCanvasAgg(figure).get_renderer()  # measures texts
    scale = figure.dpi / 72
    frame = axes.get_window_extent(renderer).extents
    dots = axes.transData.transform(points)
    taken = np.empty((0, 4))
    for rank, (place, name, color) in enumerate(zip(which, names, colors, strict=True)):
        text = axes.annotate(
            name,
            points[place],
            xytext=(0, 0),
            textcoords="offset points",
            color=color,
            fontsize=1.3 * size if rank < bold else size,
            fontweight="bold" if rank < bold else "normal",
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )
        extent = text.get_window_extent(renderer).size
        boxes, distances = _around(dots[place], extent, scale)
        is_free = (_overlaps(boxes, taken) == 0) & _inside(boxes, frame)
        if not is_free.any():
            text.remove()
            continue
        hidden_dots = _overlaps(boxes, np.hstack([dots - _DOT * scale, dots + _DOT * scale]))
        best = np.argmin(np.where(is_free, 6 * hidden_dots + distances, np.inf))
        taken = np.vstack([taken, boxes[best]])
        corner = boxes[best, :2]
        text.set_position((corner - dots[place]) / scale)
        if distances[best] > _NEAR:
            middle = axes.transData.inverted().transform(corner + extent / 2)
            axes.plot(*np.stack([points[place], middle]).T, color=color, lw=0.7, zorder=1)


def _around(dot: Points, extent: Points, scale: float) -> tuple[Boxes, npt.NDArray[np.int64]]:
    """Return where a text may stand around a dot, the nearest places first, and how far away."""
    angles = 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    ways = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    distances = np.repeat(_DISTANCES, _DIRECTIONS)
    ways = np.tile(ways, (len(_DISTANCES), 1))
    centres = dot + ways * distances[:, None] * scale + ways * extent / 2
    return np.hstack([centres - extent / 2, centres + extent / 2]), distances


def _overlaps(boxes: Boxes, others: Boxes) -> npt.NDArray[np.int64]:
    """Return how many of the others each box overlaps."""
    apart = (boxes[:, None, :2] > others[:, 2:]) | (boxes[:, None, 2:] < others[:, :2])
    return (~apart.any(axis=2)).sum(axis=1)


def _inside(boxes: Boxes, frame: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    return (boxes[:, :2] >= frame[:2]).all(axis=1) & (boxes[:, 2:] <= frame[2:]).all(axis=1)
