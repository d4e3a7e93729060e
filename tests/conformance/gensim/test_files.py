"""gensim's own test files, and what it writes, load to its values; and what we write, there."""

import warnings
from dataclasses import replace
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gensim")

from gensim.models import FastText, KeyedVectors
from gensim.models.fasttext import (
    load_facebook_model,
    load_facebook_vectors,
    save_facebook_model,
)

from pyembed import vectors, word2vec

pytestmark = [  # it leaves files open
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
DATA = Path(distribution("gensim").locate_file("gensim/test/test_data"))
END = "</s>"  # which has n-grams with gensim, but not with fastText


def check(wv, keyed, without=()):
    assert list(wv.words) == keyed.index_to_key
    same = [place for place, word in enumerate(wv.words) if word not in without]
    # gensim reads texts by way of float64, which may round a number twice.
    np.testing.assert_allclose(wv.matrix[same], keyed.vectors[same], rtol=2e-7, atol=0)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("test_glove.txt", {"no_header": True}),
        ("word2vec_pre_kv_c", {}),
        ("lee_fasttext.vec", {}),
        ("toy-model.vec", {}),
        ("crime-and-punishment.vec", {}),
        ("euclidean_vectors.bin", {"binary": True}),
        ("poincare_vectors.bin", {"binary": True}),
    ],
)
def test_its_files_of_rows(name, arguments):
    check(vectors.load(DATA / name), KeyedVectors.load_word2vec_format(DATA / name, **arguments))


@pytest.mark.parametrize(
    "name",
    [
        *("crime-and-punishment.bin", "toy-model.bin", "toy-model-pretrained.bin"),
        *("lee_fasttext.bin", "lee_fasttext_new.bin", "non_ascii_fasttext.bin"),
    ],
)
def test_its_models_of_fasttext(name):
    wv, keyed = vectors.load(DATA / name), load_facebook_vectors(DATA / name)
    np.testing.assert_array_equal(wv.words, keyed.index_to_key)
    same = [place for place, word in enumerate(wv.words) if word != END]
    np.testing.assert_allclose(wv.matrix[same], keyed.vectors[same], rtol=1e-5, atol=2e-6)
    assert wv.counts.tolist() == [keyed.get_vecattr(word, "count") for word in wv.words]
    for word in ("unseen", "ungesehenes Wort", "наказания", "東京", "é"):
        np.testing.assert_allclose(wv[word], keyed[word], rtol=1e-5, atol=2e-6)


def test_vectors_of_words_as_fasttext_wrote_them_itself():
    """The text beside a model: all of its words, the end of a sentence too."""
    model = vectors.load(DATA / "crime-and-punishment.bin")
    text = vectors.load(DATA / "crime-and-punishment.vec")
    np.testing.assert_allclose(model[list(text.words)], text.matrix, atol=1e-5)
    assert END in text


def test_bytes_that_are_no_utf_8():
    name = DATA / "pang_lee_polarity_fasttext.vec"
    with pytest.raises(ValueError, match=r"fasttext\.vec: line 150, column 1: .* is no valid UTF"):
        vectors.load(name)
    with pytest.warns(UserWarning, match="mended or left out; line 150"):
        wv = vectors.load(name, errors="replace")
    keyed = KeyedVectors.load_word2vec_format(name, unicode_errors="replace")
    # Where mended words are the same, gensim and we keep the first.
    assert set(wv.words) <= set(keyed.index_to_key)
    shared = [word for word in keyed.index_to_key if word in wv and "\ufffd" not in word]
    assert len(shared) > 0.99 * len(keyed)
    np.testing.assert_allclose(wv[shared], keyed[shared], rtol=2e-7)
    with pytest.raises(ValueError, match=r"cp852_fasttext\.bin: word 2, b'kter\\xec', is no valid"):
        vectors.load(DATA / "cp852_fasttext.bin")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pretrained.vec", "the header claims 3 rows, but there are 1"),
        ("word2vec_3.3", "it is a pickle, as gensim's save"),
        ("ft_kv_3.6.0.model.gz", "it is a pickle, as gensim's save"),
        ("varembed_vectors.pkl", "it is a pickle, as gensim's save"),
        ("w2v_keyedvectors_load_test.modeldata", "line 2, column 6: .* is no valid UTF-8"),
    ],
)
def test_its_files_that_are_refused(name, message):
    with pytest.raises(ValueError, match=message):
        vectors.load(DATA / name)


@pytest.fixture
def keyed(rng):
    words = ["the", "naïve", "東京", "x1"]
    made = KeyedVectors(7)
    made.add_vectors(words, rng.standard_normal((4, 7)).astype(np.float32))
    return made


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_what_it_writes(keyed, binary, header, ending, tmp_path):
    if binary and not header:
        return  # it has no such format
    path = tmp_path / f"keyed{ending}"
    keyed.save_word2vec_format(path, binary=binary, write_header=header)
    wv = vectors.load(path)
    assert wv.matrix.tobytes() == keyed.vectors.tobytes()
    assert list(wv.words) == keyed.index_to_key


@pytest.mark.parametrize("name", ["a.vec", "a.bin", "a.vec.gz"])
def test_what_we_write(keyed, name, tmp_path):
    wv = vectors.WordVectors(keyed.index_to_key, keyed.vectors)
    vectors.save(wv, tmp_path / name)
    again = KeyedVectors.load_word2vec_format(tmp_path / name, binary=".bin" in name)
    assert again.vectors.tobytes() == keyed.vectors.tobytes()
    assert again.index_to_key == keyed.index_to_key


def test_a_model_that_it_trained(tmp_path):
    texts = [["the", "quick", "brownish", "fox"], ["the", "naïve", "東京", "fox"]] * 10
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = FastText(texts, vector_size=8, min_count=1, bucket=50, workers=1, seed=1, epochs=2)
        save_facebook_model(model, str(tmp_path / "m.bin"))
    wv = vectors.load(tmp_path / "m.bin")
    for word in ("the", "brownish", "東京", "unseen", "ü"):
        np.testing.assert_allclose(wv[word], model.wv[word], rtol=1e-5, atol=1e-6)


MODEL = ("window", "epochs", "negative", "hs", "sg", "min_count", "sample", "corpus_total_words")


def check_same_model(model, wanted):
    """All that gensim reads of a file but the vectors that training on starts from."""
    assert model.wv.index_to_key == wanted.wv.index_to_key
    assert model.wv.vectors_vocab.tobytes() == wanted.wv.vectors_vocab.tobytes()
    assert model.wv.vectors_ngrams.tobytes() == wanted.wv.vectors_ngrams.tobytes()
    assert model.wv.vectors.tobytes() == wanted.wv.vectors.tobytes()
    for name in ("bucket", "min_n", "max_n", "vector_size"):
        assert getattr(model.wv, name) == getattr(wanted.wv, name), name
    for name in MODEL:
        assert getattr(model, name) == getattr(wanted, name), name
    for word in wanted.wv.index_to_key:
        assert model.wv.get_vecattr(word, "count") == wanted.wv.get_vecattr(word, "count")


@pytest.mark.parametrize(
    "name",
    [
        *("crime-and-punishment.bin", "toy-model.bin", "toy-model-pretrained.bin"),
        *("lee_fasttext.bin", "lee_fasttext_new.bin", "non_ascii_fasttext.bin"),
    ],
)
def test_its_models_of_fasttext_that_we_wrote_again(name, tmp_path):
    vectors.save(vectors.load(DATA / name), tmp_path / "a.bin", format="fasttext")
    model = load_facebook_model(tmp_path / "a.bin")
    check_same_model(model, load_facebook_model(DATA / name))
    output = model.syn1 if model.hs else model.syn1neg
    assert not output.any()
    assert output.shape == model.wv.vectors.shape


TEXTS = [["the", "quick", "brownish", "fox"], ["the", "naïve", "東京", "fox"]] * 10


@pytest.mark.parametrize(
    "arguments",
    [
        {"sg": 1, "window": 3, "negative": 4, "sample": 0.01},
        {"sg": 0, "hs": 1, "negative": 0, "min_n": 2, "max_n": 3},
    ],
)
def test_a_model_that_it_trained_and_we_wrote(arguments, tmp_path):
    """With the vectors that training on starts from: gensim does train on."""
    kind = {"vector_size": 8, "min_count": 1, "bucket": 50, "epochs": 2}
    trained = FastText(TEXTS, workers=1, seed=1, **kind, **arguments)
    save_facebook_model(trained, str(tmp_path / "theirs.bin"))
    wv = vectors.load(tmp_path / "theirs.bin")
    output = trained.syn1 if trained.hs else trained.syn1neg
    told = {name: getattr(wv._training, name) for name in ("model", "loss", "window", "epochs")}
    assert told == {
        "model": "skipgram" if trained.sg else "cbow",
        "loss": "hs" if trained.hs else "ns",
        "window": trained.window,
        "epochs": 2,
    }
    wv._training = replace(wv._training, output=output)
    vectors.save(wv, tmp_path / "ours.bin", format="fasttext")
    assert (tmp_path / "ours.bin").read_bytes() == (tmp_path / "theirs.bin").read_bytes()
    model = load_facebook_model(tmp_path / "ours.bin")
    check_same_model(model, load_facebook_model(tmp_path / "theirs.bin"))
    before = model.wv["the"].copy()
    model.train(TEXTS, total_examples=len(TEXTS), epochs=1)
    assert (model.wv["the"] != before).any()


def test_vectors_of_ours_as_a_model_of_fasttext(keyed, tmp_path):
    wv = vectors.WordVectors(keyed.index_to_key, keyed.vectors, counts=[4, 3, 2, 1])
    vectors.save(wv, tmp_path / "a.bin", format="fasttext")
    again = load_facebook_vectors(tmp_path / "a.bin")
    assert again.index_to_key == keyed.index_to_key
    assert again.vectors.tobytes() == keyed.vectors.tobytes()


def test_vectors_that_we_trained_as_a_model_of_fasttext(tmp_path):
    """With what they were trained with, and the table that they were predicted with."""
    wv = word2vec.train(TEXTS * 20, dim=8, window=3, negative=4, epochs=2, sample=0.01, seed=1)
    vectors.save(wv, tmp_path / "a.bin", format="fasttext")
    model = load_facebook_model(tmp_path / "a.bin")
    assert model.wv.index_to_key == list(wv.words)
    assert model.wv.vectors.tobytes() == wv.matrix.tobytes()
    assert model.syn1neg.tobytes() == wv.output.tobytes()
    told = [getattr(model, name) for name in MODEL]
    assert told == [3, 2, 4, 0, 1, 5, 0.01, 1600]


def test_a_parse_is_quick(tmp_path, rng):
    """Far quicker than gensim, on the same file; how far, the benchmark tells."""
    import time

    matrix = rng.standard_normal((4000, 50)).astype(np.float32)
    wv = vectors.WordVectors(map(str, range(4000)), matrix)
    vectors.save(wv, tmp_path / "a.txt")

    def seconds(call):
        began = time.perf_counter()
        call()
        return time.perf_counter() - began

    ours = min(seconds(lambda: vectors.load(tmp_path / "a.txt")) for _ in range(3))
    theirs = seconds(lambda: KeyedVectors.load_word2vec_format(tmp_path / "a.txt", no_header=True))
    assert ours < theirs
