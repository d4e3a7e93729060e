"""Similarities of pairs and analogies, on a small world whose answers are known."""

import math

import numpy as np
import pytest

from pyembed.vectors import WordVectors

WORDS = ["king", "queen", "man", "woman", "banana", "King"]


@pytest.fixture
def wv():
    rows = [[1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 1, 9]]
    return WordVectors(WORDS, np.array(rows, np.float32))


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "asked.txt"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_pairs_of_words(wv, written):
    path = written(
        "\ufeff# a comment\nking\tqueen\t3\n\nking\tman\t5\nking\tking\t9\nman\tbanana\t1\n"
        "queen\tMAN\t1\nking\tpear\t4\na header\tof\tno number\nno tabs 5\n"
    )
    scores = wv.evaluate_word_pairs(path)
    cosines, people = [0.5, 0.5**0.5, 1, 0, 0], [3, 5, 9, 1, 1]
    assert scores.pearson == pytest.approx(np.corrcoef(cosines, people)[0, 1])
    assert scores.spearman == pytest.approx(1)  # in the same order, with ties at the same place
    assert scores.oov_ratio == pytest.approx(100 / 6)
    assert (scores.pairs, scores.skipped) == (5, 2)
    counted = wv.evaluate_word_pairs(path, dummy4unknown=True)
    assert counted.pairs == 6
    assert counted.pearson == pytest.approx(np.corrcoef([*cosines, 0], [*people, 4])[0, 1])
    ranks = np.corrcoef([4, 5, 6, 2, 2, 2], [3, 5, 6, 1.5, 1.5, 4])[0, 1]
    assert counted.spearman == pytest.approx(ranks)
    assert wv.evaluate_word_pairs(path, case_insensitive=False).pairs == 4
    assert wv.evaluate_word_pairs(path, restrict_vocab=3).pairs == 4
    assert wv.evaluate_word_pairs(path, restrict_vocab=None) == scores


def test_pairs_that_do_not_vary(wv, written):
    scores = wv.evaluate_word_pairs(written("king,queen,1\nman,woman,1"), delimiter=",")
    assert math.isnan(scores.pearson)
    assert math.isnan(scores.spearman)


def test_a_pair_with_zeros_has_cosine_0(wv, written):
    wv.matrix[4] = 0
    path = written("king\tbanana\t0\nking\tman\t5\nking\tking\t9\n")
    assert wv.evaluate_word_pairs(path).spearman == pytest.approx(1)


def test_pairs_that_are_refused(wv, written):
    with pytest.raises(ValueError, match=r"asked\.txt: no pair of known words .* \(1 pairs, 1 oth"):
        wv.evaluate_word_pairs(written("pear\tapple\t3\nking queen 3\n"))
    with pytest.raises(ValueError, match=r"asked\.txt: line 2 is no UTF-8"):
        wv.evaluate_word_pairs(written(b"king\tqueen\t3\nking\t\xff\t3\n"))
    with pytest.raises(ValueError, match="restrict_vocab=-1 must be an integer >= 0"):
        wv.evaluate_word_pairs(written("king\tqueen\t3\n"), restrict_vocab=-1)
    with pytest.raises(FileNotFoundError):
        wv.evaluate_word_pairs("nowhere.txt")


ANALOGIES = """\
: royals
man king woman queen
Man king Woman king

man king woman pear
five words in this line
: empty
: back
king man queen woman
"""


def test_analogies(wv, written):
    path = written(ANALOGIES)
    scores = wv.evaluate_analogies(path)
    royals, empty, back = scores.sections
    assert royals.section == "royals"
    assert royals.correct == [("MAN", "KING", "WOMAN", "QUEEN")]
    assert royals.incorrect == [("MAN", "KING", "WOMAN", "KING")]  # a word of the question
    assert royals.score == 0.5
    assert (empty.correct, empty.incorrect, empty.score) == ([], [], 0)
    assert back.correct == [("KING", "MAN", "QUEEN", "WOMAN")]
    assert scores.score == pytest.approx(2 / 3)
    assert scores.oov_ratio == 25
    assert scores.skipped == 1
    counted = wv.evaluate_analogies(path, dummy4unknown=True)
    assert counted.sections[0].incorrect[1] == ("MAN", "KING", "WOMAN", "PEAR")
    assert counted.score == 0.5
    exact = wv.evaluate_analogies(path, case_insensitive=False)
    assert exact.sections[0].correct == [("man", "king", "woman", "queen")]
    assert exact.oov_ratio == 50
    few = wv.evaluate_analogies(path, restrict_vocab=3)
    assert (few.score, few.oov_ratio) == (0, 100)


def test_an_analogy_without_a_direction_is_wrong(wv, written):
    wv.matrix[:4] = 0
    assert wv.evaluate_analogies(written(": a\nman king woman queen")).score == 0


def test_analogies_that_are_refused(wv, written):
    with pytest.raises(ValueError, match=r"asked\.txt: line 2 stands before the first section"):
        wv.evaluate_analogies(written("\nman king woman queen\n"))
    with pytest.raises(ValueError, match=r"asked\.txt: no line of four words \(1 other lines\)"):
        wv.evaluate_analogies(written(": a\nman king\n"))
