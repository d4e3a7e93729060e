"""A single id, where the cost of a call is all there is: of the layer, and of the plain kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

import data
import peers
import pyembed as pe
import report
import streams
import timed
from data import Array
from grid import Axes, Cell, cells
from harness import Case, Contestant, Match, Measurement, over
from jobs.gather import moved_bytes
from options import Options
from report import Report, times
from streams import Ids

FULL = Axes(dims=(64,), ids=(1,), rows=("cache",), distributions=("uniform",))
SMOKE = Axes(dims=(3, 64), ids=(1,), rows=(97,), distributions=("uniform",))
Call = Callable[[Array, list[Ids]], Iterator[Contestant]]


def layer(table: Array, batches: list[Ids]) -> Iterator[Contestant]:
    """``emb(ids)``; both layers take no gradient."""
    yield Contestant("pyembed", over(batches, pe.Embedding.from_pretrained(table)))
    if (torch := peers.torch()) is not None:
        embedding = torch.nn.Embedding.from_pretrained(torch.from_numpy(table))
        yield Contestant("nn.Embedding", over(peers.tensors(batches), embedding))


def kernel(table: Array, batches: list[Ids]) -> Iterator[Contestant]:
    """``gather(out=)`` into one and the same array."""
    out = np.empty((1, table.shape[1]), table.dtype)
    spoil = partial(out.fill, np.nan)
    gather = partial(pe.ops.gather, table, out=out)
    yield Contestant("pyembed", over(batches, gather), prepare=spoil)
    take = partial(np.take, table, axis=0, out=out, mode="clip")
    yield Contestant("np.take", over(batches, take), prepare=spoil)


CALLS: dict[str, Call] = {"emb(ids)": layer, "gather(out=)": kernel}


def cases(options: Options) -> list[Case]:
    return [case for call in CALLS for case in _cases(call, options)]


def _cases(call: str, options: Options) -> list[Case]:
    one = replace(options, ids=None)  # whatever was asked of the other jobs
    return [
        Case({**cell.labels, "call": call}, partial(build, cell, CALLS[call]))
        for cell in cells(one, FULL, SMOKE)
    ]


def build(cell: Cell, call: Call) -> Match:
    table = data.table(cell.rows, cell.dim, cell.dtype)
    batches = streams.pool(cell.distribution, cell.rows, 1)
    return Match(
        list(call(table, batches)),
        batches=len(batches),
        rows=1,
        bytes=moved_bytes(cell),
        memory=cell.table_bytes,
    )


def run(options: Options) -> Report:
    """A table for each call, since each has its own peers."""
    return report.stacked([_run(call, options) for call in CALLS])


def _run(call: str, options: Options) -> Report:
    summary = partial(_summary, call)
    return timed.run(f"one_id {call}", _cases(call, options), options, summary, ["torch"])


def _summary(call: str, found: list[Measurement]) -> list[str]:
    return [
        f"{call} of one id, table {one.labels['table']}: {times(one.ratio(peer.name))} {peer.name}"
        for one in found
        for peer in one.timings[1:]
    ]
