"""What decides whether a client's two sides agree; `python benchmarks/clients` runs them."""

from pathlib import Path

import pytest

from beside import modules_of

pytest.importorskip("torch")
CLIENTS = Path(__file__).parents[2] / "benchmarks" / "clients"


@pytest.fixture
def load(monkeypatch):
    """Import a module of the clients; none is left behind."""
    yield from modules_of(CLIENTS, monkeypatch)


class Side:
    """Trains to given losses, in given seconds."""

    def __init__(self, name, rounds, trained):
        self.name, self.rounds, self.trained = name, iter(rounds), trained

    def train(self, name, tiny):
        self.trained.append(self.name)
        return next(self.rounds)

    def forget(self, name):
        self.trained.append(f"{self.name} forgets")


def test_losses_that_are_equal_are_timed_by_turns(load):
    match, Round = load("match"), load("side").Round
    trained = []
    sides = [
        Side(name, [Round([2.0], 99.0, [9.0])] * 2 + [Round([loss], s, [s, s])] * 3, trained)
        for name, loss, s in (("torch", 2.0, 4.0), ("pyembed", 2.0002, 1.0))
    ]
    found = match.measured("any", 1e-3, sides, rounds=3)
    assert found.whole == found.step == {"torch": 4.0, "pyembed": 1.0}
    assert found.apart == pytest.approx(1e-4)
    assert trained[:4] == ["pyembed", "torch", "torch", "pyembed"]
    assert trained[10:] == ["torch forgets", "pyembed forgets"]


DIFFERENT = [
    ([2.0, 2.1], "losses are 5.0e-02 apart, more than 0.001"),
    ([2.0, float("nan")], "losses are nan apart"),
    ([2.0], "there are 2 losses and 1"),
]


@pytest.mark.parametrize(("losses", "why"), DIFFERENT)
def test_losses_that_differ_are_told(load, losses, why):
    match, Round = load("match"), load("side").Round
    sides = [Side("torch", [Round([2.0, 2.0], 1.0, [1.0])], [])]
    sides.append(Side("pyembed", [Round(losses, 1.0, [1.0])], []))
    with pytest.raises(match.Disagreement, match=why):
        match.measured("any", 1e-3, sides, rounds=1, tiny=True)
