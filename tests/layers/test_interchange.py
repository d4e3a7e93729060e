"""Arrays of other libraries, and layers as arrays."""

import array

import numpy as np
import pytest

import pyembed as pe


class Array:
    """What knows ``__array__`` alone."""

    def __init__(self, values):
        self._values = np.asarray(values)

    def __array__(self, dtype=None, copy=None):
        return self._values


class OnDevice:
    """What is an array, but not to be read from here."""

    shape = (2,)

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("on another device")


class DLPack:
    """What knows DLPack alone."""

    def __init__(self, values):
        self._values = np.asarray(values)
        self.shape = self._values.shape

    def __dlpack__(self, **options):
        return self._values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._values.__dlpack_device__()


class Elsewhere(DLPack):
    def __dlpack__(self, **options):
        raise BufferError("on another device")


def buffer(values):
    """A buffer without an array."""
    values = np.asarray(values)
    return (
        memoryview(array.array("q" if values.dtype.kind == "i" else "f", values.ravel()))
        .cast("B")
        .cast("q" if values.dtype.kind == "i" else "f", values.shape)
    )


@pytest.mark.parametrize("made", [Array, DLPack, buffer])
def test_ids_gradients_and_weights_of_any_library(made):
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    emb = pe.Embedding(4, 3, weights=made(values) if made is not DLPack else values)
    ids = np.array([[2, 0], [2, 3]])
    dy = np.ones((2, 2, 3), np.float32)
    np.testing.assert_array_equal(emb(made(ids)), values[ids])
    grad = emb.backward(made(ids), made(dy))
    np.testing.assert_array_equal(grad.to_dense(), emb.backward(ids, dy).to_dense())
    np.testing.assert_array_equal(grad.coalesce().ids, [0, 2, 3])

    bag = pe.EmbeddingBag.sharing(emb, mode="sum")
    flat, offsets = np.array([2, 0, 3]), np.array([0, 1])
    weights = np.array([1, 2, 3], np.float32)
    np.testing.assert_array_equal(
        bag(made(flat), made(offsets), made(weights)), bag(flat, offsets, weights)
    )


@pytest.mark.parametrize("made", [DLPack, buffer])
def test_a_matrix_is_shared_with_any_library(made):
    matrix = made(np.ones((4, 3), np.float32))
    emb = pe.Embedding.from_pretrained(matrix)
    assert np.shares_memory(emb.embeddings, pe._arrays.shared_array(matrix, "matrix"))
    assert emb([1]).tolist() == [[1.0, 1.0, 1.0]]


class Both(DLPack, Array):
    """What knows both."""


@pytest.mark.parametrize("writeable", [True, False])
def test_memory_that_dlpack_alone_says_is_read_only_is_written(writeable, monkeypatch):
    def read_only(value):
        array = np.asarray(value).view()
        array.flags.writeable = False
        return array

    monkeypatch.setattr(np, "from_dlpack", read_only)  # as older versions have it
    values = np.ones((4, 3), np.float32)
    values.flags.writeable = writeable
    array = pe._arrays.shared_array(Both(values), "matrix")
    assert np.shares_memory(array, values)
    assert array.flags.writeable == writeable


def test_what_cannot_be_read_is_refused():
    emb = pe.Embedding(4, 3)
    before = emb.embeddings.copy()
    with pytest.raises(TypeError, match="ids cannot be read as an array: on another device"):
        emb(OnDevice())
    with pytest.raises(TypeError, match="grad_output cannot be read as an array: on another dev"):
        emb.backward([1, 2], Elsewhere([1.0, 2.0]))
    with pytest.raises(TypeError, match="matrix cannot share its memory: on another device"):
        pe.Embedding.from_pretrained(Elsewhere(before))
    with pytest.raises(TypeError, match="weights cannot be read as an array: on another device"):
        pe.Embedding(4, 3, weights=OnDevice())
    np.testing.assert_array_equal(emb.embeddings, before)


def test_a_layer_is_an_array(layer):
    emb = layer(4, 3, seed=0)
    table = np.asarray(emb)
    assert np.shares_memory(table, emb.embeddings)
    table[1] = 5.0
    assert (emb.embeddings[1] == 5.0).all()
    assert not np.shares_memory(np.array(emb), emb.embeddings)
    assert not np.shares_memory(emb.__array__(copy=True), emb.embeddings)
    double = np.asarray(emb, np.float64)
    assert double.dtype == np.float64
    np.testing.assert_array_equal(double, emb.embeddings)
    with pytest.raises(ValueError, match="a float64 array of a float32 table is a copy"):
        emb.__array__(np.float64, copy=False)


def test_a_layer_whose_rows_are_behind_is_an_array_of_those_up_to_date():
    emb = pe.Embedding(4, 3, seed=0)
    opt = pe.SparseAdam(emb, update="exact")
    for row in (0, 1, 2):
        opt.step(emb.backward([row], np.ones((1, 3), np.float32)))
    np.testing.assert_array_equal(np.asarray(emb), emb(np.arange(4)))
