"""The known word that is spelled most like an unknown one."""

import difflib

import numpy as np
import pytest

from pyembed.vectors._words import Words
from pyembed.vectors.spelling import LEAST, nearest_spelling

KNOWN = ["", "paris", "parks", "Separate", "naïve", "東京", "accommodation", "pairs", "x" * 300]


@pytest.mark.parametrize(
    ("word", "like"),
    [
        ("pariss", "paris"),
        ("PARIS", "paris"),
        ("seperate", "Separate"),
        ("naive", "naïve"),
        ("東亰", None),  # half of two letters
        ("東京都", "東京"),
        ("acomodation", "accommodation"),
        ("x" * 290, "x" * 300),
        ("zzz", None),
        ("", None),
    ],
)
def test_misspelled_words(word, like):
    assert nearest_spelling(word, Words.of(KNOWN)) == like


def test_no_words():
    assert nearest_spelling("a", Words.of([])) is None
    assert nearest_spelling("a", Words.of([""])) is None


def test_it_is_what_difflib_finds_among_all(rng):
    """Among far more words than are compared letter by letter."""
    letters = np.array(list("abcdefgh"))
    known = list(dict.fromkeys("".join(rng.choice(letters, 7)) for _ in range(3000)))
    words = Words.of(known)
    for _ in range(10):
        word = "".join(rng.choice(letters, 7))
        (best,) = difflib.get_close_matches(word, known, n=1, cutoff=LEAST)
        found = nearest_spelling(word, words)
        ratios = [difflib.SequenceMatcher(None, one, word).ratio() for one in (found, best)]
        assert ratios[0] >= ratios[1] - 0.02
