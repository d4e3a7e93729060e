"""Word vectors by word, and as layers."""

import copy
import pickle

import numpy as np
import pytest

import pyembed as pe
from fasttext_files import model, vector_of
from pyembed import vectors
from pyembed.vectors import Vocabulary, WordVectors

WORDS = ["the", "cat", "Cat", "naïve", "東京"]


@pytest.fixture
def wv():
    return WordVectors(WORDS, np.arange(10, dtype=np.float32).reshape(5, 2))


def test_vectors_by_word(wv):
    assert len(wv) == 5
    assert wv.dim == 2
    assert wv["naïve"].tolist() == [6, 7]
    assert wv[["東京", "the", "東京"]].tolist() == [[8, 9], [0, 1], [8, 9]]
    assert wv[np.array([["the", "cat"]])].shape == (1, 2, 2)
    assert wv[[]].shape == (0, 2)
    assert "cat" in wv
    assert "dog" not in wv
    assert 3 not in wv
    assert list(wv) == WORDS
    assert wv.rows(["dog", "cat"]).tolist() == [-1, 1]
    assert wv.counts is None
    assert not wv.has_subwords
    assert repr(wv) == "<WordVectors of 5 words, dim 2, float32>"
    with pytest.raises(KeyError, match="'dog' is none of the 5 words"):
        wv["dog"]
    with pytest.raises(KeyError, match="'dog' at position 1 is none of the 5 words"):
        wv[["cat", "dog"]]
    with pytest.raises(TypeError, match="not int"):
        wv[3]


def test_a_vector_is_a_copy_and_the_matrix_is_shared():
    matrix = np.zeros((1, 2), np.float32)
    wv = WordVectors(["a"], matrix)
    wv["a"][0] = 5
    assert matrix[0, 0] == 0
    wv.matrix[0, 0] = 3
    assert matrix[0, 0] == 3


@pytest.mark.parametrize(
    "laid_out",
    [
        np.asfortranarray,
        lambda matrix: np.repeat(matrix, 2, axis=1)[:, ::2],
        lambda matrix: np.frombuffer(b"x" + matrix.tobytes(), np.float32, offset=1).reshape(5, 2),
    ],
)
def test_matrices_of_other_layouts(wv, laid_out, tmp_path):
    other = WordVectors(WORDS, laid_out(wv.matrix))
    assert other[["Cat", "the"]].tolist() == [[4, 5], [0, 1]]
    emb, _ = other.to_embedding(Vocabulary(["Cat"], padding=None, unknown=None))
    assert emb.embeddings.tolist() == [[4, 5]]
    for name in ("a.vec", "a.npy", "a.safetensors"):
        vectors.save(other, tmp_path / name)
        assert vectors.load(tmp_path / name).matrix.tolist() == wv.matrix.tolist()
    np.save(tmp_path / "a.npy", other.matrix)
    mapped = vectors.load(tmp_path / "a.npy", mmap=True)
    assert mapped["東京"].tolist() == [8, 9]


def test_words_are_a_sequence(wv):
    words = wv.words
    assert words == WORDS
    assert words != WORDS[:3]
    assert words == WordVectors(WORDS, wv.matrix).words
    assert words[-1] == "東京"
    assert words[1:3] == ["cat", "Cat"]
    assert words[::-2] == ["東京", "Cat", "the"]
    assert words[3:1] == []
    assert words.index("Cat") == 2
    assert "cat" in words
    assert len(words) == 5
    assert "naïve" in repr(words)
    for place in (5, -6):
        with pytest.raises(IndexError):
            words[place]


@pytest.mark.parametrize(
    ("words", "matrix", "error", "message"),
    [
        (["a", "a"], np.zeros((2, 1)), ValueError, "'a' stands at positions 0 and 1"),
        (["a"], np.zeros((2, 1)), ValueError, r"shape \(1, dim\), a row for each word, not \(2, 1"),
        (["a"], np.zeros(1), ValueError, r"shape \(1, dim\)"),
        (["a"], np.zeros((1, 1), np.float16), TypeError, "float32 or float64, not float16"),
        (["a"], [[1.0]], TypeError, "not list"),
        (["a"], np.zeros((1, 1), ">f4"), TypeError, "float32 or float64, not >f4"),
        ([1], np.zeros((1, 1)), TypeError, "is int"),
    ],
)
def test_what_makes_no_word_vectors(words, matrix, error, message):
    with pytest.raises(error, match=message):
        WordVectors(words, matrix)


def test_counts_of_words():
    assert WordVectors(["a"], np.ones((1, 1)), counts=[3]).counts.tolist() == [3]
    with pytest.raises(ValueError, match=r"counts must have shape \(1,\)"):
        WordVectors(["a"], np.ones((1, 1)), counts=[3, 4])
    with pytest.raises(TypeError, match="counts must be integers"):
        WordVectors(["a"], np.ones((1, 1)), counts=[3.5])


@pytest.mark.parametrize("made", [copy.deepcopy, lambda wv: pickle.loads(pickle.dumps(wv))])
def test_copies_are_apart(wv, made):
    twin = made(wv)
    assert twin.words == wv.words
    assert (twin.matrix == wv.matrix).all()
    assert not np.shares_memory(twin.matrix, wv.matrix)
    assert twin["cat"].tolist() == [2, 3]


TEXTS = ["the cat the CAT dog", "dog dog bird"]


def test_a_layer_of_a_vocabulary(wv):
    vocabulary = Vocabulary.from_texts(TEXTS)
    emb, coverage = wv.to_embedding(vocabulary)
    assert type(emb) is pe.Embedding
    assert emb.trainable
    assert emb.padding_idx == 0
    table = dict(zip(vocabulary.words, emb.embeddings.tolist(), strict=True))
    zero = [0, 0]
    assert table == {
        **{"<pad>": zero, "<unk>": zero, "dog": zero, "bird": zero, "CAT": zero},
        **{"the": [0, 1], "cat": [2, 3]},
    }
    assert (coverage.words, coverage.missing) == (5, 3)
    assert (coverage.tokens, coverage.missing_tokens) == (8, 5)
    assert coverage.missing_share == 5 / 8
    assert coverage.most_frequent == [("dog", 3), ("CAT", 1), ("bird", 1)]
    assert vocabulary.decode(coverage.missing_ids).tolist() == ["dog", "CAT", "bird"]
    assert str(coverage) == (
        "3 of 5 words have no vector, 62.5% of the tokens: 'dog', 'CAT', 'bird'"
    )
    opt = pe.SparseSGD(emb, 1.0)
    ids, _ = vocabulary.encode_texts(TEXTS)
    opt.step(emb.backward(ids, np.ones((len(ids), 2), np.float32)))
    assert wv["cat"].tolist() == [2, 3]
    frozen, _ = wv.to_embedding(vocabulary, trainable=False)
    assert not frozen.trainable


def test_the_lower_case_of_a_word(wv):
    vocabulary = Vocabulary(["CAT", "Cat", "THE", "DOG"])
    emb, coverage = wv.to_embedding(vocabulary, lowercase_fallback=True)
    assert emb(vocabulary.encode(["CAT", "Cat", "THE"])).tolist() == [[2, 3], [4, 5], [0, 1]]
    assert coverage.most_frequent == [("DOG", None)]
    assert coverage.tokens is None
    assert coverage.missing_share == 0.25
    assert str(coverage) == "1 of 4 words have no vector: 'DOG'"


def test_rows_of_missing_words(wv):
    vocabulary = Vocabulary(["cat", "x", "y"])
    mean, _ = wv.to_embedding(vocabulary, oov="mean")
    assert mean.embeddings.tolist() == [[0, 0], [4, 5], [2, 3], [4, 5], [4, 5]]
    asked = []

    def ones(words):
        asked.append(words)
        return np.ones((len(words), 2))

    made, _ = wv.to_embedding(vocabulary, oov=ones)
    assert asked == [["<unk>", "x", "y"]]
    assert made.embeddings.tolist() == [[0, 0], [1, 1], [2, 3], [1, 1], [1, 1]]
    many = Vocabulary(map(str, range(4000)), unknown=None)
    normal, coverage = wv.to_embedding(many, oov="normal", seed=3)
    rows = normal.embeddings[1:]
    assert np.allclose(rows.mean(axis=0), [4, 5], atol=0.2)
    assert np.allclose(rows.std(axis=0), 8**0.5, atol=0.2)
    again, _ = wv.to_embedding(many, oov="normal", seed=3)
    assert (again.embeddings == normal.embeddings).all()
    assert coverage.missing == 4000
    assert str(coverage).endswith("'9', …")


def test_a_vocabulary_that_has_all_words(wv):
    vocabulary = Vocabulary(WORDS, padding=None, unknown="the")
    emb, coverage = wv.to_embedding(vocabulary)
    assert emb.embeddings.tolist() == wv.matrix.tolist()
    assert emb.padding_idx is None
    assert str(coverage) == "0 of 4 words have no vector"


def test_arguments_of_a_layer_that_are_refused(wv):
    vocabulary = Vocabulary(["a", "b"])
    with pytest.raises(ValueError, match="oov='none' is none of 'zero', 'mean', 'normal'"):
        wv.to_embedding(vocabulary, oov="none")
    with pytest.raises(ValueError, match=r"oov returned shape \(2, 2\), but must return \(3, 2\)"):
        wv.to_embedding(vocabulary, oov=lambda words: np.zeros((2, 2)))
    with pytest.raises(TypeError, match="vocabulary must be a Vocabulary, not list"):
        wv.to_embedding(["a"])
    with pytest.raises(ValueError, match="the vocabulary is empty"):
        wv.to_embedding(Vocabulary(padding=None, unknown=None))


def test_words_that_have_a_vector_by_their_subwords(tmp_path, rng):
    words = ["the", "cat"]
    table = rng.standard_normal((42, 3)).astype(np.float32)
    (tmp_path / "m.bin").write_bytes(model(words, table, 3, 6))
    wv = vectors.load(tmp_path / "m.bin")
    vocabulary = Vocabulary(["cats", "cat", ""], unknown="?")
    emb, coverage = wv.to_embedding(vocabulary, oov="mean")
    for word in ("cats", "cat"):
        wanted = vector_of(word, words, table, 3, 6)
        np.testing.assert_allclose(emb([vocabulary[word]])[0], wanted, rtol=1e-5)
    assert coverage.missing == 1  # no n-grams in ""
    np.testing.assert_allclose(emb([4])[0], wv.matrix.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(emb([1])[0], wv.matrix.mean(axis=0), rtol=1e-6)
    assert wv[""].tolist() == [0, 0, 0]
    assert repr(wv) == "<WordVectors of 2 words, dim 3, float32, with subwords>"
    twin = pickle.loads(pickle.dumps(wv))
    assert twin["cats"].tolist() == wv["cats"].tolist()
    some = vectors.load(tmp_path / "m.bin", keep=["cat"], dtype="float64")
    assert list(some.words) == ["cat"]
    np.testing.assert_allclose(some["cats"], wv["cats"], rtol=1e-6)
