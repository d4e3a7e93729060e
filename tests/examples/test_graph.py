"""The graph example's own parts: walks have their probabilities, and guesses their measures."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from beside import modules_of

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.skipif(not EXAMPLES.exists(), reason="no checkout")


@pytest.fixture
def load(monkeypatch):
    yield from modules_of(EXAMPLES, monkeypatch)


@pytest.fixture
def network(load):
    """Six nodes: two triangles that share a link, one node beside them, and one behind that."""
    links = np.array([[0, 1], [0, 2], [1, 2], [1, 3], [2, 3], [3, 4], [4, 5]])
    weights = np.array([1.0, 2.0, 0.5, 1.0, 3.0, 1.5, 1.0])
    return load("graph_study.network").Network(6, links, weights)


def weights_of(network):
    table = np.zeros((network.nodes, network.nodes))
    table[network.links[:, 0], network.links[:, 1]] = network.weights
    return table + table.T


def test_neighbours_and_links(network):
    table = weights_of(network)
    for node in range(network.nodes):
        found = network.neighbours[network.starts[node] : network.starts[node + 1]]
        assert found.tolist() == np.flatnonzero(table[node]).tolist()
    first, second = np.indices(table.shape).reshape(2, -1)
    assert network.linked(first, second).tolist() == (table > 0).ravel().tolist()


@pytest.mark.parametrize(("p", "q"), [(1.0, 1.0), (0.25, 4.0), (4.0, 0.25)])
def test_steps_have_node2vec_s_probabilities(p, q, load, network):
    """Every step of many walks, beside the product of weights and preferences."""
    walks = load("graph_study.walks").walk(network, p=p, q=q, times=4000, length=12, seed=0)
    assert walks.shape == (24_000, 12)
    assert np.bincount(walks[:, 0]).tolist() == [4000] * 6
    counts = np.zeros((6, 6, 6))
    np.add.at(counts, (walks[:, :-2], walks[:, 1:-1], walks[:, 2:]), 1)
    table = weights_of(network)
    for before, here in zip(*np.nonzero(table), strict=True):
        wanted = table[here] * np.where(table[before] > 0, 1, 1 / q)
        wanted[before] = table[here, before] / p
        wanted /= wanted.sum()
        seen = counts[before, here]
        assert seen.sum() > 500
        error = np.abs(seen / seen.sum() - wanted)
        assert (error <= 5 * np.sqrt(wanted * (1 - wanted) / seen.sum())).all()


def test_first_steps_go_by_weight(load, network):
    walks = load("graph_study.walks").walk(network, p=0.1, q=9.0, times=4000, length=2, seed=1)
    table = weights_of(network)
    for node in range(6):
        seen = np.bincount(walks[walks[:, 0] == node, 1], minlength=6) / 4000
        np.testing.assert_allclose(seen, table[node] / table[node].sum(), atol=0.04)


def test_measures_of_guesses(load):
    """Beside their definitions, a pair or a threshold at a time; many scores are the same."""
    links = load("graph_study.links")
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 8, 60).astype(float)
    is_link = rng.random(60) < 0.4
    ours, others = scores[is_link], scores[~is_link]
    wins = [(a > b) + (a == b) / 2 for a in ours for b in others]
    assert links.auc(scores, is_link) == pytest.approx(np.mean(wins))
    precision = [is_link[scores >= score].mean() for score in ours]
    assert links.average_precision(scores, is_link) == pytest.approx(np.mean(precision))
    assert links.auc(is_link * 1.0, is_link) == links.average_precision(is_link * 1.0, is_link) == 1


def test_hidden_links_are_not_walked_on(load):
    links = load("graph_study.links")
    rng = np.random.default_rng(1)
    every = np.array(list(combinations(range(40), 2)))
    chosen = np.sort(rng.choice(len(every), 200, replace=False))
    network = load("graph_study.network").Network(40, every[chosen], rng.random(200) + 0.1)
    hidden = links.hide(network, 0)
    assert len(hidden.known.links) == 160
    assert hidden.known.degrees.min() >= 1
    pairs = {tuple(pair) for pair in hidden.pairs.tolist()}
    assert len(pairs) == len(hidden.pairs) == 80
    known = {tuple(link) for link in hidden.known.links.tolist()}
    judged = {tuple(pair) for pair in hidden.pairs[hidden.is_link].tolist()}
    whole = {tuple(link) for link in network.links.tolist()}
    assert known | judged == whole
    assert not known & judged
    assert not whole & (pairs - judged)
