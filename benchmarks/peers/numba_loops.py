"""The loops that a NumPy user would write for Numba. Import it only where Numba is installed.

Numba compiles each for a dtype as it is first called, and checks no id. Where rows are added by id,
two threads must not meet in a row, so each takes the rows of its own part of the table.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import njit, prange

from data import Array, Ids


@njit(parallel=True)
def gather_into(table: Array, ids: Ids, out: Array) -> Array:
    for i in prange(len(ids)):
        for d in range(table.shape[1]):
            out[i, d] = table[ids[i], d]
    return out


@njit
def gather(table: Array, ids: Ids) -> Array:
    return gather_into(table, ids, np.empty((len(ids), table.shape[1]), table.dtype))


@njit(parallel=True)
def add(table: Array, ids: Ids, rows: Array) -> Array:
    parts = numba.get_num_threads()
    for part in prange(parts):
        first, end = part * len(table) // parts, (part + 1) * len(table) // parts
        for i in range(len(ids)):
            if first <= ids[i] < end:
                for d in range(table.shape[1]):
                    table[ids[i], d] += rows[i, d]
    return table


@njit(parallel=True)
def bag_sum(table: Array, ids: Ids, offsets: Ids) -> Array:
    out = np.zeros((len(offsets), table.shape[1]), table.dtype)
    for b in prange(len(offsets)):
        end = offsets[b + 1] if b + 1 < len(offsets) else len(ids)
        for i in range(offsets[b], end):
            for d in range(table.shape[1]):
                out[b, d] += table[ids[i], d]
    return out
