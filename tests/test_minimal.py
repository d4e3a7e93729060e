"""The first page of the README, with nothing but NumPy and pytest: run it on any new build."""

import sys
import sysconfig

import numpy as np
import pytest

import pyembed as pe


def test_first_page():
    emb = pe.Embedding(input_dim=1000, output_dim=64, mask_zero=True, seed=0)
    opt = pe.SparseAdam(emb, learning_rate=1e-3)
    ids = np.array([[3, 1, 3], [0, 999, 3]])
    before = emb.embeddings.copy()

    y = emb(ids)
    assert y.shape == (2, 3, 64)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, before[ids])
    np.testing.assert_array_equal(emb.compute_mask(ids), ids != 0)

    dy = np.ones_like(y)
    grad = emb.backward(ids, dy)
    opt.step(grad)

    touched = np.unique(ids)
    untouched = np.setdiff1d(np.arange(1000), touched)
    np.testing.assert_array_equal(emb.embeddings[untouched], before[untouched])
    # Adam's first step moves by the learning rate, whatever the size of the gradient.
    np.testing.assert_allclose(before[touched] - emb.embeddings[touched], 1e-3, rtol=1e-4)


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="an interpreter with a GIL"
)
def test_a_free_threaded_interpreter_stays_so():
    # An extension module that does not say that it needs no lock would bring it back.
    assert not sys._is_gil_enabled()


def test_two_lookups_of_one_table_make_one_step():
    def trained(as_step):
        emb = pe.Embedding(10, 3, seed=1)
        opt = pe.SparseAdam(emb)
        first = emb.backward([1, 2], np.full((2, 3), 0.5, np.float32))
        second = emb.backward([2, 3], np.full((2, 3), 0.25, np.float32))
        opt.step(*as_step(first, second))
        return emb.embeddings

    apart = trained(lambda first, second: (first, second))
    added = trained(lambda first, second: (first + second,))
    np.testing.assert_array_equal(apart, added)


def test_a_bag_and_an_error_that_names_the_id():
    bag = pe.EmbeddingBag(3, 2, mode="sum", weights=[[0, 1], [2, 3], [4, 5]])
    np.testing.assert_array_equal(bag([2, 0, 1], offsets=[0, 2]), [[4, 6], [2, 3]])
    with pytest.raises(IndexError) as caught:
        bag([[0, 1], [2, 3]])
    message = "id 3 at position (1, 1) is outside a table of 3 rows (valid: 0 to 2)"
    assert str(caught.value) == message
