"""A refused step changes nothing, in none of its tables."""

import numpy as np
import pytest

import pyembed as pe


@pytest.mark.parametrize("make", [pe.SparseAdam, lambda e: pe.SparseSGD(e, 0.1, 0.9)])
class TestARefusedStepChangesNothing:
    def refuse(self, error, message, opt, layers, *grads):
        before = [layer.embeddings.copy() for layer in layers]
        with pytest.raises(error, match=message):
            opt.step(*grads)
        for layer, was in zip(layers, before, strict=True):
            np.testing.assert_array_equal(layer.embeddings, was)
        assert {state.t for state in opt._states.values()} == {0}
        assert all((state.array == 0).all() for state in opt._states.values())

    def test_an_id_in_the_middle_of_the_second_table(self, make, threads):
        first, second = pe.Embedding(9, 4), pe.Embedding(7, 4)
        opt = make([first, second])
        ids = np.arange(50_000) % 7
        ids[30_000] = 7
        good = first.backward([1, 2], np.ones((2, 4), np.float32))
        bad = second.backward(ids, np.ones((50_000, 4), np.float32))
        message = "id 7 at position 30000 is outside a table of 7 rows"
        self.refuse(IndexError, message, opt, [first, second], good, bad)
        self.refuse(IndexError, message, opt, [first, second], good, good, bad + bad)

    def test_a_foreign_gradient(self, make):
        emb, foreign = pe.Embedding(5, 2), pe.Embedding(5, 2)
        opt = make(emb)
        good = emb.backward([1], np.ones((1, 2), np.float32))
        bad = foreign.backward([1], np.ones((1, 2), np.float32))
        self.refuse(ValueError, "gradient 1 is of a table", opt, [emb, foreign], good, bad)

    def test_no_gradient_and_no_sparse_grad(self, make):
        emb = pe.Embedding(5, 2)
        opt = make(emb)
        self.refuse(ValueError, "at least one gradient", opt, [emb])
        self.refuse(TypeError, "gradient 0 must be a SparseGrad", opt, [emb], np.ones((5, 2)))

    def test_a_learning_rate_out_of_bounds(self, make):
        emb = pe.Embedding(5, 2)
        opt = make(emb)
        opt.learning_rate = lambda t: -1.0
        grad = emb.backward([1], np.ones((1, 2), np.float32))
        self.refuse(
            ValueError, r"learning_rate=-1.0 must be a finite number >= 0", opt, [emb], grad
        )


class Quadratic:
    """A regularizer of a user's own, which the step's one pass does not know."""

    def __call__(self, w):
        return float(np.sum(w * w))

    def gradient(self, w):
        return 2 * w


def test_a_regularizer_sees_rows_as_they_are_and_a_refused_step_keeps_them():
    arguments = {"embeddings_regularizer": Quadratic(), "max_norm": 1.0}
    emb = pe.Embedding(3, 2, weights=np.full((3, 2), 4.0), **arguments)
    other = pe.Embedding(3, 2)
    opt = pe.SparseSGD([emb, other], 0.25)
    grad = emb.backward([1], np.zeros((1, 2), np.float32))
    with pytest.raises(IndexError, match="id 9"):
        opt.step(grad, other.backward([9], np.zeros((1, 2), np.float32)))
    assert emb.embeddings.tolist() == [[4, 4]] * 3
    opt.step(grad)
    assert emb.embeddings.tolist() == [[4, 4], [2, 2], [4, 4]]


def test_a_table_that_was_made_read_only_stops_the_whole_step():
    first, second = pe.Embedding(3, 2), pe.Embedding(3, 2, weights=np.ones((3, 2)))
    opt = pe.SparseSGD([first, second], 1.0)
    grads = [layer.backward([1], np.ones((1, 2), np.float32)) for layer in (first, second)]
    second._table.array.flags.writeable = False
    before = first.embeddings.copy()
    with pytest.raises(ValueError, match="the table is read-only"):
        opt.step(*grads)
    np.testing.assert_array_equal(first.embeddings, before)
    assert {state.t for state in opt._states.values()} == {0}


@pytest.mark.parametrize("update", ["lazy", "exact"])
def test_a_learning_rate_may_release_its_optimizer(update):
    emb = pe.Embedding(3, 2)
    before = emb.embeddings.copy()
    opt = pe.SparseAdam(emb, lambda t: opt.release() or 0.1, update=update)
    with pytest.raises(RuntimeError, match=r"release\(\)"):
        opt.step(emb.backward([1], np.ones((1, 2), np.float32)))
    np.testing.assert_array_equal(emb.embeddings, before)
    pe.SparseSGD(emb)
