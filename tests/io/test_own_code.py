"""Callables and classes of a user's own, which no file can hold."""

import numpy as np
import pytest

import pyembed as pe

ROWS = np.arange(12.0).reshape(4, 3)


def halving(t):
    return 0.5**t


def test_callables_of_ones_own_stay_with_their_objects(path):
    def make():
        emb = pe.Embedding(4, 3, np.ones, lambda w: 0.0)
        return {"emb": emb, "opt": pe.SparseSGD(emb, halving)}

    objects = make()
    objects["emb"].embeddings[:] = ROWS
    pe.save(path, **objects)
    again = make()
    pe.load(path, **again)
    np.testing.assert_array_equal(again["emb"].embeddings, ROWS)
    assert again["opt"].learning_rate is halving
    with pytest.raises(ValueError, match=r"embeddings_initializer=.*ones, which no file can hold"):
        pe.load(path)
    again["opt"].learning_rate = 0.5
    with pytest.raises(ValueError, match=r"learning_rate=.*halving, but here it is 0.5"):
        pe.load(path, **again)
    other = pe.Embedding(4, 3, embeddings_regularizer="l1")
    with pytest.raises(ValueError, match=r"embeddings_regularizer=.*lambda.*, but here .*'L1'"):
        pe.load(path, emb=other)

    objects["opt"].learning_rate = 0.25
    pe.save(path, **objects)
    again["opt"].learning_rate = halving
    pe.load(path, **again)
    assert again["opt"].learning_rate == 0.25


class Words(pe.Embedding):
    pass


def test_classes_of_ones_own(path):
    words = Words(4, 3)
    pe.save(path, words=words)
    pe.load(path, words=words)
    with pytest.raises(ValueError, match="words: it is of the class 'Words'"):
        pe.load(path)
    with pytest.raises(ValueError, match=r"class_name='Words', but here .*'Embedding'"):
        pe.load(path, words=pe.Embedding(4, 3))
