"""Words drawn where they are: a dot each, and a name where there is room."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

ENDINGS = (".png", ".svg", ".pdf")
_DOT, _INK = "#0072B2", "#222222"
_SIZE = (11.0, 8.5)  # inches
_POINTS = 9.0  # of a letter
_FONTS = (
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "PingFang SC", "Hiragino Sans", "Microsoft YaHei"),
    *("Yu Gothic", "Arial Unicode MS", "Noto Sans Arabic", "Noto Sans Devanagari", "Noto Sans"),
)
_SHOWN = 20  # signs
# Where a name stands beside its dot: alignment across and along, and how far away, in points.
_SIDES = (
    *(("left", "center", 4.0, 0.0), ("right", "center", -4.0, 0.0)),
    *(("center", "bottom", 0.0, 3.0), ("center", "top", 0.0, -3.0)),
)


def draw(path: str, words: Sequence[str], places: NDArray[np.float64], title: str) -> int:
    """Draw a picture, whose format is its ending's, and return how many words have their name.

    Names that would cover one of a word before are left out.

    Raises
    ------
    ImportError
        If there is no matplotlib.
    OSError
        If the file cannot be written.
    """
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ImportError("a picture needs matplotlib: pip install matplotlib") from error
    settings = {
        "svg.hashsalt": "pyembed",  # so that the same words make the same file
        "svg.fonttype": "none",
        "font.family": ["sans-serif", *_fonts()],
    }
    with matplotlib.rc_context(settings), _one_warning_of_signs():
        figure = Figure(figsize=_SIZE, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        axes = figure.subplots()
        axes.scatter(places[:, 0], places[:, 1], s=14, color=_DOT, alpha=0.6, linewidths=0)
        axes.set(xticks=[], yticks=[])
        axes.set_title(title, loc="left", fontsize=11)
        axes.spines[:].set_color("0.85")
        axes.margins(0.06)
        canvas.draw()  # so that sizes are known
        named = _name(axes, words, places, canvas.get_renderer())
        figure.savefig(path, dpi=150, metadata=_undated(path))
    return named


def _fonts() -> list[str]:
    """Return those installed that have the signs which matplotlib's own has not."""
    from matplotlib.font_manager import fontManager

    there = set(fontManager.get_font_names())
    return [name for name in _FONTS if name in there]


@contextmanager
def _one_warning_of_signs() -> Iterator[None]:
    """Warn once, and not as often as it is drawn, of signs that no font has."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    signs: dict[str, None] = {}
    for one in caught:
        if found := re.match(r"Glyph (\d+) ", str(one.message)):
            signs[chr(int(found[1]))] = None
        else:
            warnings.warn(one.message, one.category, stacklevel=1)
    if signs:
        shown = "".join(list(signs)[:_SHOWN])
        warnings.warn(f"no font that is installed has {len(signs)} signs: {shown}", stacklevel=1)


def _name(axes: Axes, words: Sequence[str], places: NDArray[np.float64], renderer: Any) -> int:
    """Write names beside the dots, each where it covers none before; return how many.

    A side where a name covers no other dot either is taken first.
    """
    taken: list[Bbox] = []
    dots = axes.transData.transform(places)
    for word, place in zip(words, places, strict=True):
        for may_cover_dots, (across, along, right, up) in product((False, True), _SIDES):
            text = axes.annotate(
                word.replace("$", r"\$"),  # or what stands between two is set as a formula
                (place[0], place[1]),
                xytext=(right, up),
                textcoords="offset points",
                ha=across,
                va=along,
                fontsize=_POINTS,
                color=_INK,
            )
            box = text.get_window_extent(renderer)
            is_free = may_cover_dots or not _holds_any(box, dots)
            if is_free and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()
    return len(taken)


def _holds_any(box: Bbox, dots: NDArray[np.float64]) -> bool:
    inside = (dots >= (box.x0, box.y0)) & (dots <= (box.x1, box.y1))
    return bool(inside.all(axis=1).any())


def _undated(path: str) -> dict[str, None]:
    """Return metadata without a date, so that the same words make the same file."""
    name = {".svg": "Date", ".pdf": "CreationDate"}.get(path[-4:].lower())
    return {} if name is None else {name: None}
