"""Dense arrays of which each rank has its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyembed.sharding.communicator import Communicator


def averaged(comm: Communicator, arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Return the means of all ranks' arrays, of the same bits on all of them.

    Each rank adds a piece up, rank 0's numbers first, and all get all pieces: twice the arrays'
    bytes pass through each rank, however many there are.

    Parameters
    ----------
    comm : Communicator
    arrays : sequence of ndarray
        Of the same shapes and dtypes on all ranks.
    """
    means = [np.empty(array.shape, array.dtype) for array in arrays]
    for dtype in dict.fromkeys(array.dtype for array in arrays):
        chosen = [at for at, array in enumerate(arrays) if array.dtype == dtype]
        flat = np.concatenate([np.ravel(arrays[at]) for at in chosen])
        mean = _mean(comm, flat)
        ends = np.cumsum([arrays[at].size for at in chosen])
        for at, piece in zip(chosen, np.split(mean, ends[:-1]), strict=True):
            means[at][...] = piece.reshape(arrays[at].shape)
    return means


def _mean(comm: Communicator, flat: NDArray[Any]) -> NDArray[Any]:
    bounds = len(flat) * np.arange(comm.size + 1, dtype=np.int64) // comm.size
    counts = np.diff(bounds)
    own = int(counts[comm.rank])
    as_own = np.full(comm.size, own)
    came = np.empty(comm.size * own, flat.dtype)
    comm.alltoallv(flat, counts, came, as_own)
    summed = np.zeros(own, flat.dtype)
    for piece in came.reshape(comm.size, own):
        summed += piece
    summed /= comm.size
    mean = np.empty_like(flat)
    comm.alltoallv(np.tile(summed, comm.size), as_own, mean, counts)
    return mean
