"""Dense weights that ranks train together."""

import numpy as np
import pytest

from pyembed.baseline import Adam
from threaded import on_ranks

SHAPES = [((4, 3), "float32"), ((7,), "float64"), ((), "float32"), ((0, 2), "float64")]


def arrays():
    return [np.ones(shape, dtype) for shape, dtype in SHAPES]


def gradients(rank, step):
    rng = np.random.default_rng([rank, step])
    return [rng.standard_normal(shape).astype(dtype) for shape, dtype in SHAPES]


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_a_step_is_that_of_the_mean_gradient(size):
    def body(comm):
        own = arrays()
        opt = Adam(own, 0.1, weight_decay=0.1, comm=comm)
        for step in range(3):
            opt.step(*gradients(comm.rank, step))
        return own

    expected = arrays()
    opt = Adam(expected, 0.1, weight_decay=0.1)
    for step in range(3):
        of_ranks = [gradients(rank, step) for rank in range(size)]
        means = []
        for at, (shape, dtype) in enumerate(SHAPES):
            total = np.zeros(shape, dtype)
            for grads in of_ranks:
                total += grads[at]
            means.append(total / np.dtype(dtype).type(size))
        opt.step(*means)
    for found in on_ranks(size, body):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_what_differs_is_refused():
    def body(comm):
        with pytest.raises(ValueError, match=r"Adam: learning_rate=0\.0 on rank 0.* on rank 1"):
            Adam(np.ones(3), float(comm.rank), comm=comm)
        with pytest.raises(ValueError, match=r"Adam: array 0=.* on rank 1; all ranks must"):
            Adam(np.full(3, float(comm.rank)), comm=comm)
        with pytest.raises(TypeError, match="rank 1: array 0 must be an ndarray of a float dtype"):
            Adam(np.ones(3, "if"[comm.rank == 0]), comm=comm)

    on_ranks(2, body)


def test_a_step_that_one_rank_refuses_changes_nothing():
    def body(comm):
        array = np.ones(3)
        opt = Adam(array, comm=comm)
        with pytest.raises(ValueError, match=r"rank 1: gradients have shapes \[\(2,\)\]"):
            opt.step(np.ones(3 - comm.rank))
        assert (array == 1).all()
        assert opt.t == 0

    on_ranks(2, body)


def test_no_communicator():
    with pytest.raises(TypeError, match="comm=3 must be"):
        Adam(np.ones(3), comm=3)
