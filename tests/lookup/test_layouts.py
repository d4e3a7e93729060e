"""Results between the columns of other arrays, ids without elements, masked arrays."""

import os
import subprocess
import sys

import numpy as np
import pytest

import pyembed as pe

EMPTY = np.empty((2**40, 0), int)
MASKED = np.ma.masked_array([1, 2], [False, True])
ONES = np.ones((2, 2), np.float32)

NANS = """
import numpy as np
import pyembed as pe

bag = pe.EmbeddingBag(3, 8, "ones", mode="{mode}", dtype="{dtype}")
bag.embeddings[1, 2], bag.embeddings[2, 3] = np.inf, -np.inf
ids = np.tile([[0, 1, 2, 1, 2, 0, 1, 1]], (4000, 1))
grad = np.zeros((4000, 8), "{dtype}")
weights = np.linspace(-1, 1, ids.size, dtype="{dtype}").reshape(ids.shape)
grad[::3, 3], grad[1::3, 2] = np.nan, -np.nan
for threads in (1, 2, 7):
    pe.set_num_threads(threads)
    found = bag.backward_weights(ids, grad, None, weights)
    assert np.isnan(found).any()
    print(found.tobytes().hex())
"""


@pytest.mark.parametrize("mode", ["sum", "mean", "sqrtn"])
def test_nans_of_weights_are_the_same_bits(mode, dtype):
    printed = set()
    for isa in pe.show_config("dicts")["isa_available"]:
        done = subprocess.run(
            [sys.executable, "-c", NANS.format(mode=mode, dtype=dtype.name)],
            env={**os.environ, "PYEMBED_ISA": isa},
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        assert done.returncode == 0, done.stderr
        printed |= set(done.stdout.split())
    assert len(printed) == 1


@pytest.mark.parametrize("mode", ["sum", "mean", "sqrtn", "max"])
def test_very_many_bags_without_ids_and_elements(mode):
    bag = pe.EmbeddingBag(5, 0, mode=mode)
    upstream = np.empty((2**40, 0), np.float32)
    assert bag(EMPTY).shape == (2**40, 0)
    grad = bag.backward(EMPTY, upstream)
    pe.SparseSGD(bag).step(grad)
    assert grad.ids.tolist() == []
    if mode != "max":
        assert bag.backward_weights(EMPTY, upstream).shape == (2**40, 0)


def test_results_in_interleaved_columns(dtype):
    columns = np.array([[1, 2, 0, 0], [3, 4, 0, 0]], dtype)
    emb = pe.Embedding.from_pretrained(columns[:, :2])
    emb([1, 0], out=columns[:, 2:])
    assert columns.tolist() == [[1, 2, 3, 4], [3, 4, 1, 2]]
    pe.ops.gather(columns[:, :2], [1, 1], out=columns[:, 2:])
    assert columns.tolist() == [[1, 2, 3, 4], [3, 4, 3, 4]]
    bag = pe.EmbeddingBag.sharing(emb, mode="sum")
    bag([[0, 1], [1, 1]], out=columns[:, 2:])
    assert columns.tolist() == [[1, 2, 4, 6], [3, 4, 6, 8]]
    pe.ops.gather_bag(columns[:, :2], [0, 1], [0, 1], out=columns[:, 2:])
    assert columns.tolist() == [[1, 2, 1, 2], [3, 4, 3, 4]]


def test_results_that_overlap_the_table(dtype):
    columns = np.array([[1, 2, 0, 0], [3, 4, 0, 0]], dtype)
    emb = pe.Embedding.from_pretrained(columns[:, :2])
    bag = pe.EmbeddingBag.sharing(emb, mode="sum")
    out = columns[:, 1:3]
    for call in (
        lambda: emb([1, 0], out=out),
        lambda: bag([[1], [0]], out=out),
        lambda: pe.ops.gather(columns[:, :2], [1, 0], out=out),
        lambda: pe.ops.gather_bag(columns[:, :2], [1, 0], [0, 1], out=out),
    ):
        with pytest.raises(ValueError, match=r"out overlaps .*in memory"):
            call()
    assert columns.tolist() == [[1, 2, 0, 0], [3, 4, 0, 0]]


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("ids", lambda emb, bag: emb(MASKED)),
        ("ids", lambda emb, bag: emb.backward(MASKED, ONES)),
        ("ids", lambda emb, bag: pe.Embedding(5, 2, mask_zero=True).compute_mask(MASKED)),
        ("ids", lambda emb, bag: bag(MASKED, [0])),
        ("ids", lambda emb, bag: pe.ops.gather(ONES, MASKED)),
        ("ids", lambda emb, bag: pe.ops.coalesce(MASKED, ONES)),
        ("offsets", lambda emb, bag: bag([1, 2], np.ma.masked_array([0]))),
        ("per_sample_weights", lambda emb, bag: bag([[1, 2]], None, np.ma.array(ONES[:1]))),
        ("grad_output", lambda emb, bag: emb.backward([1, 2], np.ma.array(ONES))),
        ("rows", lambda emb, bag: emb.freeze(MASKED)),
        ("weights", lambda emb, bag: pe.Embedding(2, 2, weights=np.ma.array(ONES))),
        ("matrix", lambda emb, bag: pe.Embedding.from_pretrained(np.ma.array(ONES), copy=True)),
        ("matrix", lambda emb, bag: pe.Embedding.from_pretrained(np.ma.array(ONES))),
    ],
)
def test_masked_arrays_are_refused_by_name(name, call):
    emb = pe.Embedding(5, 2)
    with pytest.raises(TypeError, match=f"{name} is a masked array"):
        call(emb, pe.EmbeddingBag.sharing(emb, mode="sum"))


@pytest.mark.parametrize("given", [">f4", ">f8", "float16", "int32", "bool"])
def test_a_matrix_of_another_dtype_says_which_and_what_to_do(given):
    matrix = np.ones((2, 3), given)
    for options in ({"copy": True}, {}):
        with pytest.raises(
            TypeError, match=rf"matrix has dtype {matrix.dtype}: .* dtype='float32'"
        ):
            pe.Embedding.from_pretrained(matrix, **options)
    if given != "bool":
        emb = pe.Embedding.from_pretrained(matrix, copy=True, dtype="float64")
        assert emb.embeddings.tolist() == [[1, 1, 1], [1, 1, 1]]
