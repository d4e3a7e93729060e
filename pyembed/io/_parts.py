"""The files that several ranks write for one checkpoint, each with the rows that it has.

They lie beside the index, the file that the user names, under names that no save uses twice:
``words-1f2e3d4c5b6a7988-0-of-4.safetensors``. Nothing refers to them until the index is renamed
into its place.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re

from pyembed.io._replacing import leftovers_of

PART_KEY = "pyembed_part"  # of the metadata of a part


def part_names(index: str, token: int, ranks: int) -> list[str]:
    """Return the names of the parts of an index that a save makes, which has drawn the token."""
    stem, end = os.path.splitext(os.path.basename(index))
    return [f"{stem}-{token:016x}-{rank}-of-{ranks}{end}" for rank in range(ranks)]


def part_label(names: list[str], number: int) -> str:
    """Return what a part says of itself: the index that names it can be called anything."""
    return json.dumps({"name": names[number], "number": number, "parts": len(names)})


def remove_others(index: str, names: list[str]) -> None:
    """Remove the parts of former saves, and what killed ones left, as far as the system allows.

    Parameters
    ----------
    index : str
        No link, and in its place.
    names : list of str
        The parts that it refers to.
    """
    folder, name = os.path.split(index)
    stem, end = map(re.escape, os.path.splitext(name))
    is_part = re.compile(rf"{stem}-[0-9a-f]{{16}}-\d+-of-\d+{end}").fullmatch
    found = [other for other in _listed(folder) if is_part(other) and other not in names]
    remove(folder, found + (leftovers_of(name, _listed(folder)) if names else []))


def parts_with(rows: range, parts: int) -> range:
    """Return the numbers of those parts that have any of these rows of a table."""
    divisor = math.gcd(rows.step, parts)
    return range(rows.start % divisor, parts, divisor)


def remove(folder: str, names: list[str]) -> None:
    """Remove files, as far as they are there and the system allows."""
    for name in names:
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(folder, name))


def common_rows(here: range, there: range) -> tuple[slice, slice]:
    """Return where the numbers that two ranges have in common are in the one, and in the other.

    Parameters
    ----------
    here, there : range
        Rows of one table: both go to its end, and begin within their first step.
    """
    divisor = math.gcd(here.step, there.step)
    apart, rest = divmod(there.start - here.start, divisor)
    if rest:
        return slice(0), slice(0)
    period = there.step // divisor
    at = apart * pow(here.step // divisor, -1, period) % period
    at_there = (here.start + here.step * at - there.start) // there.step
    return slice(at, None, period), slice(at_there, None, here.step // divisor)


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:  # a folder may be written, but not read
        return []
