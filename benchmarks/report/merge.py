"""A report of some jobs put into one of all: it takes the place of what stood there of them."""

from __future__ import annotations

from collections.abc import Collection

from options import JOBS
from report.targets import TARGETS

TARGET_LINES, SETTINGS = "Targets", "How the peers are set"
REASONS = "### Why not"
RULE = "|---|---|---|---|---|---|\n"  # below the heads of the table of targets


def merged(old: str, new: str, jobs: Collection[str]) -> str:
    """``old``, with the sections, targets and reasons of ``jobs`` as ``new`` has them."""
    before, found = sections(old), sections(new)
    introduction, *_ = old.partition("\n## ")
    together = {
        TARGET_LINES: _targets(before.get(TARGET_LINES, ""), found[TARGET_LINES], jobs),
        SETTINGS: _settings(before.get(SETTINGS, ""), found.get(SETTINGS, "")),
        **{job: (found if job in jobs else before).get(job, "") for job in JOBS},
    }
    parts = [f"## {name}\n\n{text}" for name, text in together.items() if text]
    return "\n\n".join([introduction.strip(), *parts]) + "\n"


def sections(text: str) -> dict[str, str]:
    """What stands below each ``## heading``."""
    _, *parts = f"\n{text}".split("\n## ")
    split = (part.partition("\n") for part in parts)
    return {heading.strip(): body.strip() for heading, _, body in split}


def _targets(old: str, new: str, jobs: Collection[str]) -> str:
    head, rule, _ = new.partition(RULE)
    lines = [head + rule.rstrip(), *_chosen(_rows(old), _rows(new), jobs)]
    if reasons := _chosen(_reasons(old), _reasons(new), jobs):
        lines += ["", REASONS, "", *reasons]
    return "\n".join(lines)


def _chosen(before: dict[str, str], found: dict[str, str], jobs: Collection[str]) -> list[str]:
    """Those of the targets of ``jobs`` as they were found, the others as before."""
    of_targets = ((found if one.job in jobs else before).get(one.name) for one in TARGETS)
    return [text for text in of_targets if text is not None]


def _rows(text: str) -> dict[str, str]:
    """The lines of the table of targets, by name."""
    table = [line for line in text.partition(RULE)[2].splitlines() if line.startswith("| ")]
    cells = (line.strip("| ").split(" | ") for line in table)
    return {
        f"{what}: {beside}": line for line, (what, beside, *_) in zip(table, cells, strict=True)
    }


def _reasons(text: str) -> dict[str, str]:
    """The items below ``### Why not``, by name."""
    _, *items = text.partition(REASONS)[2].split("\n- **")
    return {item.partition(".** ")[0]: f"- **{item.strip()}" for item in items}


def _settings(old: str, new: str) -> str:
    return "\n".join(dict.fromkeys([*old.splitlines(), *new.splitlines()]))
