"""Forward and backward pass of ``pyembed.torch``'s modules beside those of ``torch.nn``, no step.

From a few ids, where the calls are all there is, to many.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import data
import grid
import peers
import streams
from data import Array, Ids
from grid import Axes, Cell
from harness import Contestant, Match, over
from jobs import Table
from options import Options

FULL = Axes(dims=(8, 64), ids=(32, 512, 2048, 8192, 1 << 16), rows=(100_000,))
MODULES = {"Embedding": 1, "EmbeddingBag": 8}  # and ids of a bag, whose mean is exact
GRADIENTS = ("sparse", "dense")


def tables(options: Options) -> list[Table]:
    return [
        Table(
            f"nn.{module}, forward + backward, {gradient} gradient",
            _cases(options, module, gradient),
            ["torch"],
        )
        for module in MODULES
        for gradient in GRADIENTS
    ]


def _cases(options: Options, module: str, gradient: str) -> list[Any]:
    if peers.torch() is None:
        return []
    build = partial(_build, module=module, gradient=gradient)
    return grid.cases(options, build, FULL, module=module, gradient=gradient)


def _build(cell: Cell, module: str, gradient: str) -> Match:
    import pyembed.torch

    torch = peers.torch()
    torch.sparse.check_sparse_tensor_invariants.disable()  # as ever; unsaid, it warns
    batches = streams.pool(cell.distribution, cell.rows, cell.ids)
    table = data.table(cell.rows, cell.dim, cell.dtype)
    bag = MODULES[module]
    offsets = None if bag == 1 else np.arange(0, cell.ids, bag, dtype=np.int64)
    above = data.whole_numbers((-(-cell.ids // bag), cell.dim), cell.dtype)
    sparse = gradient == "sparse"
    written = (cell.ids if sparse else cell.rows) * cell.row_bytes + above.nbytes
    passes = partial(_passes, module, table, sparse, offsets, above)
    return cell.match(
        [
            Contestant(name, over(peers.tensors(batches), passes(library)), _array)
            for name, library in (("pyembed.torch", pyembed.torch), ("torch.nn", torch.nn))
        ],
        batches,
        written=written,
    )


def _passes(
    module: str, table: Array, sparse: bool, offsets: Ids | None, above: Array, library: Any
) -> Callable[[Any], Any]:
    """Both passes of a module of a library, which return the table's gradient."""
    torch = peers.torch()
    made = getattr(library, module).from_pretrained(
        torch.from_numpy(table), freeze=False, sparse=sparse
    )
    starts = () if offsets is None else (torch.from_numpy(offsets),)
    gradient = torch.from_numpy(above)

    def run(ids: Any) -> Any:
        made.weight.grad = None
        # Negated, it is a gradient that only the module holds, as the layer above makes it.
        (-made(ids, *starts)).backward(gradient)
        return made.weight.grad

    return run


def _array(gradient: Any) -> Array:
    dense: Array = (gradient.to_dense() if gradient.is_sparse else gradient).numpy()
    return dense
