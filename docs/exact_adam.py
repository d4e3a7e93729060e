"""Draw the figure of exact-adam.md: ``python docs/exact_adam.py`` (needs matplotlib)."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

import pyembed as pe

ROWS, DIM, TOUCHED, STEPS, EVERY = 500, 16, 10, 2000, 20
RATE = 0.01
# Okabe and Ito's colours, which stay apart for colour-blind eyes.
SIDES = {
    "lazy": ("lazy", "float32", "#D55E00"),
    "dense, in float32": (None, "float32", "#7F7F7F"),
    "exact, in float32": ("exact", "float32", "#0072B2"),
    "exact, in float64": ("exact", "float64", "#009E73"),
}


class Dense:
    """Dense Adam: every row moves at every step."""

    def __init__(self, start: np.ndarray, dtype: str) -> None:
        self.weights = start.astype(dtype)
        self.adam = pe.baseline.Adam(self.weights, RATE)

    def step(self, ids: np.ndarray, dy: np.ndarray) -> np.ndarray:
        """Take a step, and return all rows."""
        gradient = np.zeros_like(self.weights)
        np.add.at(gradient, ids, dy)
        self.adam.step(gradient)
        return self.weights


class Sparse:
    """Lazy or exact Adam: a step gets the rows that it has a gradient of."""

    def __init__(self, start: np.ndarray, dtype: str, update: str) -> None:
        self.table = pe.Embedding(ROWS, DIM, weights=start, dtype=dtype)
        self.adam = pe.SparseAdam(self.table, RATE, update=update)

    def step(self, ids: np.ndarray, dy: np.ndarray) -> np.ndarray:
        """Take a step, and look all rows up."""
        self.adam.step(self.table.backward(ids, dy.astype(self.table.dtype)))
        return self.table(np.arange(ROWS))


def distances() -> dict[str, list[float]]:
    """Return the largest differences of a weight from dense Adam in float64, now and then."""
    rng = np.random.default_rng(0)
    start = (0.05 * rng.standard_normal((ROWS, DIM))).astype(np.float32)
    truth = Dense(start, "float64")
    sides = {
        name: Dense(start, dtype) if update is None else Sparse(start, dtype, update)
        for name, (update, dtype, _) in SIDES.items()
    }
    found = {name: [] for name in sides}
    for step in range(1, STEPS + 1):
        ids = rng.integers(0, ROWS, TOUCHED)
        dy = rng.standard_normal((TOUCHED, DIM)).astype(np.float32)
        expected = truth.step(ids, dy)
        for name, side in sides.items():
            weights = side.step(ids, dy)
            if step % EVERY == 0:
                found[name].append(float(np.abs(weights - expected).max()))
    return found


def draw(path: Path, found: dict[str, list[float]]) -> None:
    """Draw one curve a side, each with its name at its end."""
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    for name, distance in found.items():
        color = SIDES[name][-1]
        axes.semilogy(range(EVERY, STEPS + 1, EVERY), distance, color=color, linewidth=1.5)
        axes.annotate(
            name,
            (STEPS, distance[-1]),
            xytext=(5, 0),
            textcoords="offset points",
            color=color,
            va="center",
            annotation_clip=False,
        )
    axes.set(
        title=f"Weights beside dense Adam's: {TOUCHED} of {ROWS} rows have a gradient",
        xlabel="steps",
        ylabel="largest difference of a weight",
        xlim=(0, STEPS),
        ylim=(1e-16, 10),
    )
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    with matplotlib.rc_context({"svg.hashsalt": path.name}):  # the same bytes from the same data
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


if __name__ == "__main__":
    here = Path(__file__).parent
    (here / "figures").mkdir(exist_ok=True)
    draw(here / "figures" / "exact-adam.svg", distances())
