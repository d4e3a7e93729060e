"""Random layers, calls and ranks, against one process."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import pyembed as pe
from kinds import OPTIMIZERS
from sharded_cases import SUM_BY, same, same_state, same_table, stepped
from threaded import on_ranks

POLICIES = ("clip", "zero", "wrap")


@st.composite
def histories(draw):
    """How a layer is made, and each rank's calls of each step, None where one has none."""
    rows = draw(st.integers(1, 30))
    mode = draw(st.sampled_from([None, "mean", "sum", "max", "sqrtn"]))
    options = {
        "input_dim": rows,
        "output_dim": draw(st.sampled_from([0, 1, 3, 16, 17])),
        "padding_idx": draw(st.none() | st.integers(0, rows - 1)),
        "out_of_range": draw(st.sampled_from(POLICIES)),
        "scale_grad_by_freq": mode != "max" and draw(st.booleans()),
        "dtype": draw(st.sampled_from(["float32", "float64"])),
        "seed": draw(st.integers(0, 2**64 - 1)),
    }
    if mode is not None:
        options["mode"] = mode
    size = draw(st.integers(1, 4))
    shape = st.tuples(st.integers(0, 6), st.integers(0, 5))
    shapes = st.lists(st.none() | shape, min_size=size, max_size=size)
    steps = draw(st.lists(shapes.filter(any), min_size=1, max_size=3))
    return options, size, steps, draw(st.integers(0, 99))


@settings(deadline=None, max_examples=40)
@given(histories(), st.sampled_from(list(OPTIMIZERS)), st.sampled_from(SUM_BY))
def test_the_bits_of_one_process(history, kind, sum_by):
    options, size, steps, seed = history
    cls = pe.EmbeddingBag if "mode" in options else pe.Embedding
    rng = np.random.default_rng(seed)
    calls = [
        [None if shape is None else draw_call(rng, options, shape) for shape in step]
        for step in steps
    ]

    def on_rank(comm):
        sharded, one = cls(**options, comm=comm, sum_by=sum_by), cls(**options)
        theirs, opt = OPTIMIZERS[kind](sharded), OPTIMIZERS[kind](one)
        for step in calls:
            mine = step[comm.rank]
            ids = np.zeros((0, 2), np.int64) if mine is None else mine[0]
            same(sharded(ids), one(ids))
            grads = gradients(comm, sharded, mine)
            theirs.step(*grads)
            of_one = [None if call is None else one.backward(*call) for call in step]
            stepped(opt, of_one, sum_by)
        same_table(comm, sharded, one)
        same_state(comm, theirs, opt)

    on_ranks(size, on_rank)


def draw_call(rng, options, shape):
    rows = options["input_dim"]
    ids = rng.integers(-rows, 2 * rows, shape)
    upstream = shape[:1] if "mode" in options else shape
    return ids, rng.standard_normal((*upstream, options["output_dim"])).astype(options["dtype"])


def gradients(comm, layer, call):
    """Return the gradients of a rank; all ranks look winners of max pooling up together."""
    if call is not None:
        return [layer.backward(*call)]
    if getattr(layer, "mode", None) == "max":
        nothing = np.zeros((0, layer.output_dim), layer.dtype)
        layer.backward(np.zeros((0, 1), np.int64), nothing)
    return []
