"""Which words an example shows, and what it starts from."""

from pathlib import Path

import numpy as np
import pytest

from beside import modules_of
from pyembed.vectors import WordVectors

pytest.importorskip("matplotlib")

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.skipif(not EXAMPLES.exists(), reason="no checkout")


@pytest.fixture
def load(monkeypatch):
    yield from modules_of(EXAMPLES, monkeypatch)


def test_words_of_paragraphs(load):
    text = "Fellow-Citizens:\n\n1790 was the nation\u2019s YEAR, no. 2!\n--\n"
    words = load("word_vectors").words_of(text)
    assert words == [["fellow", "citizens"], ["was", "the", "nation's", "year", "no"]]


def test_a_word_belongs_to_the_nearer_subject(load, monkeypatch):
    example = load("word_vectors")
    monkeypatch.setattr(example, "SUBJECTS", {"sea": "red", "land": "blue"})
    monkeypatch.setattr(example, "NEAREST", 2)
    directions = {
        "sea": 0,
        "land": 90,
        "ship": 10,
        "coast": 44,
        "farm": 80,
        "ship's": 5,
        "shore": 46,
    }
    angles = np.radians(list(directions.values()))
    wv = WordVectors(list(directions), np.stack([np.cos(angles), np.sin(angles)], axis=1))
    near = example.words_near(wv)
    assert near == {"sea": ["sea", "ship", "coast"], "land": ["land", "farm", "shore"]}


def test_vectors_of_an_own_text_come_from_its_words_alone(load):
    """Not from labels; and a word that is too rare has none."""
    pretrained = load("sentiment_study.pretrained")
    snippets = load("sentiment_study.snippets").Snippets
    rng = np.random.default_rng(0)
    ids = np.append(rng.integers(3, 9, 300), 10)  # 1, 2 and 9 are never there, 10 is once
    offsets = np.arange(0, 301, 10)
    made = [
        pretrained.Pretrained.from_text(snippets(ids, offsets, labels), 12, 6, seed=1)
        for labels in np.eye(2, len(offsets), dtype=np.float32)
    ]
    assert np.flatnonzero(made[0].known).tolist() == list(range(3, 9))
    assert made[0].vectors.shape == (12, 6)
    assert (made[0].vectors.any(axis=1) == made[0].known).all()
    assert (made[0].vectors == made[1].vectors).all()
