"""Approximate answers: most of the exact ones, and their exact cosines."""

import sys

import numpy as np
import pytest

from pyembed.vectors import WordVectors


@pytest.fixture
def wv(rng):
    rows = rng.standard_normal((2000, 12)).astype(np.float32)
    rows[[3, 5]] = 0
    rows[7] = np.nan
    return WordVectors([f"w{row}" for row in range(2000)], rows)


@pytest.fixture
def index(wv):
    pytest.importorskip("usearch")
    return wv.index(approximate=True)


def test_most_of_the_exact_answers_with_their_cosines(wv, index):
    assert repr(index) == "<ApproximateIndex of 1,997 words, dim 12>"
    words = [f"w{row}" for row in range(20, 60)]
    found = [index.most_similar(word) for word in words]
    assert index.most_similar_batch(words) == found
    shared = [
        len(set(exact) & set(near))  # the cosines too
        for exact, near in zip(wv.most_similar_batch(words), found, strict=True)
    ]
    assert sum(shared) >= 0.95 * 10 * len(words)
    for near in found:
        assert near == sorted(near, key=lambda answer: -answer[1])
        assert len(near) == 10


def test_other_questions(wv, index):
    assert index.similarity("w1", "w2") == wv.similarity("w1", "w2")
    exact = {word for word, _ in wv.analogy("w1", "w2", "w4", topn=20)}
    assert len(exact & {word for word, _ in index.analogy("w1", "w2", "w4", topn=20)}) >= 15
    assert index.doesnt_match(["w1", "w2", "w4"]) == wv.doesnt_match(["w1", "w2", "w4"])
    assert index.most_similar("w1", topn=0) == []
    assert len(index.most_similar(1e30 * wv["w1"].astype(float), topn=3)) == 3
    with pytest.raises(KeyError, match=r"'v1' is none of the 2,000 words"):
        index.most_similar("v1")
    with pytest.raises(ValueError, match="restrict_vocab: an index has all words"):
        index.most_similar("w1", restrict_vocab=5)


def test_rows_without_a_direction_and_more_answers_than_words():
    pytest.importorskip("usearch")
    few = WordVectors(["a", "b", "c"], np.array([[1.0, 0], [1, 1], [0, 0]]))
    index = few.index(approximate=True)
    assert index.most_similar("a", topn=9) == few.most_similar("a", topn=9)
    assert [word for word, _ in index.most_similar(few["a"], topn=9)] == ["a", "b"]
    none = WordVectors(["a"], np.zeros((1, 2)))
    assert none.index(approximate=True).most_similar(np.ones(2)) == []


def test_an_index_is_of_the_vectors_that_it_was_made_of_but_cosines_are_of_now(wv, index):
    before = index.most_similar("w1")
    wv.matrix *= 2
    assert index.most_similar("w1") == before
    wv.matrix[:, 0] += 1
    assert index.most_similar("w1")[0][1] == wv.similarity("w1", index.most_similar("w1")[0][0])


@pytest.mark.parametrize(
    "arguments",
    [{"approximate": False}, {"approximate": True, "connectivity": 1}, {"approximate": 1}],
)
def test_arguments_that_are_refused(wv, arguments):
    pytest.importorskip("usearch")
    with pytest.raises(ValueError, match=f"{list(arguments)[-1]}=.* must be"):
        wv.index(**arguments)


def test_without_usearch(wv, monkeypatch):
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(ImportError, match="an approximate index needs usearch: pip install"):
        wv.index(approximate=True)
