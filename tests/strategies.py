"""Hypothesis strategies: small tables, ids with many duplicates, odd layouts."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

DIMS = st.sampled_from([0, 1, 2, 3, 5, 8, 15, 16, 17, 31, 33, 64, 65, 100])
ID_DTYPES = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i4", ">i8", ">u8"]


# How far a sum of as many as 729 normal numbers, what `arrays_of_ids` may give one row, is off.
ROUNDING_OF_SUMS = {np.dtype("f4"): 3e-4, np.dtype("f8"): 1e-5}


def floats(rng, shape, dtype):
    return rng.standard_normal(shape).astype(dtype)


@st.composite
def tables(draw):
    """A table (V, D), as a whole array or as rows with a gap between them."""
    rows = draw(st.integers(1, 40))
    dim = draw(DIMS)
    dtype = draw(st.sampled_from(["f4", "f8"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    gap = draw(st.sampled_from([0, 3]))
    return floats(rng, (rows, dim + gap), dtype)[:, :dim]


@st.composite
def arrays_of_ids(draw, rows, min_dims=0, max_dims=3):
    """Ids within [0, rows) of any shape, dtype and layout."""
    shape = draw(hnp.array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=0, max_side=9))
    dtype = draw(st.sampled_from(ID_DTYPES))
    ids = draw(hnp.arrays(np.int64, shape, elements=st.integers(0, rows - 1))).astype(dtype)
    layout = draw(st.sampled_from(["C", "F", "reversed", "spread", "read-only"]))
    if layout == "F":
        return np.asfortranarray(ids)
    if layout == "reversed" and ids.ndim:
        return ids[::-1]
    if layout == "spread" and ids.ndim:
        return np.repeat(ids, 2, axis=-1)[..., ::2]
    if layout == "read-only":
        ids.flags.writeable = False
    return ids


@st.composite
def bags_of_ids(draw, low, high):
    """(ids, offsets): ids in [low, high), cut at offsets, or (bags, length) and None."""
    elements = st.integers(low, high - 1)
    if draw(st.booleans()):
        shape = draw(st.tuples(st.integers(0, 6), st.integers(0, 6)))
        return draw(hnp.arrays(np.int64, shape, elements=elements)), None
    lengths = draw(st.lists(st.integers(0, 6), min_size=1, max_size=8))
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(
        draw(st.sampled_from(["i4", "i8"]))
    )
    return draw(hnp.arrays(np.int32, sum(lengths), elements=elements)), offsets
