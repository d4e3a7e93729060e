"""The memory of training besides table and moments: it should follow the batch, not the table.

Each figure comes from a fresh process, which trains every row of its table and then some batches:
its peak resident memory, less what it had before the table was made, less table and moments.
"""

from __future__ import annotations

import data
import peers
import pyembed as pe
import sides
import streams
from grid import Axes, Cell, cells
from machine import in_fresh_process, told
from options import Options
from peers.trainer import touch_every_row
from report import Report, megabytes

FULL = Axes(dims=(64,), ids=(1 << 18,), rows=(250_000, 1_000_000, 4_000_000))
SMOKE = Axes(dims=(8,), ids=(300,), rows=(97,))
STEPS = 5
SIDES = {"pyembed": sides.LAZY_ADAM, "torch SparseAdam": sides.TORCH_SPARSE_ADAM}
STATE_ARRAYS = 2  # first and second moment
HEADER = ("rows", "dim", "ids", "batch MB", "table + moments MB")


def run(options: Options) -> Report:
    sizes = [cell for cell in cells(options, FULL, SMOKE) if cell.distribution == "uniform"]
    if peak_resident_bytes() is None:
        return Report(HEADER, [], ["Peak resident memory cannot be measured on this system."])
    names = [name for name, side in SIDES.items() if side.can(1, "float32")]
    found = [
        {name: in_fresh_process(extra_bytes, name, cell, options) for name in names}
        for cell in sizes
    ]
    return Report(
        [*HEADER, *(f"{name} extra MB" for name in names)],
        [_row(cell, extra) for cell, extra in zip(sizes, found, strict=True)],
        ["extra: peak memory less table and moments.", *peers.missing(["torch"])],
        [_summary(name, sizes, [extra[name] for extra in found]) for name in names],
        [
            {"labels": cell.labels, "extra_bytes": extra, "batch_bytes": batch_bytes(cell)}
            for cell, extra in zip(sizes, found, strict=True)
        ],
    )


def extra_bytes(name: str, cell: Cell, options: Options) -> int:
    """Train here, and tell what it took besides the table and its moments."""
    pe.set_num_threads(options.threads)
    if name != "pyembed":
        peers.use_threads(options.threads)
    batches = streams.batches(cell.distribution, cell.rows, cell.ids, STEPS)
    dy = data.whole_numbers((cell.ids, cell.dim), cell.dtype)
    make = SIDES[name].make
    touch_every_row(make(1, cell.dim, cell.dtype), 1, dy)  # loads code, starts threads
    before = peak_resident_bytes()
    trainer = make(cell.rows, cell.dim, cell.dtype)
    touch_every_row(trainer, cell.rows, dy)
    for ids in batches:
        trainer.step(ids, dy)
    after = peak_resident_bytes()
    return max(0, after - before - table_and_moments(cell))  # a few pages of a small table hide


def batch_bytes(cell: Cell) -> int:
    return cell.ids * cell.row_bytes


def table_and_moments(cell: Cell) -> int:
    return (1 + STATE_ARRAYS) * cell.table_bytes


def peak_resident_bytes() -> int | None:
    """The most memory this process ever had, or None where the system does not tell.

    Linux's ``getrusage`` would count the parent's peak as the child's; its status file does not.
    """
    if peak := told("/proc/self/status", "VmHWM"):
        return int(peak.split()[0]) * 1024
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _row(cell: Cell, extra: dict[str, int]) -> list[str]:
    return [
        f"{cell.rows:,}",
        str(cell.dim),
        f"{cell.ids:,}",
        megabytes(batch_bytes(cell)),
        megabytes(table_and_moments(cell)),
        *(megabytes(count) for count in extra.values()),
    ]


def _summary(name: str, sizes: list[Cell], extra: list[int]) -> str:
    first, last = sizes[0], sizes[-1]
    return (
        f"memory of training besides table and moments, {name}: {megabytes(extra[0])} MB "
        f"at {first.rows:,} rows, {megabytes(extra[-1])} MB at {last.rows:,} rows "
        f"(a batch of rows is {megabytes(batch_bytes(last))} MB)"
    )
