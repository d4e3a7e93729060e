"""Tables of text, and the record of a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from harness import Measurement, Timing

NOTHING = "-"


@dataclass(frozen=True)
class Report:
    """What a job found: its table, lines for the end of the run, and everything for ``--json``."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    summary: Sequence[str] = ()
    records: list[dict[str, object]] = field(default_factory=list)

    def text(self) -> str:
        return "\n".join([*_aligned([self.header, *self.rows]), *self.notes])


def timed(
    measurements: Sequence[Measurement],
    copy_bytes_per_second: float,
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
    return Report(
        header,
        [_row(one, others, copy_bytes_per_second) for one in measurements],
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


def write_json(path: Path, machine: dict[str, object], reports: dict[str, Report]) -> None:
    """Every sample of every contestant, with the machine that they were taken on."""
    jobs = {name: report.records for name, report in reports.items()}
    path.write_text(json.dumps({"machine": machine, "jobs": jobs}, indent=1, default=str) + "\n")


def times(ratio: float | None) -> str:
    return NOTHING if ratio is None else f"{ratio:.2f}x"


def megabytes(count: float) -> str:
    return f"{count / 1e6:,.1f}"


def _row(one: Measurement, others: Sequence[str], copy_bytes_per_second: float) -> list[str]:
    seconds = one.ours.median
    row = [*(_label(value) for value in one.labels.values()), _spread(one.ours)]
    for name in others:
        row += [_spread(one.of(name)), times(one.ratio(name))]
    row += [
        f"{one.rows / seconds / 1e6:.1f}",
        f"{one.bytes / seconds / 1e9:.1f}",
        f"{one.bytes / seconds / copy_bytes_per_second:.0%}",
    ]
    return row


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
        + (f", but for other work on purpose: {', '.join(others)}." if others else ".")
    )


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
