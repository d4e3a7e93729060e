"""The cells of a job: every combination of row width, ids a call, table size and distribution."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from data import Ids
from harness import Case, Contestant, Match
from options import USUAL_DISTRIBUTIONS, Options

TABLE_BYTES = {"cache": 1 << 20, "memory": 1 << 30}


@dataclass(frozen=True)
class Axes:
    """The values that one job goes through where the command line gives none."""

    dims: tuple[int, ...]
    ids: tuple[int, ...]
    rows: tuple[int | str, ...]
    distributions: tuple[str, ...] = USUAL_DISTRIBUTIONS


# The size at which training speed is quoted, and the one at which only results are checked.
TRAINING = Axes(dims=(64,), ids=(1 << 18,), rows=(4_000_000,))
SMOKE = Axes(dims=(3, 64), ids=(1, 300), rows=(97,))


@dataclass(frozen=True)
class Cell:
    """One combination: ids are (ids,), the table is (rows, dim)."""

    dim: int
    ids: int
    table: int | str
    distribution: str
    dtype: str

    @property
    def row_bytes(self) -> int:
        return self.dim * np.dtype(self.dtype).itemsize

    @property
    def rows(self) -> int:
        if isinstance(self.table, int):
            return self.table
        return max(1, TABLE_BYTES[self.table] // self.row_bytes)

    @property
    def table_bytes(self) -> int:
        return self.rows * self.row_bytes

    @property
    def labels(self) -> dict[str, int | str]:
        return {
            "dim": self.dim,
            "ids": self.ids,
            "table": self.table,
            "distribution": self.distribution,
        }

    def match(
        self, contestants: Iterable[Contestant], batches: Sequence[Ids], written: int, **more: Any
    ) -> Match:
        """One of contestants that read the ids and their rows, and move ``written`` bytes more."""
        read = self.ids * (self.row_bytes + np.dtype(np.int64).itemsize)
        return Match(
            list(contestants),
            batches=len(batches),
            rows=self.ids,
            bytes=read + written,
            memory=self.table_bytes,
            **more,
        )


def cells(options: Options, full: Axes = TRAINING, smoke: Axes = SMOKE) -> list[Cell]:
    """The cells of a run; tables in the outer loops, so that consecutive cells share them."""
    axes = smoke if options.smoke else full
    return [
        Cell(dim, ids, table, distribution, options.dtype)
        for dim, table, distribution, ids in product(
            options.dims or axes.dims,
            options.rows or axes.rows,
            options.distributions or axes.distributions,
            options.ids or axes.ids,
        )
    ]


def cases(
    options: Options,
    build: Callable[[Cell], Match],
    full: Axes = TRAINING,
    smoke: Axes = SMOKE,
    **labels: int | str,
) -> list[Case]:
    """The cells of a run as cases, with labels of their own."""
    return [
        Case({**cell.labels, **labels}, partial(build, cell))
        for cell in cells(options, full, smoke)
    ]
