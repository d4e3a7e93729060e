"""What words are near to: the nearest rows, and what questions are made of."""

from itertools import pairwise

import numpy as np
import pytest

import pyembed as pe
from fasttext_files import model
from pyembed import vectors
from pyembed.vectors import Vocabulary, WordVectors

KING, QUEEN, MAN, WOMAN, BANANA = WORDS = ["king", "queen", "man", "woman", "banana"]


@pytest.fixture
def wv():
    rows = [[1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0.1, 0], [0, 0.1, 1, 0], [0, 0, 0, 1]]
    return WordVectors(WORDS, np.array(rows, np.float32))


def random_vectors(rng, count, dim=7, dtype=np.float32):
    return WordVectors(map(str, range(count)), rng.standard_normal((count, dim)).astype(dtype))


def in_numpy(matrix, question, topn, left_out=()):
    """The same in float64: rows by cosine, of equal ones the first."""
    rows = matrix.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        cosines = rows @ question / np.linalg.norm(rows, axis=1) / np.linalg.norm(question)
    cosines[list(left_out)] = np.nan
    order = [row for row in np.argsort(-cosines, kind="stable") if not np.isnan(cosines[row])]
    return [(row, cosines[row]) for row in order[:topn]]


def assert_same(answers, expected):
    np.testing.assert_allclose(
        [cosine for _, cosine in answers], [cosine for _, cosine in expected], atol=1e-14
    )
    assert [word for word, _ in answers] == [str(row) for row, _ in expected]


def test_words_near_to_a_word(wv):
    assert wv.most_similar(KING, topn=3) == [
        (MAN, wv.similarity(KING, MAN)),
        (QUEEN, wv.similarity(KING, QUEEN)),
        (WOMAN, wv.similarity(KING, WOMAN)),
    ]
    assert wv.similarity(KING, QUEEN) == pytest.approx(0.5)
    assert wv.similarity(KING, KING) == pytest.approx(1)
    assert wv.similarity(KING, BANANA) == 0
    assert wv.similarity(KING, -wv[KING]) == pytest.approx(-1)
    assert all(type(cosine) is float for _, cosine in wv.most_similar(KING))


def test_what_is_to_one_word_as_another_to_a_third(wv):
    assert wv.analogy(MAN, WOMAN, KING)[0][0] == QUEEN
    assert wv.analogy(MAN, WOMAN, KING) == wv.most_similar([WOMAN, KING], [MAN])
    assert len(wv.analogy(MAN, WOMAN, KING)) == 2
    assert wv.analogy(wv[MAN], WOMAN, KING, topn=1)[0][0] == QUEEN


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dim", [1, 3, 16, 50, 301])
@pytest.mark.parametrize("questions", [1, 3, 4, 16, 17, 130])
def test_the_nearest_rows_are_exact(dtype, dim, questions, rng):
    wv = random_vectors(rng, 300, dim, dtype)
    asked = rng.standard_normal((questions, dim))
    every = wv.most_similar_batch(asked, topn=20)
    assert len(every) == questions
    if dim > 1:  # else all cosines are 1 or -1
        for question, answers in zip(asked[-3:], every[-3:], strict=True):
            assert_same(answers, in_numpy(wv.matrix, question, 20))


def test_rows_whose_cosines_float32_cannot_tell_apart(rng):
    rows = np.repeat(rng.standard_normal((1, 40)), 900, axis=0).astype(np.float32)
    rows[300:] = np.nextafter(rows[300:], rng.choice([-9, 9], (600, 40)).astype(np.float32))
    wv = WordVectors(map(str, range(900)), rows[rng.permutation(900)])
    question = rng.standard_normal(40)
    answers = wv.most_similar(question, topn=900)
    assert len(answers) == 900
    for (one, cosine), (other, next_) in pairwise(answers):
        assert cosine > next_ or (cosine == next_ and int(one) < int(other))
        assert cosine == wv.similarity(one, question)
    for topn in (1, 50, 400):
        assert wv.most_similar(question, topn=topn) == answers[:topn]


def test_the_same_bits_one_at_a_time_and_at_any_number_of_threads(rng):
    wv = random_vectors(rng, 40_000, 24)
    words = [str(row) for row in rng.integers(0, len(wv), 20)]
    before = pe.get_num_threads()
    try:
        pe.set_num_threads(1)
        alone = [wv.most_similar(word) for word in words]
        for threads in (1, 2, 7):
            pe.set_num_threads(threads)
            assert wv.most_similar_batch(words) == alone
            assert wv.most_similar(words[0]) == alone[0]
    finally:
        pe.set_num_threads(before)


def test_an_answer_is_of_the_matrix_as_it_is_now(wv):
    assert wv.most_similar(BANANA, topn=1)[0][1] == 0
    wv.matrix[0] = [0, 0, 0, 1e-3]
    assert wv.most_similar(BANANA, topn=1)[0] == (KING, pytest.approx(1))


def test_how_many_answers_there_are(wv):
    assert wv.most_similar(KING, topn=0) == []
    assert len(wv.most_similar(KING, topn=99)) == 4
    assert len(wv.most_similar(wv[KING], topn=99)) == 5
    assert wv.most_similar_batch([]) == []
    assert wv.most_similar_batch(np.empty((0, 4), np.float32)) == []
    assert wv.most_similar_batch([KING, QUEEN], topn=0) == [[], []]


def test_unknown_words_are_told_with_the_nearest_spelling(wv):
    with pytest.raises(KeyError, match=r"'quen' is none of the 5 words; the nearest .* 'queen'"):
        wv.most_similar("quen")
    with pytest.raises(KeyError, match="'Zebra' is none of the 5 words\""):
        wv.similarity(KING, "Zebra")
    with pytest.raises(KeyError, match="'bananas'"):
        wv.analogy(KING, QUEEN, "bananas")


def test_entries_for_padding_and_unknown_words_are_no_answers():
    vocabulary = Vocabulary(["a", "b"])
    wv = WordVectors(vocabulary.words, np.ones((4, 2), np.float32))
    assert wv.most_similar("a") == [("b", pytest.approx(1))]
    assert [word for word, _ in wv.most_similar("<unk>")] == ["a", "b"]
    assert [word for word, _ in wv.most_similar("a", without=["b", "c"])] == ["<pad>", "<unk>"]
    with pytest.raises(TypeError, match="without must be many words"):
        wv.most_similar("a", without="b")


def test_unseen_words_that_have_a_vector_by_their_subwords(tmp_path, rng):
    words = ["the", "cat", "dog"]
    table = rng.standard_normal((43, 3)).astype(np.float32)
    (tmp_path / "m.bin").write_bytes(model(words, table, 3, 6))
    wv = vectors.load(tmp_path / "m.bin")
    answers = wv.most_similar("cats")
    assert sorted(word for word, _ in answers) == sorted(words)
    assert wv.most_similar(wv["cats"]) == answers
    with pytest.raises(ValueError, match=r"the question \[''\] has no direction: .* zeros"):
        wv.most_similar("")
