"""The same questions have gensim's answers, and its tests the same scores."""

from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gensim")

from gensim.models import KeyedVectors
from gensim.models.fasttext import load_facebook_vectors

from pyembed import vectors

pytestmark = [  # it leaves files open
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
DATA = Path(distribution("gensim").locate_file("gensim/test/test_data"))
NEAR = 2e-6  # its arithmetic is in float32


def both(words, matrix):
    keyed = KeyedVectors(matrix.shape[1])
    keyed.add_vectors(words, matrix)
    return vectors.WordVectors(words, matrix), keyed


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(4)
    words = [f"w{number}" for number in range(500)]
    return both(words, rng.standard_normal((500, 20)).astype(np.float32))


@pytest.fixture(scope="module")
def loaded():
    """Its own vectors, of 50 dimensions."""
    name = DATA / "word2vec_pre_kv_c"
    return vectors.load(name), KeyedVectors.load_word2vec_format(name)


def assert_same(ours, theirs):
    np.testing.assert_allclose([x for _, x in ours], [x for _, x in theirs], atol=NEAR)
    # Only words whose cosines it cannot tell apart may change places.
    cosines = dict(theirs)
    for (word, cosine), (other, _) in zip(ours, theirs, strict=True):
        assert word == other or abs(cosines[word] - cosine) < NEAR


@pytest.mark.parametrize(
    "arguments",
    [
        {"positive": "w3"},
        {"positive": ["w3", "w4"]},
        {"positive": ["w3", "w4"], "negative": ["w5"]},
        {"positive": ["w3", "w3", "w4"], "topn": 3},
        {"negative": "w3", "topn": 30},
        {"positive": [("w3", 0.3), ("w4", -2.5)], "negative": [("w5", 0.5), "w6"]},
        {"positive": ["w3"], "restrict_vocab": 100},
        {"positive": ["w300"], "restrict_vocab": 100},
        {"positive": "w3", "topn": 0},
        {"positive": "w3", "topn": 499},
    ],
)
def test_words_near_to_words(small, arguments):
    wv, keyed = small
    assert_same(wv.most_similar(**arguments), keyed.most_similar(**arguments))


def test_words_near_to_vectors(small, rng):
    wv, keyed = small
    one, two = rng.standard_normal((2, 20)).astype(np.float32)
    for given in (one, [one, two], [(one, 0.2), "w3"], np.stack([one, two]), [wv["w3"]]):
        assert_same(wv.most_similar(given), keyed.most_similar(given))
    assert_same(wv.most_similar(one, "w3"), keyed.most_similar(one, "w3"))


def test_many_questions(small):
    wv, keyed = small
    words = [f"w{number}" for number in range(0, 500, 7)]
    for word, ours in zip(words, wv.most_similar_batch(words), strict=True):
        assert_same(ours, keyed.most_similar(word))


def test_similarities(small):
    wv, keyed = small
    assert wv.similarity("w3", "w4") == pytest.approx(keyed.similarity("w3", "w4"), abs=NEAR)
    groups = [["w3", "w4"], ["w5", "w6", "w7"]]
    assert wv.n_similarity(*groups) == pytest.approx(keyed.n_similarity(*groups), abs=NEAR)
    for first in range(0, 500, 10):
        words = [f"w{number}" for number in range(first, first + 10)]
        assert wv.doesnt_match(words) == keyed.doesnt_match(words)


def test_vectors_of_unseen_words():
    wv = vectors.load(DATA / "crime-and-punishment.bin")
    keyed = load_facebook_vectors(DATA / "crime-and-punishment.bin")
    # With gensim, the end of a sentence has n-grams.
    theirs = [(word, x) for word, x in keyed.most_similar("наказания", topn=21) if word != "</s>"]
    ours = [(word, x) for word, x in wv.most_similar("наказания", topn=21) if word != "</s>"]
    assert_same(ours[:20], theirs[:20])


@pytest.mark.parametrize("name", ["wordsim353.tsv", "simlex999.txt"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dummy4unknown": True},
        {"case_insensitive": False},
        {"restrict_vocab": 300},
        {"restrict_vocab": 300, "dummy4unknown": True},
    ],
)
def test_scores_of_pairs(name, options, rng):
    """Of vectors for its words, some of them in other cases, and not all."""
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    words = dict.fromkeys(word for line in lines[2:] for word in line.split("\t")[:2])
    words = [word.title() if rng.random() < 0.1 else word for word in words]
    words = list(dict.fromkeys(word for word in words if rng.random() < 0.9))
    wv, keyed = both(words, rng.standard_normal((len(words), 9)).astype(np.float32))
    ours, theirs = (
        one.evaluate_word_pairs(*arguments, **options)
        for one, arguments in ((wv, [DATA / name]), (keyed, [DATA / name]))
    )
    pearson, spearman, ratio = theirs
    assert ours.pearson == pytest.approx(pearson[0], abs=1e-5)
    assert ours.spearman == pytest.approx(spearman[0], abs=1e-5)
    assert ours.oov_ratio == pytest.approx(ratio)
    assert ours.skipped == 0


def test_scores_of_pairs_on_its_own_vectors(loaded):
    wv, keyed = loaded
    ours = wv.evaluate_word_pairs(DATA / "wordsim353.tsv")
    pearson, spearman, ratio = keyed.evaluate_word_pairs(DATA / "wordsim353.tsv")
    assert ours[:3] == pytest.approx((pearson[0], spearman[0], ratio), abs=1e-5)


@pytest.mark.parametrize(
    "options",
    [{}, {"dummy4unknown": True}, {"case_insensitive": False}, {"restrict_vocab": 60}],
)
def test_scores_of_analogies(options, tmp_path, rng):
    """Of a world in which some of them hold."""
    countries, cities, others = rng.standard_normal((3, 40, 12))
    capital = rng.standard_normal(12)
    cities = countries + capital + 0.7 * cities
    words = [f"{kind}{n}" for n in range(40) for kind in ("Country", "city", "other", "CITY")]
    matrix = np.stack([countries, cities, others, cities + 0.05], axis=1).reshape(-1, 12)
    wv, keyed = both(words, matrix.astype(np.float32))
    lines = [": first", "only three words"]
    for n in range(0, 38, 2):
        lines.append(f"Country{n} city{n} Country{n + 1} city{n + 1}")
    lines += [": second", "country3 city3 nowhere city4", ""]
    lines += [f"city{n} country{n} city7 country7" for n in range(20)]
    path = tmp_path / "analogies.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    ours = wv.evaluate_analogies(path, **options)
    score, (*sections, total) = keyed.evaluate_word_analogies(path, **options)
    assert ours.score == pytest.approx(score)
    assert 0 < score < 1
    for mine, theirs in zip(ours.sections, sections, strict=True):
        assert mine._asdict() == theirs
    assert sum(len(one.correct) for one in ours.sections) == len(total["correct"])


def test_scores_of_its_analogies_on_its_own_vectors(loaded):
    wv, keyed = loaded
    ours = wv.evaluate_analogies(DATA / "questions-words.txt")
    score, (*sections, _) = keyed.evaluate_word_analogies(DATA / "questions-words.txt")
    assert ours.score == pytest.approx(score)
    assert [one._asdict() for one in ours.sections] == sections
