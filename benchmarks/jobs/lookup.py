"""``emb(ids)`` in a loop: rows into a new array each time, whose pages cost more than its rows.

An array is given back once the next one is made, as in a loop that overwrites its variable.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

import grid
import peers
import pyembed as pe
from data import Array, Ids
from harness import Contestant, over
from jobs import Table
from jobs.gather import build
from options import Options


def tables(options: Options) -> list[Table]:
    cases = grid.cases(options, partial(build, lookups=into_new))
    return [Table("emb(ids)", cases, ["torch", "numba"])]


def into_new(table: Array, batches: list[Ids]) -> Iterator[Contestant]:
    """All look up in one and the same table, which takes no gradient."""
    yield Contestant("pyembed", over(batches, pe.Embedding.from_pretrained(table)))
    yield Contestant("np.take", over(batches, lambda ids: np.take(table, ids, axis=0)))
    if (torch := peers.torch()) is not None:
        embedding = partial(torch.nn.functional.embedding, weight=torch.from_numpy(table))
        yield Contestant("F.embedding", over(peers.tensors(batches), embedding))
    if (loops := peers.loops()) is not None:
        yield Contestant("numba prange", over(batches, lambda ids: loops.gather(table, ids)))
