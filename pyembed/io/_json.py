"""JSON as files have it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from pyembed.io._errors import shown


def parsed(text: str | bytearray) -> Any:
    """Return what a text says.

    Raises
    ------
    ValueError
        If it is no JSON, nested too deeply, or has a name twice in one place: readers differ in
        which of the two counts.
    """
    try:
        return json.loads(text, object_pairs_hook=_without_repeats)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(pairs)
    if len(named) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"{shown(twice)} stands there twice")
    return named
