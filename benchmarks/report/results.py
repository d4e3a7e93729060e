"""RESULTS.md and its figures, of what ``python benchmarks --report`` ran.

What was measured is kept with ``--json``, from which ``--from`` writes the same report again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import machine
from options import JOBS
from report import NOTHING, Report, figures, merge, scaling
from report.ratios import Figures
from report.targets import TARGETS, Goal, Target, at

NOTES = Path(__file__).with_name("notes.md")
FIGURES = "figures"
SCALING = "sharding-ranks.svg"
LONG = 12  # rows of a table that is folded away


@dataclass(frozen=True)
class Done:
    """A part of the plan, and what it found."""

    job: str
    title: str
    axis: str | None
    sweep: bool
    seconds: float  # that it took
    report: Report


def save(path: Path, facts: dict[str, object], parts: Sequence[Done]) -> None:
    """Every single time, and all else that ``load`` needs."""
    contents = {"machine": facts, "parts": [asdict(part) for part in parts]}
    path.write_text(json.dumps(contents, indent=1, default=str) + "\n")


def load(path: Path) -> tuple[dict[str, Any], list[Done]]:
    """What ``save`` saved."""
    contents = json.loads(path.read_text())
    parts = [Done(**{**part, "report": Report(**part["report"])}) for part in contents["parts"]]
    return contents["machine"], parts


def write(
    folder: Path, facts: dict[str, Any], parts: Sequence[Done], only: Sequence[str] = ()
) -> None:
    """RESULTS.md, and figures beside it. ``only`` names the jobs that are measured anew.

    Without it, all of an earlier report goes.
    """
    pictures = folder / FIGURES
    pictures.mkdir(parents=True, exist_ok=True)
    drawn = _draw(pictures, parts)
    path = folder / "RESULTS.md"
    if only and path.exists():
        written = merge.merged(
            path.read_text(), _document(facts, parts, drawn, _dated(facts)), only
        )
    else:
        written = _document(facts, parts, drawn)
    path.write_text(written)
    for old in pictures.glob("*.svg"):
        if f"({FIGURES}/{old.name})" not in written:
            old.unlink()


def _document(
    facts: dict[str, Any], parts: Sequence[Done], drawn: dict[str, Done], dated: str = ""
) -> str:
    """The whole report; ``dated`` stands in each job's section."""
    sections = [
        _introduction(facts, sum(part.seconds for part in parts)),
        _targets(parts),
        _reasons(parts),
        _settings(facts),
    ]
    for job in dict.fromkeys(part.job for part in parts):
        sections.append(_section(job, parts, drawn, dated))
    return "\n\n".join(filter(None, sections)) + "\n"


def plot(folder: Path, parts: Sequence[Done]) -> None:
    """The figures of jobs run on their own, along each axis with more than one size."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in parts:
        if _is_scaled(part):
            scaling.draw(folder / SCALING, part.report)
            continue
        for axis in figures.swept(part.report.measurements):
            if shown := figures.panels(part.report.measurements, axis):
                path = folder / f"{part.job}-{axis}.svg"
                figures.draw(path, shown, axis, f"{part.job}: {JOBS[part.job]}")


def _draw(folder: Path, parts: Sequence[Done]) -> dict[str, Done]:
    """One figure for all sweeps of a job along one axis, by file name, with the first of them."""
    drawn: dict[str, Done] = {}
    shown: dict[str, list[figures.Panel]] = {}
    for part in parts:
        if part.axis is not None:
            name = f"{part.job}-{part.axis}.svg"
            drawn.setdefault(name, part)
            title = part.title if part.axis == "dim" else ""
            found = figures.panels(part.report.measurements, part.axis, title)
            shown.setdefault(name, []).extend(found)
    pictures = {name: part for name, part in drawn.items() if shown[name]}
    if (scaled := next(filter(_is_scaled, parts), None)) is not None:
        pictures[SCALING] = scaled
        scaling.draw(folder / SCALING, scaled.report)
    for name, panels in shown.items():
        if panels:
            axis = drawn[name].axis or ""
            heading = f"{drawn[name].job}: time against {figures.AXES[axis]}"
            figures.draw(folder / name, panels, axis, heading)
    return pictures


def _is_scaled(part: Done) -> bool:
    return part.job == "sharding" and bool(part.report.records)


def _dated(facts: dict[str, Any]) -> str:
    """When a job was measured anew, and where."""
    return f"Measured anew on {facts['date'][:10]}:\n\n```text\n{machine.heading(facts)}\n```"


def _introduction(facts: dict[str, Any], seconds: float) -> str:
    sittings = ", in several sittings" if facts.get("resumed") else ""
    return f"""# Results

Written by `python benchmarks --report` on {facts["date"][:10]}, in {seconds / 60:.0f}
minutes{sittings}; not edited by hand.

```text
{machine.heading(facts)}
```

Both sides computed the same first, were warm, and took turns; each time is the median of
3 to {facts["repeat"]} timed repetitions, with fresh ids in each. A ratio is a peer's time over
ours, in the same run: above 1, pyembed is faster. Shares are of what memory did just after, with
loops of `benchmarks/roofline.cpp`."""


def _targets(parts: Sequence[Done]) -> str:
    lines = [
        f"## {merge.TARGET_LINES}",
        "",
        "Worst cases, uniform / Zipf ids, beside peers as they are installed: PyTorch and FBGEMM "
        "ask for huge pages only where THP_MEM_ALLOC_ENABLE=1 tells them to, which has tables of "
        "its own below. A cell without a figure was not measured; its section says why.",
        "",
        "| what | beside | target | stretch | measured | |",
        merge.RULE.rstrip(),
    ]
    for target in TARGETS:
        found = read(target, parts)
        cells = [
            f"{target.what}",
            target.beside,
            _goal(target, target.goal),
            _goal(target, target.stretch),
            " / ".join(target.style.format(figure) for figure in found.values()) or NOTHING,
            verdict(target, found),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def read(target: Target, parts: Sequence[Done]) -> Figures:
    """The figures of a target, off the first part of its job that has some, and is no sweep."""
    of_job = [part.report for part in parts if part.job == target.job and not part.sweep]
    return next((found for report in of_job if (found := target.read(report))), {})


def verdict(target: Target, found: Figures) -> str:
    if not found:
        return "not measured"
    if target.reached(found, target.stretch):
        return "**stretch reached**"
    return "**reached**" if target.reached(found, target.goal) else "not reached"


def _goal(target: Target, goal: Goal | None) -> str:
    if goal is None:
        return ""
    distributions = goal if isinstance(goal, dict) else ("",)
    sign = "≤" if target.at_most else "≥"
    style = target.style.replace(".2f", "g")
    return f"{sign} " + " / ".join(style.format(at(goal, kind)) for kind in distributions)


def _reasons(parts: Sequence[Done]) -> str:
    """What the notes say on each target that is not reached."""
    written = merge.sections(NOTES.read_text())
    lines = [
        f"- **{target.name}.** {written.get(target.name, 'No note yet.')}"
        for target in TARGETS
        if (found := read(target, parts)) and not target.reached(found, target.goal)
    ]
    return "\n".join([merge.REASONS, "", *lines]) if lines else ""


def _settings(facts: dict[str, Any]) -> str:
    lines = [f"- {name}: {text}" for name, text in facts.get("settings", {}).items()]
    return "\n".join([f"## {merge.SETTINGS}", "", *lines]) if lines else ""


def _section(job: str, parts: Sequence[Done], drawn: dict[str, Done], dated: str) -> str:
    pieces = [f"## {job}", f"{JOBS[job][0].upper()}{JOBS[job][1:]}.", *([dated] if dated else [])]
    pieces += [
        f"![{job} along {part.axis or 'ranks'}]({FIGURES}/{name})"
        for name, part in drawn.items()
        if part.job == job
    ]
    pieces += [_table(part) for part in parts if part.job == job]
    return "\n\n".join(pieces)


def _table(part: Done) -> str:
    table = f"```text\n{part.report.text()}\n```"
    if part.axis is None and len(part.report.rows) <= LONG:
        return f"{part.title}\n\n{table}"
    along = f", along {figures.AXES[part.axis]}" if part.axis else ""
    count = f"{len(part.report.rows)} cases"
    return f"<details>\n<summary>{part.title}{along}: {count}</summary>\n\n{table}\n\n</details>"
