"""Maps of vectors: what is near stays near, and names can be read."""

import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from beside import modules_of

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.skipif(not EXAMPLES.exists(), reason="no checkout")


@pytest.fixture
def maps(monkeypatch):
    for load in modules_of(EXAMPLES, monkeypatch):
        yield load("maps")


@pytest.fixture
def clusters(rng):
    """Directions around four that are far from each other."""
    centres = np.repeat(np.eye(4, 10), 12, axis=0)
    return (centres + 0.1 * rng.standard_normal(centres.shape)).astype(np.float32)


@pytest.mark.parametrize("has_scikit_learn", [False, True])
def test_near_directions_lie_near(has_scikit_learn, maps, clusters, monkeypatch):
    if has_scikit_learn:
        pytest.importorskip("sklearn")
    else:
        monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    lengths = np.linspace(0.1, 10, len(clusters), dtype=np.float32)
    points, method = maps.flat(clusters * lengths[:, None], seed=0)
    assert method == ("t-SNE" if has_scikit_learn else "PCA")
    groups = points.reshape(4, 12, 2)
    within = groups.std(axis=1).mean()
    between = [np.linalg.norm(a - b) for a, b in combinations(groups.mean(axis=1), 2)]
    assert np.median(between) > 4 * within


def test_names_do_not_lie_on_each_other(maps, rng):
    """Nor on the axes' edge, however close their dots are."""
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.subplots()
    points = rng.standard_normal((120, 2)) * [1, 0.02]
    axes.scatter(*points.T)
    names = [f"name {place}" for place in range(40)]
    maps.add_names(figure, axes, points, range(40), names, ["black"] * 40)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) > 20
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    frame = axes.get_window_extent()
    assert all(frame.contains(*box.p0) and frame.contains(*box.p1) for box in boxes)
    assert {text.get_text() for text in axes.texts} <= set(names)


def test_names_that_have_no_room_are_left_out(maps):
    figure = Figure(figsize=(2, 1))
    axes = figure.subplots()
    points = np.zeros((30, 2))
    axes.scatter(*points.T)
    maps.add_names(figure, axes, points, range(30), ["a long name"] * 30, ["black"] * 30)
    assert 1 <= len(axes.texts) < 30


def test_points_that_are_spread(maps):
    points = np.array([[0, 0], [0.01, 0], [1, 1], [1, 0.9], [0.5, 0.5]])
    assert maps.spread(points, [1, 0, 2, 3, 4], 3, apart=0.05) == [1, 2, 3]
    assert maps.spread(points, [1, 0, 2, 3, 4], 9, apart=0.2) == [1, 2, 4]
