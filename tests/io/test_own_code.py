"""Callables and classes of a user's own, which no file can hold."""

import numpy as np
import pytest

import pyembed as pe
from pyembed.schedules import Warmup

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


class TestCallablesWithinSchedules:
    def make(self, learning_rate):
        emb = pe.Embedding(4, 3)
        return {"emb": emb, "opt": pe.SparseSGD(emb, learning_rate)}

    @pytest.mark.parametrize("depth", [1, 2, 60])
    def test_stay_with_their_objects(self, path, depth):
        def nested(inner, steps):
            for _ in range(depth):
                inner = Warmup(inner, steps)
            return inner

        pe.save(path, **self.make(nested(halving, 3)))
        there = self.make(nested(halving, 5))
        pe.load(path, **there)
        assert repr(there["opt"].learning_rate) == repr(nested(halving, 3))
        assert there["opt"].learning_rate(4) == nested(halving, 3)(4)
        there = self.make(nested(Warmup(0.5, 7), 5))  # a callable too
        pe.load(path, **there)
        assert repr(there["opt"].learning_rate) == repr(nested(Warmup(0.5, 7), 3))

    @pytest.mark.parametrize(
        "learning_rate", [0.5, halving, Warmup(0.5, 3), pe.schedules.CosineDecay(0.5, 3)]
    )
    def test_are_refused_where_there_is_none(self, path, learning_rate):
        pe.save(path, **self.make(Warmup(halving, 3)))
        there = self.make(learning_rate)
        with pytest.raises(ValueError, match=r"opt: it was saved with learning_rate=.*halving"):
            pe.load(path, **there)
        assert there["opt"].learning_rate is learning_rate
        with pytest.raises(ValueError, match=r"a callable in its learning_rate, .*halving, which"):
            pe.load(path)


class Configured(pe.Embedding):
    """One that has more to tell, some of it no JSON."""

    def get_config(self):
        inner = {"functions": [halving, {"deeper": np.sqrt}], "pair": (1, 2)}
        return {**super().get_config(), "more": inner}


class ConfiguredSGD(pe.SparseSGD):
    def get_config(self):
        return {**super().get_config(), "more": (halving, (1, 2))}


def test_callables_anywhere_in_a_configuration(path):
    emb = Configured(4, 3, weights=ROWS)
    objects = {"emb": emb, "opt": ConfiguredSGD(emb, 0.5, 0.9)}
    pe.save(path, **objects)
    emb = Configured(4, 3)
    again = {"emb": emb, "opt": ConfiguredSGD(emb, 0.1, 0.9)}
    pe.load(path, **again)
    np.testing.assert_array_equal(again["emb"].embeddings, ROWS)
    assert again["opt"].learning_rate == 0.5


class Deep(pe.Embedding):
    def get_config(self):
        inner = None
        for _ in range(100_000):
            inner = [inner]
        return {**super().get_config(), "more": inner}


def test_a_configuration_that_is_nested_too_deeply(path):
    with pytest.raises(ValueError, match="nested too deeply to be saved"):
        pe.save(path, emb=Deep(4, 3))
    assert not path.exists()


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
