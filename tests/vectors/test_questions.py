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
    assert wv.similarity(KING, QUEEN) == 0.5
    assert wv.similarity(KING, KING) == 1
    assert wv.similarity(KING, BANANA) == 0
    assert wv.similarity(KING, -wv[KING]) == -1
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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_without_a_direction_are_no_answers(dtype, rng):
    rows = rng.standard_normal((200, 5)).astype(dtype)
    rows[10:150] = 0
    rows[150], rows[151, 2], rows[152, 0] = np.nan, np.inf, -np.inf
    wv = WordVectors(map(str, range(200)), rows)
    left = [*range(10), *range(153, 200)]
    for questions in (1, 5):
        for answers in wv.most_similar_batch(rng.standard_normal((questions, 5)), topn=200):
            assert sorted(int(word) for word, _ in answers) == left
    assert wv.similarity("1", "11") == 0
    assert np.isnan(wv.similarity("1", "150"))
    for word, what in (("11", "zeros"), ("150", "not finite")):
        with pytest.raises(ValueError, match=rf"the question \['{word}'\] .* is {what}"):
            wv.most_similar(word)
    with pytest.raises(ValueError, match=r"\['1', '1'\] has no direction: its vector is zeros"):
        wv.most_similar("1", "1")


@pytest.mark.parametrize(
    ("dtype", "scales"),
    [
        (np.float32, [1e-44, 1e-40, 1e-25, 1e-15, 1e-3, 1, 1e15, 1e25, 1e37]),
        (np.float64, [1e-322, 1e-300, 1e-160, 1e-140, 1, 1e140, 1e160, 1e300]),
    ],
)
def test_rows_of_any_length(dtype, scales, rng):
    """The same directions at every scale: what is exact at scale 1 is the same at all others."""
    directions = rng.integers(-3, 4, (40, 6)).astype(np.float64)
    directions[:, 0] = 2.0 ** rng.integers(0, 2, 40)
    rows = np.concatenate([directions * dtype(np.ldexp(1.0, np.frexp(s)[1])) for s in scales])
    wv = WordVectors(map(str, range(len(rows))), rows.astype(dtype))
    usual = np.tile(directions, (len(scales), 1))
    for question in (directions[3], 1e-200 * directions[4], 1e200 * directions[5]):
        answers = wv.most_similar(question, topn=len(rows))
        assert len(answers) == len(rows)
        expected = dict(in_numpy(usual, question / np.abs(question).max(), len(rows)))
        for (row, cosine), (_, next_) in pairwise(answers):
            assert cosine == pytest.approx(expected[int(row)], abs=1e-14)
            assert cosine >= next_


def test_means_of_rows_of_any_length(rng):
    rows = rng.standard_normal((30, 4))
    usual = WordVectors(map(str, range(30)), rows)
    exponents = rng.integers(-900, 900, (30, 1))
    wild = WordVectors(map(str, range(30)), np.ldexp(rows, exponents))
    for question in (["1", "2"], [("3", 2.0), "4", ("5", -0.5)]):
        assert wild.most_similar(question, topn=30) == usual.most_similar(question, topn=30)
    assert wild.doesnt_match(map(str, range(9))) == usual.doesnt_match(map(str, range(9)))
    wild.matrix[1] = np.inf
    for question in (["1", "2"], [np.full(4, 1e300), (np.ones(4), 1e300), (-np.ones(4), -1e308)]):
        with pytest.raises(ValueError, match=r"no direction: its vector is not finite"):
            wild.most_similar([*question, (np.full(4, 1e300), 1e300)])


def test_products_that_cancel(rng):
    """Large numbers whose products all but cancel: float32 has only the rounding of their sum."""
    large = 1000 * rng.standard_normal((500, 30))
    rows = np.hstack([large, -large, rng.standard_normal((500, 4))]).astype(np.float32)
    question = np.concatenate([np.ones(60), np.full(4, 0.01)])
    wv = WordVectors(map(str, range(500)), rows)
    expected = in_numpy(rows, question, 50)
    exact = [wv.similarity(str(row), question) for row in range(500)]
    for questions in (question[None], np.repeat(question[None], 9, axis=0)):
        for answers in wv.most_similar_batch(questions, topn=50):
            order = sorted(range(500), key=lambda row: (-exact[row], row))[:50]
            assert answers == [(str(row), exact[row]) for row in order]
            assert len({word for word, _ in answers} & {str(row) for row, _ in expected}) > 45


@pytest.mark.parametrize("dim", [1, 2, 30])
def test_equal_cosines_stand_in_the_order_of_rows(dim, monkeypatch):
    rows = np.ones((5000, dim), np.float32)
    rows[1::2] = 2
    wv = WordVectors(map(str, range(5000)), rows)
    for threads in (1, 3):
        monkeypatch.setattr("pyembed.vectors._nearest._ROWS", 700)
        before = pe.get_num_threads()
        try:
            pe.set_num_threads(threads)
            for matrix in (rows, np.asfortranarray(rows)):
                wv.matrix = matrix
                answers = wv.most_similar("3", topn=40)
                assert [word for word, _ in answers] == [str(n) for n in range(41) if n != 3]
        finally:
            pe.set_num_threads(before)


@pytest.mark.parametrize(
    "laid_out",
    [
        np.asfortranarray,
        lambda matrix: np.repeat(matrix, 2, axis=1)[:, ::2],
        lambda matrix: np.repeat(matrix, 3, axis=0)[::3],
        lambda matrix: matrix[::-1].copy()[::-1],
        lambda matrix: np.frombuffer(b"x" + matrix.tobytes(), np.float32, offset=1).reshape(-1, 6),
        lambda matrix: np.frombuffer(matrix.tobytes(), np.float32).reshape(-1, 6),
    ],
)
def test_matrices_of_other_layouts(laid_out, rng, monkeypatch):
    plain = random_vectors(rng, 90, 6)
    monkeypatch.setattr("pyembed.vectors._nearest._ROWS", 40)
    other = WordVectors(plain.words, laid_out(plain.matrix))
    words = [str(row) for row in range(0, 90, 9)]
    assert other.most_similar_batch(words, topn=30) == plain.most_similar_batch(words, topn=30)
    assert other.most_similar("4", topn=99) == plain.most_similar("4", topn=99)
    assert other.similarity("4", "7") == plain.similarity("4", "7")
    assert other.analogy("1", "2", "3") == plain.analogy("1", "2", "3")


@pytest.mark.parametrize("name", ["a.npy", "a.safetensors"])
def test_a_file_that_is_mapped(name, tmp_path, rng):
    wv = random_vectors(rng, 50)
    vectors.save(wv, tmp_path / name)
    mapped = vectors.load(tmp_path / name, mmap=True)
    assert not mapped.matrix.flags.writeable
    assert mapped.most_similar_batch(["1", "2"]) == wv.most_similar_batch(["1", "2"])


def test_more_questions_and_answers_than_one_call_has(rng, monkeypatch):
    wv = random_vectors(rng, 150)
    words = [str(row) for row in range(150)]
    expected = wv.most_similar_batch(words, topn=140)
    monkeypatch.setattr("pyembed.vectors._nearest._QUESTIONS", 7)
    assert wv.most_similar_batch(words, topn=140) == expected
    monkeypatch.setattr("pyembed.vectors._nearest._FOUND", 300)
    assert wv.most_similar_batch(words, topn=140) == expected
    assert [wv.most_similar(word, topn=140) for word in words[:9]] == expected[:9]


def test_small_tables():
    one = WordVectors(["a"], np.ones((1, 3), np.float32))
    assert one.most_similar("a") == []
    assert one.most_similar(-np.ones(3)) == [("a", pytest.approx(-1))]
    none = WordVectors([], np.empty((0, 3), np.float32))
    assert none.most_similar(np.ones(3)) == []
    assert none.most_similar_batch(np.ones((2, 3))) == [[], []]
    with pytest.raises(KeyError, match="'a' is none of the 0 words"):
        none.most_similar("a")
    flat = WordVectors(["a", "b"], np.empty((2, 0), np.float32))
    with pytest.raises(ValueError, match="no direction: its vector is zeros"):
        flat.most_similar("a")
    line = WordVectors(["a", "b", "c"], np.array([[2.0], [-1], [1]], np.float32))
    assert line.most_similar("a") == [("c", 1), ("b", -1)]


def test_what_questions_are_made_of(wv):
    def near(*arguments):
        return wv.most_similar(*arguments, topn=5)

    assert near([KING]) == near(KING) == near((KING, 7.5)) == near([(KING, 0.1)])
    assert near(wv[KING])[1:] == near(KING)
    assert [word for word, _ in near([KING, KING])] == [word for word, _ in near(KING)]
    assert near([], [KING]) == near(None, KING) == near((KING, -1)) == near([], (KING, -3))
    assert near(KING, (QUEEN, 0))[0][0] == MAN
    assert near([], (KING, 1)) == near(KING)  # a weight has its own sign, as with gensim
    doubled = [word for word, _ in near([(MAN, 2), QUEEN])]
    assert doubled == [word for word, _ in near([MAN, MAN, QUEEN])]
    assert near([wv[KING], wv[MAN]]) == near(wv[[KING, MAN]])
    assert near(wv[KING].astype(np.float64)) == near(wv[KING])
    assert near(np.array([1, 1, 0, 0]))[0] == (KING, pytest.approx(1))  # integers
    assert near(np.array([KING, MAN])) == near([KING, MAN])
    assert near(word for word in (KING, MAN)) == near([KING, MAN])
    assert near(np.str_(KING)) == near(KING)


def test_many_questions_of_any_kind(wv):
    questions = [KING, wv[MAN], (QUEEN, 2.0), [KING, MAN], [(KING, 1.0), (MAN, -1.0)]]
    assert wv.most_similar_batch(questions) == [
        *(wv.most_similar(question) for question in questions[:4]),
        wv.most_similar(KING, MAN),
    ]
    assert wv.most_similar_batch(np.array(WORDS)) == [wv.most_similar(word) for word in WORDS]
    assert wv.most_similar_batch(iter(WORDS)) == [wv.most_similar(word) for word in WORDS]
    assert wv.most_similar_batch(wv.matrix) == [wv.most_similar(row) for row in wv.matrix]


def test_restricted_to_the_first_words(wv):
    assert [word for word, _ in wv.most_similar(BANANA, restrict_vocab=2)] == [KING, QUEEN]
    assert wv.most_similar(BANANA, restrict_vocab=0) == []
    assert wv.most_similar(BANANA, restrict_vocab=99) == wv.most_similar(BANANA)
    (answers,) = wv.most_similar_batch([KING], restrict_vocab=2)
    assert [word for word, _ in answers] == [QUEEN]


def test_means_of_groups_and_the_word_that_does_not_match(wv):
    assert wv.n_similarity([KING], [QUEEN]) == wv.similarity(KING, QUEEN)
    assert wv.n_similarity([KING, WOMAN], [QUEEN, MAN]) == pytest.approx(1, abs=0.01)
    assert wv.doesnt_match([KING, QUEEN, BANANA, MAN]) == BANANA
    assert wv.doesnt_match(iter([KING])) == KING
    with pytest.raises(KeyError, match="'pear'"):
        wv.doesnt_match([KING, "pear"])
    with pytest.raises(KeyError, match="'pear'"):
        wv.n_similarity([KING], ["pear"])
    for call in (lambda: wv.n_similarity([], [KING]), lambda: wv.doesnt_match([])):
        with pytest.raises(ValueError, match="has no words"):
            call()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda wv: wv.most_similar(), ValueError, "a question needs a word or a vector"),
        (lambda wv: wv.most_similar(5), TypeError, "positive must be words or vectors, not int"),
        (lambda wv: wv.most_similar([5]), TypeError, "item 0 of positive must be a word or a vec"),
        (lambda wv: wv.most_similar(KING, [None]), TypeError, "item 0 of negative must be"),
        (lambda wv: wv.most_similar(b"king"), TypeError, "positive must be .*, not bytes"),
        (lambda wv: wv.most_similar((KING, np.nan)), ValueError, "the weight of positive=nan"),
        (lambda wv: wv.most_similar([(KING, 0)]), ValueError, "its vector is zeros"),
        (lambda wv: wv.most_similar(np.ones(3)), ValueError, r"shape \(3,\), but must have \(4,\)"),
        (lambda wv: wv.most_similar(np.ones((1, 1, 4))), ValueError, r"shape \(1, 4\), but must"),
        (lambda wv: wv.most_similar(np.full(4, np.nan)), ValueError, "its vector is not finite"),
        (
            lambda wv: wv.most_similar(np.ones(4, complex)),
            TypeError,
            "real numbers, not of complex",
        ),
        (lambda wv: wv.most_similar(np.ones(4, bool)), TypeError, "real numbers, not of bool"),
        (lambda wv: wv.most_similar(KING, topn=-1), ValueError, "topn=-1 must be an integer >= 0"),
        (lambda wv: wv.most_similar(KING, topn=None), ValueError, "topn=None must be"),
        (lambda wv: wv.most_similar(KING, restrict_vocab=1.5), ValueError, "restrict_vocab=1.5"),
        (lambda wv: wv.most_similar_batch(KING), TypeError, "questions must be many, not a single"),
        (lambda wv: wv.most_similar_batch([KING, []]), ValueError, "a question needs"),
        (lambda wv: wv.most_similar_batch([KING, 3]), TypeError, "question 1 must be words or vec"),
        (lambda wv: wv.similarity(KING, 3), TypeError, "b must be a word or a vector, not int"),
        (lambda wv: wv.similarity([KING], KING), TypeError, "a must be a word or a vector, not li"),
    ],
)
def test_questions_that_are_refused(wv, call, error, message):
    with pytest.raises(error, match=message):
        call(wv)
