"""The harness's contestants; the figures themselves are for `python benchmarks`."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from beside import modules_of

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def load(monkeypatch):
    """Import a module of the benchmark; none is left behind."""
    yield from modules_of(BENCHMARKS, monkeypatch)


def measured(harness, *contestants):
    match = harness.Match(contestants, batches=9, rows=1, bytes=1)
    effort = harness.Effort(repeat=3, rest=False)
    return harness.measure(harness.Case({"dim": 1}, lambda: match), effort)


def test_one_that_times_itself_is_believed(load):
    harness = load("harness")
    here = harness.Contestant("here", lambda batch: None, result=lambda _: np.zeros(1))
    there = harness.Contestant(
        "there", lambda batch: 7.0, result=lambda _: np.zeros(1), times_itself=True
    )
    found = measured(harness, here, there)
    assert found.of("there").median == 7.0
    assert found.ours.median < 1.0


def test_only_other_work_may_have_another_result(load):
    harness = load("harness")
    zero, one = (
        harness.Contestant(str(value), lambda batch, value=value: np.full(1, value))
        for value in (0.0, 1.0)
    )
    with pytest.raises(harness.Disagreement, match=r"0\.0 and 1\.0 differ"):
        measured(harness, zero, one)
    other = harness.Contestant("other", one.run, compared=False)
    assert measured(harness, zero, other).not_compared == ["other"]


@pytest.mark.parametrize(("rows", "looked_up"), [(2, 2), (50, 3)])
def test_words_are_drawn_by_their_counts(load, monkeypatch, rows, looked_up):
    streams = load("streams")
    monkeypatch.setattr(streams, "counts", lambda: np.array([600, 300, 100]))
    ids = streams.words(rows)(np.random.default_rng(0), (10_000,))
    assert ids.min() >= 0
    assert ids.max() < rows
    found = np.sort(np.bincount(ids))[::-1][: looked_up + 1]
    expected = np.array([600, 300, 100, 0])[:looked_up] / sum([600, 300, 100][:looked_up])
    np.testing.assert_allclose(found[:looked_up] / 10_000, expected, atol=0.03)
    assert found.sum() == 10_000


def test_a_missing_peer_is_named_with_its_command(load, monkeypatch):
    peers = load("peers")
    monkeypatch.setattr(peers, "_load", lambda name: ModuleNotFoundError(name=name))
    (line,) = peers.missing(["torch"])
    assert line == "torch: not installed, so not timed (pip install torch==2.13.0)"
    monkeypatch.setattr(peers, "_load", lambda name: OSError("a library"))
    (line,) = peers.missing(["torch"])
    assert "does not load (OSError('a library'))" in line


def test_a_process_without_keras_says_so_and_leaves_nothing(load, monkeypatch, tmp_path):
    if importlib.util.find_spec("tensorflow"):
        pytest.skip("this interpreter has TensorFlow")
    keras_parent = load("peers.keras_parent")
    assert keras_parent.version() is None
    monkeypatch.setattr(keras_parent, "IN_MEMORY", tmp_path)
    try:
        with pytest.raises(RuntimeError, match="No module named 'tensorflow'"):
            keras_parent.KerasAdam(3, 2, "float32", tuned=True)
        assert list(tmp_path.iterdir())
    finally:
        keras_parent.forget()
    assert not list(tmp_path.iterdir())


def test_every_optimizer_has_a_contest(load):
    names = load("options").OPTIMIZERS
    contests = load("jobs.step").CONTESTS
    assert tuple(contests) == names
    for contest in contests.values():
        first, *others = contest.sides.values()
        assert first.needs is None
        assert all(side.needs for side in others)


def test_smoke():
    command = [sys.executable, str(BENCHMARKS), "--smoke", "one_id", "bag_step", "step", "tables"]
    run = subprocess.run([*command, "--optimizers", "sgd"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    for what in ("emb(ids)", "gather(out=) of one id", "bag_step: ", "sgd", "20 tables"):
        assert what in run.stdout
