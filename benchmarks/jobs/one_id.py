"""A single id, where the cost of a call is all there is: of the layer, and of the plain kernel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import grid
import peers
import pyembed as pe
from data import Array, Ids
from grid import Axes
from harness import Contestant, over
from jobs import Table
from jobs.gather import Lookups, build, into_one
from options import Options

FULL = Axes(dims=(64,), ids=(1,), rows=("cache",), distributions=("uniform",))
SMOKE = Axes(dims=(3, 64), ids=(1,), rows=(97,), distributions=("uniform",))


def layer(table: Array, batches: list[Ids]) -> Iterator[Contestant]:
    """``emb(ids)``; both layers take no gradient."""
    yield Contestant("pyembed", over(batches, pe.Embedding.from_pretrained(table)))
    if (torch := peers.torch()) is not None:
        embedding = torch.nn.Embedding.from_pretrained(torch.from_numpy(table))
        yield Contestant("nn.Embedding", over(peers.tensors(batches), embedding))


CALLS: dict[str, tuple[Lookups, list[str]]] = {  # and the peers that they need
    "emb(ids)": (layer, ["torch"]),
    "gather(out=)": (into_one, ["torch", "numba"]),
}


def tables(options: Options) -> list[Table]:
    """One for each call, since each has its own peers."""
    one = replace(options, ids=None)  # whatever was asked of the other jobs
    return [
        Table(
            f"{call} of one id",
            grid.cases(one, partial(build, lookups=lookups), FULL, SMOKE, call=call),
            needs,
        )
        for call, (lookups, needs) in CALLS.items()
    ]
