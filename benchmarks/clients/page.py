"""What was found, as lines for a terminal, and as a page of the docs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from client import client
from match import Found

NOTHING = "-"
TEMPLATE = Path(__file__).with_name("page.md")
PACKAGES = ("torch", "torch_geometric", "pykeen", "deepctr-torch")


def line(found: Found) -> str:
    whole, step = (f"{_ms(times)}, {_ratio(times)}x" for times in (found.whole, found.step))
    return (
        f"{client(found.client).title:<27} losses {_apart(found)}; ms, torch / pyembed: "
        f"step {step}; whole {whole}"
    )


def page(found: Sequence[Found], threads: int, rounds: int) -> str:
    versions = (f"{name} {version}" for name in PACKAGES if (version := _version(name)))
    return TEMPLATE.read_text(encoding="utf-8").format(
        rows="\n".join(map(_row, found)),
        versions=", ".join(versions),
        threads=f"{threads} thread{'s' if threads > 1 else ''}",
        rounds=rounds,
    )


def _row(found: Found) -> str:
    its = client(found.client)
    is_ours = its.gradients == "sparse"
    step = (_ms(found.step), _ratio(found.step)) if is_ours else ("torch's `Adam`", NOTHING)
    cells = (its.title, its.about, _apart(found), *step, _ms(found.whole), _ratio(found.whole))
    return f"| {' | '.join(cells)} |"


def _apart(found: Found) -> str:
    return "equal to the bit" if found.apart == 0.0 else f"within {found.apart:.0e}"


def _ms(seconds: dict[str, float]) -> str:
    """Milliseconds of both sides, in three digits."""
    both = (1e3 * one for one in seconds.values())
    return " / ".join(f"{one:,.3g}" if one < 1e3 else f"{one:,.0f}" for one in both)


def _ratio(seconds: dict[str, float]) -> str:
    return f"{seconds['torch'] / seconds['pyembed']:.2f}"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
