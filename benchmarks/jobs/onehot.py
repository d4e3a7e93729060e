"""The one-hot matrix product that an embedding stands for, until it no longer fits in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

import data
import pyembed as pe
import streams
import timed
from data import Array
from grid import Axes, Cell, cells
from harness import Case, Contestant, Match, Measurement, over
from options import Options
from report import Report, megabytes, times
from streams import Ids

FULL = Axes(
    dims=(64,),
    ids=(2048,),
    rows=(1_000, 4_000, 16_000, 64_000, 256_000, 1_000_000, 4_000_000),
    distributions=("uniform",),
)
SMOKE = Axes(dims=(3,), ids=(1, 30), rows=(97,), distributions=("uniform",))
PEER = "one-hot matrix"
Pass = Callable[[pe.Embedding, pe.baseline.OneHotDense, list[Ids]], Iterator[Contestant]]


def cases(options: Options) -> list[Case]:
    """The forward and the backward pass at each table size."""
    return [
        Case(_labels(cell, one_pass.__name__), partial(build, cell, one_pass))
        for cell in cells(options, FULL, SMOKE)
        for one_pass in (forward, backward)
    ]


def build(cell: Cell, one_pass: Pass) -> Match:
    """Allocates anew in every run, on both sides: one run is enough to warm it."""
    weights = data.table(cell.rows, cell.dim, cell.dtype)
    batches = streams.batches(cell.distribution, cell.rows, cell.ids, streams.MIN_BATCHES)
    table = pe.Embedding.from_pretrained(weights, trainable=True)
    onehot = pe.baseline.OneHotDense(cell.rows, cell.dim, weights=weights, dtype=cell.dtype)
    return Match(
        list(one_pass(table, onehot, batches)),
        batches=len(batches),
        rows=cell.ids,
        bytes=cell.ids * 2 * cell.row_bytes,
        memory=cell.table_bytes,
        warm_runs=1,
    )


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


def _dense(sparse: pe.SparseGrad) -> Array:
    dense = np.zeros(sparse.shape, sparse.dtype)
    dense[sparse.ids] = sparse.values
    return dense


def _labels(cell: Cell, name: str) -> dict[str, int | str]:
    itemsize = np.dtype(cell.dtype).itemsize
    return {
        **cell.labels,
        "one-hot MB": megabytes(cell.ids * cell.rows * itemsize),
        "pass": name,
    }


def run(options: Options) -> Report:
    return timed.run("onehot", cases(options), options, summary, stop_at=MemoryError)


def summary(found: list[Measurement]) -> list[str]:
    """Both passes at the largest table whose one-hot matrix fitted."""
    return [
        f"one-hot matrix, {one.labels['pass']}: {times(one.ratio(PEER))} our time "
        f"at {one.labels['table']:,} rows, {one.labels['one-hot MB']} MB"
        for one in found[-2:]
    ]
