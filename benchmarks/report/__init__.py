"""Tables of text, and the record of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from harness import Measurement, Timing

NOTHING = "-"


@dataclass(frozen=True)
class Report:
    """What a job found: its table, lines for the end of the run, and everything for ``--json``."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    summary: Sequence[str] = ()
    records: list[dict[str, Any]] = field(default_factory=list)

    @property
    def measurements(self) -> list[Measurement]:
        """What was timed, out of the records."""
        return [Measurement.of_record(record) for record in self.records if "timings" in record]

    def text(self) -> str:
        return "\n".join([*_aligned([self.header, *self.rows]), *self.notes])


def timed(
    measurements: Sequence[Measurement],
    summary: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Report:
    """The report of a job that times contestants: one row a case, peers side by side."""
    if not measurements:
        return Report(["nothing was timed"], [], notes)
    ours, *others = _names(measurements)
    header = [*measurements[0].labels, f"{ours} ms"]
    for name in others:
        header += [f"{name} ms", "ratio"]
    header += ["Mrows/s", "GB/s", "of copy"]
    if reads_rows := any(one.row_bytes is not None for one in measurements):
        header += ["of row reads"]
    return Report(
        header,
        [_row(one, others, reads_rows) for one in measurements],
        [_legend(measurements, ours), *notes],
        summary,
        [asdict(one) for one in measurements],
    )


def stacked(parts: Sequence[Report]) -> Report:
    """One report of several tables, one below the other."""
    first, *others = parts
    below = [line for part in others for line in ("", *part.text().splitlines())]
    return Report(
        first.header,
        first.rows,
        [*first.notes, *below],
        [line for part in parts for line in part.summary],
        [record for part in parts for record in part.records],
    )


def times(ratio: float | None) -> str:
    return NOTHING if ratio is None else f"{ratio:.2f}x"


def megabytes(count: float) -> str:
    return f"{count / 1e6:,.1f}"


def _row(one: Measurement, others: Sequence[str], reads_rows: bool) -> list[str]:
    row = [*(_label(value) for value in one.labels.values()), _spread(one.ours)]
    for name in others:
        row += [_spread(one.of(name)), times(one.ratio(name))]
    row += [
        f"{one.rows_per_second / 1e6:.1f}",
        f"{one.bytes_per_second / 1e9:.1f}",
        _share(one, one.of_copy),
    ]
    return [*row, _share(one, one.of_row_reads)] if reads_rows else row


def _share(one: Measurement, share: float | None) -> str:
    """A table in the cache is faster than memory: a share of memory's speed would say nothing."""
    if one.roof is not None and one.roof.in_cache:
        return "in cache"
    return NOTHING if share is None else f"{share:.0%}"


def _names(measurements: Sequence[Measurement]) -> list[str]:
    names = (timing.name for one in measurements for timing in one.timings)
    return list(dict.fromkeys(names))


def _legend(measurements: Sequence[Measurement], ours: str) -> str:
    tolerances = sorted({(one.rtol, one.atol) for one in measurements})
    agreed = " or ".join(
        "exactly" if not rtol and not atol else f"to rtol {rtol:g}, atol {atol:g}"
        for rtol, atol in tolerances
    )
    others = dict.fromkeys(name for one in measurements for name in one.not_compared)
    return (
        f"ms: median [quartiles]; ratio: time over that of {ours}, above 1 {ours} is faster; "
        f"rates are those of {ours}. Results were equal {agreed}"
        + (f", but for other work on purpose: {', '.join(others)}.\n" if others else ".\n")
        + _ceilings(measurements)
    )


def _ceilings(measurements: Sequence[Measurement]) -> str:
    """What the shares are of: the roofs of the cases out of the cache."""
    roofs = [one.roof for one in measurements if one.roof is not None]
    if not roofs:
        return "shares of the memory's speed were not measured."
    text = (
        f"of copy: GB/s as a share of a streaming copy's {roofs[0].copy_bytes_per_second / 1e9:.1f}"
    )
    rows = {
        one.row_bytes: one.roof.row_reads_per_second
        for one in measurements
        if one.roof is not None and one.roof.row_reads_per_second is not None
    }
    if rows:
        rates = ", ".join(f"{rate / 1e6:.1f} at {size:,} bytes" for size, rate in rows.items())
        text += (
            "; of row reads: Mrows/s as a share of prefetched reads of uniformly random rows, "
            f"{rates}; frequent rows of Zipf ids are in the cache, and may pass it"
        )
    if any(roof.in_cache for roof in roofs):
        text += "; in cache: the table is, and memory's speed does not limit it"
    return text + "."


def _spread(timing: Timing | None) -> str:
    if timing is None:
        return NOTHING
    low, high = timing.quartiles
    return f"{_ms(timing.median)} [{_ms(low)}-{_ms(high)}]"


def _ms(seconds: float) -> str:
    """Three significant digits, never fewer than a microsecond needs."""
    value = seconds * 1e3
    decimals = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 4
    return f"{value:.{decimals}f}"


def _label(value: int | str) -> str:
    return f"{value:,}" if isinstance(value, int) else value


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    return [lines[0], "-" * len(lines[0]), *lines[1:]]
