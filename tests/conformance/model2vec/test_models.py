"""Model2Vec's folders give the vectors that it gives itself, and it reads what we write."""

import numpy as np
import pytest

pytest.importorskip("model2vec")

import model2vec
from model2vec.model import quantize_model

import pyembed as pe
from pyembed import vectors
from sentence_models import TEXTS, TOKENIZERS, parts

SAME = {"rtol": 0, "atol": 0}  # both add rows in order of position, and divide at last


@pytest.fixture(params=TOKENIZERS)
def made(request, rng):
    """A model of Model2Vec's with this tokenizer."""

    def make(weighted=False, **arguments):
        tokenizer, matrix, weights = parts(request.param, rng)
        return model2vec.StaticModel(
            matrix, tokenizer, weights=weights if weighted else None, **arguments
        )

    return make


def reloaded(model, folder, **arguments):
    model.save_pretrained(folder)
    return vectors.load(folder, **arguments)


def check(ours, theirs, **close):
    expected = theirs.encode(TEXTS)
    assert np.any(expected)
    np.testing.assert_allclose(ours.encode(TEXTS), expected, **(close or SAME))
    for text in TEXTS[:3]:
        np.testing.assert_allclose(ours.encode(text), theirs.encode(text), **(close or SAME))
    ids, offsets, _ = ours.tokenize(TEXTS)
    assert [list(one) for one in np.split(ids, offsets[1:])] == _cut(theirs, TEXTS)


def _cut(theirs, texts):
    """The tokens that its `encode` takes of each text."""
    if theirs.max_length is not None:
        texts = [text[: theirs.max_length * theirs.median_token_length] for text in texts]
    return theirs.tokenize(texts)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("max_length", [512, 5, None])
def test_its_vectors(made, weighted, normalize, max_length, tmp_path):
    theirs = made(weighted, normalize=normalize, max_length=max_length)
    ours = reloaded(theirs, tmp_path)
    assert type(ours) is vectors.SentenceVectors
    assert (ours.normalize, ours.max_length) == (normalize, max_length)
    check(ours, theirs)


def test_lengths_and_normalising_of_a_call(made, tmp_path):
    theirs = made(weighted=True)
    ours = reloaded(theirs, tmp_path)
    for arguments in ({"max_length": 2}, {"max_length": None}, {"normalize": True}):
        expected = theirs.encode(TEXTS, **arguments)
        np.testing.assert_allclose(ours.encode(TEXTS, **arguments), expected, **SAME)


@pytest.mark.parametrize(
    ("dtype", "close"),
    [
        ("float64", {"rtol": 1e-5, "atol": 1e-5}),  # we read it as float32, and add 300 of these
        ("float16", {"rtol": 2e-3, "atol": 2e-3}),  # it returns float16
        ("int8", {"rtol": 1e-6, "atol": 2e-4}),  # of numbers up to 127
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_quantised_tables(made, weighted, dtype, close, tmp_path):
    theirs = quantize_model(made(weighted), quantize_to=dtype)
    assert theirs.embedding_dtype == dtype
    check(reloaded(theirs, tmp_path), theirs, **close)


def test_float64_as_it_is(made, tmp_path):
    theirs = quantize_model(made(), quantize_to="float64")
    ours = reloaded(theirs, tmp_path, dtype="float64")
    assert ours.encode(TEXTS).dtype == np.float64
    check(ours, theirs, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("dtype", [None, "float16", "int8"])
@pytest.mark.parametrize("weighted", [False, True])
def test_quantised_vocabularies(made, weighted, dtype, tmp_path, rng):
    """What `vocabulary_quantization` makes: fewer rows, and the row and weight of each token."""
    whole = made(weighted)
    mapping = rng.integers(0, 7, len(whole.tokens)).astype(np.int32)
    theirs = model2vec.StaticModel(
        whole.embedding[:7],
        whole.tokenizer,
        weights=whole.weights if weighted else None,
        token_mapping=mapping,
    )
    if dtype is not None:
        theirs = quantize_model(theirs, quantize_to=dtype)
    ours = reloaded(theirs, tmp_path)
    assert ours.matrix.shape == whole.embedding.shape
    check(ours, theirs, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("weighted", [False, True])
def test_what_we_write(made, weighted, tmp_path):
    theirs = made(weighted, normalize=True, max_length=7)
    ours = reloaded(theirs, tmp_path / "theirs")
    ours.save(tmp_path / "ours")
    again = model2vec.StaticModel.from_pretrained(tmp_path / "ours")
    assert (again.normalize, again.max_length) == (True, 7)
    assert again.tokenizer.to_str() == theirs.tokenizer.to_str()
    assert again.encode(TEXTS).tobytes() == theirs.encode(TEXTS).tobytes()


def test_it_sees_what_was_learnt(made, tmp_path):
    ours = reloaded(made(weighted=True), tmp_path)
    ids, offsets, weights = ours.tokenize(TEXTS)
    opt = pe.SparseAdam(ours.bag, learning_rate=0.1)
    before = ours.encode(TEXTS)
    opt.step(ours.bag.backward(ids, np.ones_like(before), offsets, weights))
    ours.save(tmp_path)
    theirs = model2vec.StaticModel.from_pretrained(tmp_path)
    check(ours, theirs)
    assert np.all(ours.encode(TEXTS[0]) < before[0])


@pytest.mark.parametrize("nested", [False, True])
def test_folders_of_sentence_transformers(made, nested, tmp_path):
    from safetensors.numpy import save_file

    model = made()
    inside = tmp_path / "0_StaticEmbedding" if nested else tmp_path
    inside.mkdir(exist_ok=True)
    save_file({"embedding.weight": model.embedding}, inside / "model.safetensors")
    model.tokenizer.save(str(inside / "tokenizer.json"))
    (tmp_path / "config_sentence_transformers.json").write_text("{}")
    check(vectors.load(tmp_path), model2vec.StaticModel.from_pretrained(tmp_path))
