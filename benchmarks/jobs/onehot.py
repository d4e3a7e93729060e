"""The one-hot matrix product that an embedding stands for, until it no longer fits in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

import data
import grid
import pyembed as pe
import streams
from data import Array, Ids
from grid import Axes, Cell
from harness import Contestant, Match, over
from jobs import Table
from options import Options

FULL = Axes(
    dims=(64,),
    ids=(2048,),
    rows=(1_000, 4_000, 16_000, 64_000, 256_000, 1_000_000, 4_000_000),
    distributions=("uniform",),
)
SMOKE = Axes(dims=(3,), ids=(1, 30), rows=(97,), distributions=("uniform",))
PEER = "one-hot matrix"
Pass = Callable[[pe.Embedding, pe.baseline.OneHotDense, list[Ids]], Iterator[Contestant]]


def forward(
    table: pe.Embedding, onehot: pe.baseline.OneHotDense, batches: list[Ids]
) -> Iterator[Contestant]:
    """Rows by id."""
    yield Contestant("pyembed", over(batches, table))
    yield Contestant(PEER, over(batches, onehot))


def backward(
    table: pe.Embedding, onehot: pe.baseline.OneHotDense, batches: list[Ids]
) -> Iterator[Contestant]:
    """The gradient as the one-hot layer gives it, dense; and as an optimizer needs it, sparse."""
    weights = table.embeddings
    dy = data.whole_numbers((len(batches[0]), weights.shape[1]), str(weights.dtype))
    yield Contestant("pyembed", over(batches, lambda ids: table.backward(ids, dy).to_dense()))
    yield Contestant(PEER, over(batches, lambda ids: onehot.backward(ids, dy)))
    yield Contestant(
        "pyembed sparse",
        over(batches, lambda ids: table.backward(ids, dy).coalesce()),
        result=_dense,
    )


def tables(options: Options) -> list[Table]:
    """The forward and the backward pass, whose one-hot matrix is (ids, table's rows)."""
    return [
        Table(
            f"one-hot matrix, {one_pass.__name__}",
            grid.cases(
                options, partial(build, one_pass), FULL, SMOKE, **{"pass": one_pass.__name__}
            ),
        )
        for one_pass in (forward, backward)
    ]


def build(one_pass: Pass, cell: Cell) -> Match:
    """Allocates anew in every run, on both sides: one run is enough to warm it."""
    weights = data.table(cell.rows, cell.dim, cell.dtype)
    batches = streams.batches(cell.distribution, cell.rows, cell.ids, streams.MIN_BATCHES)
    table = pe.Embedding.from_pretrained(weights, trainable=True)
    onehot = pe.baseline.OneHotDense(cell.rows, cell.dim, weights=weights, dtype=cell.dtype)
    contestants = one_pass(table, onehot, batches)
    return cell.match(contestants, batches, cell.ids * cell.row_bytes, warm_runs=1)


def _dense(sparse: pe.SparseGrad) -> Array:
    dense = np.zeros(sparse.shape, sparse.dtype)
    dense[sparse.ids] = sparse.values
    return dense
