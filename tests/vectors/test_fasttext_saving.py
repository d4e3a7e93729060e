"""Models in fastText's format: what was read is written as it was; and what was never one."""

import gzip
import pickle
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fasttext_files import model, vector_of
from pyembed import vectors
from pyembed.vectors import WordVectors
from pyembed.vectors._subwords import Subwords
from pyembed.vectors._training import Training

FEW = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
WORDS = ["the", "naïve", "東京", "</s>", "a", "New York", ""]
KINDS = [(3, 6, 40), (1, 3, 7), (2, 2, 1), (0, 0, 0)]  # lengths of n-grams, buckets


def table_of(rng, buckets, words=WORDS, dim=5):
    return rng.standard_normal((len(words) + buckets, dim)).astype(np.float32)


@pytest.fixture
def saved(tmp_path):
    """Save word vectors; the bytes of the file."""

    def bytes_of(wv, name="saved.bin"):
        vectors.save(wv, tmp_path / name, format="fasttext")
        return (tmp_path / name).read_bytes()

    return bytes_of


@pytest.fixture
def loaded(tmp_path):
    """Load bytes as a file."""

    def load_bytes(data, **arguments):
        path = tmp_path / "given.bin"
        path.write_bytes(data)
        return vectors.load(path, **arguments)

    return load_bytes


@pytest.mark.parametrize(("shortest", "longest", "buckets"), KINDS)
def test_a_model_that_was_read_is_written_byte_by_byte(
    shortest, longest, buckets, rng, loaded, saved
):
    data = model(WORDS, table_of(rng, buckets), shortest, longest)
    wv = loaded(data)
    assert saved(wv) == data
    assert saved(pickle.loads(pickle.dumps(wv))) == data
    assert saved(loaded(data, dtype="float64")) == data
    assert gzip.decompress(saved(wv, "saved.bin.gz")) == data


def test_files_of_earlier_versions_are_written_as_those_of_the_last(rng, loaded, saved):
    table = table_of(rng, 40)
    for version in (11, None):
        wv = loaded(model(WORDS, table, version=version, labels=["__label__x"]))
        assert saved(wv) == model(WORDS, table)


@FEW
@given(
    seed=st.integers(0, 2**32),
    kind=st.sampled_from(KINDS[:3]),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_vectors_that_were_changed_are_read_again(seed, kind, dtype, loaded, saved):
    """Those that were not have the same bits."""
    rng = np.random.default_rng(seed)
    shortest, longest, buckets = kind
    wv = loaded(model(WORDS, table_of(rng, buckets), shortest, longest), dtype=dtype)
    changed = rng.random(len(WORDS)) < 0.5
    wv.matrix[changed] = rng.standard_normal((changed.sum(), wv.dim)) * 10.0 ** rng.integers(-3, 4)
    again = loaded(saved(wv), dtype=dtype)
    assert (again.matrix[~changed] == wv.matrix[~changed]).all()
    assert again["unseen"].tolist() == wv["unseen"].tolist()
    # A word's own row is rounded once, and its vector is the mean with up to 20 n-grams.
    scale = np.abs(wv.matrix).max() + 20
    np.testing.assert_allclose(again.matrix, wv.matrix, rtol=0, atol=1e-6 * scale)


def test_some_words_of_a_model(rng, loaded, saved):
    table = table_of(rng, 40)
    kept = ["a", "the", "東京"]
    some = loaded(model(WORDS, table), keep=kept)
    again = loaded(saved(some))
    assert list(again.words) == ["the", "東京", "a"]
    assert again.counts.tolist() == [100, 98, 96]
    assert again.matrix.tolist() == some.matrix.tolist()
    for word in ("naïve", "unseen"):  # one that was left out, and one that was never there
        wanted = vector_of(word, [], table[len(WORDS) :], 3, 6)
        np.testing.assert_allclose(again[word], wanted, rtol=1e-5, atol=1e-6)
    assert not again["</s>"].any()


def test_vectors_that_come_from_elsewhere(rng, tmp_path, loaded, saved):
    """From a file that has no own rows of words, and from no file at all."""
    wv = loaded(model(WORDS, table_of(rng, 40)))
    vectors.save(wv, tmp_path / "a.safetensors")
    again = loaded(saved(vectors.load(tmp_path / "a.safetensors", mmap=True)))
    np.testing.assert_allclose(again.matrix, wv.matrix, rtol=0, atol=1e-5)
    assert again["unseen"].tolist() == wv["unseen"].tolist()
    plain = WordVectors(["b", "c"], rng.standard_normal((2, 3)), counts=[5, 4])
    again = loaded(saved(plain))
    assert not again.has_subwords
    assert again.counts.tolist() == [5, 4]
    assert (again.matrix == plain.matrix.astype(np.float32)).all()


def test_what_it_was_trained_with(rng, saved):
    """Byte by byte: the header, and the vectors of neighbours at the end."""
    rows, ngrams, output = (rng.standard_normal((n, 3)).astype(np.float32) for n in (2, 9, 2))
    subwords = Subwords(ngrams, 3, 5, rows)
    words = WordVectors(["sea", "see"], rows)._words
    training = Training("cbow", "hs", 7, 3, 2, 0, 1e-3, 999, output)
    wv = WordVectors._of(words, subwords.composed(words, rows), [9, 8], subwords, training=training)
    data = saved(wv)
    header = struct.pack("<12id", 3, 7, 3, 2, 0, 1, 1, 1, 9, 3, 5, 100, 1e-3)
    assert data[8 : 8 + len(header)] == header
    assert struct.pack("<3iq", 2, 2, 0, 999) in data
    tail = struct.pack("<2q", 11, 3) + rows.tobytes() + ngrams.tobytes()
    tail += b"\0" + struct.pack("<2q", 2, 3)
    assert data.endswith(b"\0" + tail + output.tobytes())
    wv._training = replace(training, output=output[:1])  # a tree of two words has one node
    assert saved(wv).endswith(b"\0" + tail + output[:1].tobytes() + bytes(4 * 3))


def test_what_is_refused_leaves_the_old_file(rng, tmp_path, loaded):
    path = tmp_path / "a.bin"
    path.write_text("as it was")

    def refused(wv, message):
        with pytest.raises(ValueError, match=message):
            vectors.save(wv, path, format="fasttext")
        assert path.read_text() == "as it was"
        assert sorted(file.name for file in tmp_path.iterdir() if "tmp" in file.name) == []

    ones = np.ones((2, 3))
    refused(WordVectors(["a", "b"], ones), "has the counts of all words, which wv has not")
    refused(WordVectors(["a", "b"], ones, counts=[1, 0]), "count of 'b' is 0: .* from 1 on")
    refused(WordVectors(["a", "b\0"], ones, counts=[1, 1]), "word 1, .* cannot stand in the format")
    refused(WordVectors(["a"], np.ones((1, 0)), counts=[1]), "rows without numbers")
    refused(WordVectors(["a"], [[np.nan]] * np.ones((1, 1)), counts=[1]), "'a' is not finite")
    large = WordVectors(["a", "b"], ones * [[1], [1e300]], counts=[1, 1])
    refused(large, "the own vector of word 1 has numbers that")
    wv = loaded(model(["b", "the"], table_of(rng, 40, ["b", "the"])))
    wv.matrix[1] = 3e38  # a mean: what it must have of its own is beyond float32
    refused(wv, "the own vector of word 1 has numbers that")
    broad = WordVectors(["a"], np.ones((1, 100_001), np.float32), counts=[1])
    refused(broad, "buckets of 100001 numbers, .* are beyond the format 'fasttext'")
