"""Texts' vectors: their meaning, what is refused, and training."""

import copy
import json
import pickle
import sys
import threading

import numpy as np
import pytest

pytest.importorskip("tokenizers")

from tokenizers import Tokenizer, models

import pyembed as pe
from pyembed import vectors
from pyembed.io import _safetensors
from pyembed.vectors import SentenceVectors, WordVectors
from sentence_models import TEXTS, TOKENIZERS, parts


@pytest.fixture(params=TOKENIZERS)
def model(request, rng):
    tokenizer, matrix, weights = parts(request.param, rng)
    return SentenceVectors(matrix, tokenizer, weights=weights)


@pytest.fixture
def plain(rng):
    tokenizer, matrix, _ = parts("WordLevel", rng)
    return SentenceVectors(matrix, tokenizer)


def expected(model, text):
    """The contract in plain Python: the mean of w·x over the tokens that are known."""
    if model.max_length is not None:
        median = int(np.median([len(token) for token in model.words]))
        text = text[: model.max_length * median]
    tokenizer = Tokenizer.from_str(model._json)
    tokenizer.no_truncation()
    ids = tokenizer.encode(text, add_special_tokens=False).ids[: model.max_length]
    rows = [
        (1 if model.weights is None else model.weights[i]) * model.matrix[i].astype(np.float64)
        for i in ids
        if model.words[i] not in ("[UNK]", "<unk>")
    ]
    mean = np.mean(rows, axis=0) if rows else np.zeros(model.dim)
    return mean / (np.linalg.norm(mean) + 1e-32) if model.normalize else mean


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("max_length", [0, 1, 4, 512, None])
def test_means_of_weighted_rows(model, normalize, max_length):
    model.normalize, model.max_length = normalize, max_length
    made = model.encode(TEXTS)
    assert made.shape == (len(TEXTS), model.dim)
    assert made.dtype == np.float32
    right = [expected(model, text) for text in TEXTS]
    np.testing.assert_allclose(made, right, rtol=1e-5, atol=1e-6)
    assert not made[TEXTS.index("")].any()
    assert model.encode(TEXTS[0]).tobytes() == made[0].tobytes()


def test_the_bag_gives_the_same_means(model):
    bags = model.tokenize(TEXTS, max_length=None)
    means = model.encode(TEXTS, max_length=None)
    np.testing.assert_allclose(model.bag(*bags), means, rtol=1e-5, atol=1e-6)


def test_no_texts_and_many(plain):
    assert plain.encode([]).shape == (0, 9)
    ids, offsets, weights = plain.tokenize([])
    assert (len(ids), len(offsets), len(weights)) == (0, 0, 0)
    assert not plain.encode("zzz").any()
    many = TEXTS * 1000  # more than are taken at once
    made = plain.encode(text for text in many)
    np.testing.assert_array_equal(made, np.tile(plain.encode(TEXTS), (1000, 1)))
    np.testing.assert_array_equal(plain.encode(np.array(TEXTS)), plain.encode(TEXTS))


def test_tokens_are_words(model):
    assert isinstance(model, WordVectors)
    token = model.words[3]
    assert model[token].tobytes() == model.matrix[3].tobytes()
    assert len(model) == len(model.words) == len(model.matrix)


def test_what_the_bag_learns_is_what_texts_have(model):
    """Plain gradient descent, by hand: row -= rate · Σ upstream · w / n."""
    before, texts = model.matrix.copy(), TEXTS[:1]
    ids, offsets, weights = model.tokenize(texts)
    upstream = np.arange(1, model.dim + 1, dtype=np.float32)[None]
    opt = pe.SparseSGD(model.bag, learning_rate=0.5)
    opt.step(model.bag.backward(ids, upstream, offsets, weights))
    moved = before.astype(np.float64)
    for place, weight in zip(ids, weights, strict=True):
        moved[place] -= 0.5 * weight * upstream[0]
    np.testing.assert_allclose(model.matrix, moved, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.encode(texts)[0], expected(model, texts[0]), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_folder_keeps_all(model, dtype, tmp_path):
    model = SentenceVectors(
        model.matrix.astype(dtype),
        model._json,
        weights=model.weights,
        normalize=True,
        max_length=3,
    )
    model.save(tmp_path / "new" / "folder")
    for mmap in (False, True):
        again = vectors.load(tmp_path / "new" / "folder", dtype=dtype, mmap=mmap)
        assert again.encode(TEXTS).tobytes() == model.encode(TEXTS).tobytes()
        assert (again.normalize, again.max_length) == (True, 3)
        assert again.bag.trainable is not mmap
        assert list(again.words) == list(model.words)
    other = {"float32": "float64", "float64": "float32"}[dtype]
    with pytest.raises(ValueError, match=f"mmap=True: .*dtype {dtype}, and cannot be mapped"):
        vectors.load(tmp_path / "new" / "folder", dtype=other, mmap=True)
    same = vectors.load(tmp_path / "new" / "folder", dtype=other)
    np.testing.assert_allclose(same.encode(TEXTS), model.encode(TEXTS), rtol=1e-5, atol=1e-6)


def test_copies(model):
    model.max_length, model.normalize = 3, True
    for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert again.encode(TEXTS).tobytes() == model.encode(TEXTS).tobytes()
        assert again.bag.embeddings.base is not model.matrix
        again.matrix[:] = 0
        assert model.encode(TEXTS).any()


def test_threads_may_ask_for_different_lengths(model):
    """The library keeps a length in the tokenizer, which all threads share: we do not."""
    right = {length: model.encode(TEXTS, max_length=length) for length in (1, 2, 7, None)}
    wrong = []

    def ask(length):
        for _ in range(30):
            if not np.array_equal(model.encode(TEXTS, max_length=length), right[length]):
                wrong.append(length)

    threads = [threading.Thread(target=ask, args=(length,)) for length in right]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a", 3], "number 1 is int"),
        ([("a", "b")], "number 0 is tuple"),
        ([b"a"], "number 0 is bytes"),
    ],
)
def test_texts_that_are_none(plain, texts, message):
    with pytest.raises(TypeError, match=f"texts must be strings, but {message}"):
        plain.encode(texts)
    with pytest.raises(TypeError, match="texts must be an iterable of strings, not one: 'a b'"):
        plain.tokenize("a b")


@pytest.mark.parametrize("length", [-1, 2.5, True, "all"])
def test_lengths_that_are_none(plain, length):
    with pytest.raises(ValueError, match=r"max_length=.* must be an integer >= 0"):
        plain.encode("a", max_length=length)


def test_parts_that_do_not_fit(rng):
    tokenizer, matrix, weights = parts("WordLevel", rng)
    with pytest.raises(ValueError, match="matrix has 3 rows, but the tokenizer has 15 tokens"):
        SentenceVectors(matrix[:3], tokenizer)
    with pytest.raises(TypeError, match="matrix must be an array of float32 or float64"):
        SentenceVectors(matrix.astype(np.float16), tokenizer)
    with pytest.raises(ValueError, match=r"weights must have shape \(15,\), .* not \(14,\)"):
        SentenceVectors(matrix, tokenizer, weights=weights[1:])
    with pytest.raises(TypeError, match="weights must be numbers, not <U1"):
        SentenceVectors(matrix, tokenizer, weights=["a"] * 15)
    with pytest.raises(ValueError, match="the tokenizer's JSON cannot be read"):
        SentenceVectors(matrix, "{}")
    gap = Tokenizer(models.WordLevel({"a": 0, "b": 2}, unk_token="a"))
    with pytest.raises(ValueError, match="token 'b' has id 2, but is number 1"):
        SentenceVectors(matrix[:2], gap)


def test_without_the_library(plain, tmp_path, monkeypatch):
    plain.save(tmp_path)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ImportError, match="pip install tokenizers"):
        vectors.load(tmp_path)


class TestFolders:
    """Those that are damaged, or of something else."""

    @pytest.fixture
    def folder(self, plain, tmp_path):
        plain.save(tmp_path)
        return tmp_path

    def write(self, folder, **arrays):
        with open(folder / "model.safetensors", "wb") as file:
            _safetensors.write(file, arrays, {})

    @pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
    def test_a_file_is_missing_or_cut_short(self, folder, name):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:-30])
        with pytest.raises(ValueError, match=name if "tokenizer" not in name else "tokenizer's"):
            vectors.load(folder)
        (folder / name).unlink()
        with pytest.raises((ValueError, OSError), match=r"must have model\.safetensors, tok|Is a"):
            vectors.load(folder)
        with pytest.raises(ValueError, match=r"must have model\.safetensors, tokenizer\.json, con"):
            vectors.load(folder, format="model2vec")

    def test_no_folder(self, folder, tmp_path):
        with pytest.raises(NotADirectoryError):
            vectors.load(folder / "config.json", format="model2vec")
        with pytest.raises(FileNotFoundError):
            vectors.load(tmp_path / "none", format="model2vec")
        with pytest.raises(ValueError, match="of a model of Model2Vec's, load the folder"):
            vectors.load(folder / "model.safetensors")

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ({"normalize": "yes"}, "normalize='yes' must be true or false"),
            ({"max_length": -3}, "max_length=-3 must be an integer >= 0"),
            ([], r"it is \[\], and must be an object"),
        ],
    )
    def test_configurations(self, folder, config, message):
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(ValueError, match=rf"config\.json: {message}"):
            vectors.load(folder)

    def test_tables(self, folder, plain):
        floats, ints = np.ones(15, np.float32), np.zeros(15, np.int64)
        for arrays, message in (
            ({"other": plain.matrix}, "there is no embeddings in it"),
            ({"embeddings": floats}, r"embeddings has shape \(15,\)"),
            ({"embeddings": plain.matrix, "weights": ints}, "weights has shape .* and dtype int64"),
            ({"embeddings": plain.matrix, "mapping": floats}, "mapping has shape .* dtype float32"),
            ({"embeddings": plain.matrix, "mapping": ints + 15}, r"mapping\[0\]=15 is outside"),
            ({"embeddings": plain.matrix, "mapping": ints[1:]}, "matrix has 14 rows"),
            ({"embeddings": plain.matrix, "weights": floats[1:]}, "weights must have shape"),
        ):
            self.write(folder, **arrays)
            with pytest.raises(ValueError, match=message):
                vectors.load(folder)

    def test_arguments_that_are_for_files(self, folder):
        for arguments in ({"keep": ["a"]}, {"limit": 3}, {"errors": "skip"}):
            with pytest.raises(ValueError, match="keep, limit and errors are not for a folder"):
                vectors.load(folder, **arguments)
