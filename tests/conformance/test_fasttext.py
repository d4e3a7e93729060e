"""Models that fastText itself wrote, and what it reads of ours."""

from dataclasses import replace

import numpy as np
import pytest

from pyembed import vectors

fasttext = pytest.importorskip("fasttext")

WORDS = ["the", "brownish", "naïve", "東京", "fox", "</s>"]
UNSEEN = ["unseen", "foxes", "京東", "x"]


@pytest.fixture
def trained(tmp_path, rng):
    """A model that fastText trained, where it lies, and what arguments it was given."""

    def train(**arguments):
        text = tmp_path / "text.txt"
        lines = (" ".join(rng.choice(WORDS[:5], 12)) for _ in range(200))
        text.write_text("\n".join(lines) + "\n", encoding="utf-8")
        model = fasttext.train_unsupervised(
            str(text), dim=7, bucket=60, epoch=2, thread=1, minCount=1, verbose=0, **arguments
        )
        model.save_model(str(tmp_path / "theirs.bin"))
        return model, tmp_path / "theirs.bin"

    return train


@pytest.mark.parametrize(
    "arguments",
    [
        {"model": "skipgram", "loss": "ns", "neg": 3, "ws": 4},
        {"model": "cbow", "loss": "hs", "minn": 2, "maxn": 3, "t": 0.01},
        {"model": "skipgram", "loss": "softmax", "minn": 0, "maxn": 0},
    ],
)
def test_a_model_of_its_own(arguments, trained, tmp_path):
    """Read, and written again byte by byte, with the output that reading leaves out."""
    model, theirs = trained(**arguments)
    wv = vectors.load(theirs)
    assert list(wv.words) == model.words
    for word in [*WORDS, *(UNSEEN if wv.has_subwords else [])]:
        np.testing.assert_allclose(wv[word], model.get_word_vector(word), rtol=1e-5, atol=1e-7)
    wv._training = replace(wv._training, output=np.array(model.get_output_matrix()))
    vectors.save(wv, tmp_path / "ours.bin", format="fasttext")
    assert (tmp_path / "ours.bin").read_bytes() == theirs.read_bytes()


def test_what_it_reads_of_ours(trained, tmp_path, rng):
    """Vectors that were changed, and words that were left out, of a model without output."""
    model, theirs = trained(minn=2, maxn=4)
    wv = vectors.load(theirs, keep=["the", "naïve", "東京", "</s>"])
    wv.matrix[1] = rng.standard_normal(7)
    vectors.save(wv, tmp_path / "ours.bin", format="fasttext")
    again = fasttext.load_model(str(tmp_path / "ours.bin"))
    assert again.words == list(wv.words)
    for word in [*WORDS, *UNSEEN]:
        np.testing.assert_allclose(again.get_word_vector(word), wv[word], rtol=1e-5, atol=1e-6)
    buckets = model.get_input_matrix()[len(model.words) :]
    assert (again.get_input_matrix()[len(wv) :] == buckets).all()
    assert again.get_output_matrix().shape == (len(wv), 7)
    assert not again.get_output_matrix().any()
