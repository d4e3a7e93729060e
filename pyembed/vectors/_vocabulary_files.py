"""Files of vocabularies: plain text, a word a line, or JSON."""

from __future__ import annotations

import json
import os
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyembed import _checks
from pyembed.io import _errors
from pyembed.io._json import parsed
from pyembed.io._replacing import check_regular, replacing

_FORMAT, _VERSION = "pyembed.vocabulary", 1
_BOM = "\ufeff"


def naming(path: str | os.PathLike[str]) -> AbstractContextManager[None]:
    """Let what is refused meanwhile name the file."""
    return _errors.naming(os.fsdecode(path))


def write(path: str | os.PathLike[str], state: dict[str, Any]) -> None:
    """Write a vocabulary in the format of the file's name."""
    data = _json(state) if _is_json(path) else text(state["words"])
    with replacing(path) as file:
        file.write(data)


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what a file has: its words, and of JSON all else."""
    where = os.fsdecode(path)
    check_regular(where)
    with open(where, "rb") as file:
        data = file.read()
    with naming(path):
        return _from_json(data) if _is_json(path) else {"words": _lines(data)}


def counts(state: dict[str, Any], entries: int) -> NDArray[np.int64] | None:
    """Return the counts of a file, checked."""
    numbers = state.get("counts")
    if numbers is None:
        return None
    if not isinstance(numbers, list) or len(numbers) != entries:
        raise ValueError(f"counts must be {entries} integers, one for each entry")
    if not all(type(number) is int and 0 <= number <= _checks.LARGEST for number in numbers):
        raise ValueError("counts must be integers from 0 on")
    return np.array(numbers, np.int64)


def _is_json(path: str | os.PathLike[str]) -> bool:
    return os.fsdecode(path).lower().endswith(".json")


def _json(state: dict[str, Any]) -> bytes:
    known = None if state["counts"] is None else state["counts"].tolist()
    contents = {"format": _FORMAT, "version": _VERSION, **state, "counts": known}
    return json.dumps(contents, indent=0).encode()


def _from_json(data: bytes) -> dict[str, Any]:
    try:
        contents = parsed(data.decode())
    except UnicodeDecodeError as error:
        raise ValueError(f"it is no JSON: {error}") from None
    if not isinstance(contents, dict) or contents.get("format") != _FORMAT:
        raise ValueError("it is no vocabulary of pyembed")
    if contents.get("version") != _VERSION:
        raise ValueError(f"it is of version {_errors.shown(contents.get('version'))}, not 1")
    words = contents.get("words")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError("its words must be a list of strings")
    for role in ("padding", "unknown"):
        if not isinstance(contents.get(role), (str, type(None))):
            raise ValueError(f"{role} must be a string or null")
    if not isinstance(contents.get("frozen"), bool):
        raise ValueError("frozen must be true or false")
    return {key: contents.get(key) for key in ("words", "padding", "unknown", "frozen", "counts")}


def text(words: list[str]) -> bytes:
    """Return the lines of a text file, a word each."""
    for place, word in enumerate(words):
        if word == "" or "\n" in word or "\r" in word or (place == 0 and word[0] == _BOM):
            raise ValueError(f"{word!r} cannot be a line of text: save to a name with .json")
    try:
        return "".join(f"{word}\n" for word in words).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"a word cannot be written as text ({error}): save with .json") from None


def _lines(data: bytes) -> list[str]:
    """Return the words of a text; of a repeated or an empty one, the line is told."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        before = data.count(b"\n", 0, error.start)
        raise ValueError(f"line {before + 1} is no valid UTF-8") from None
    lines = text.removeprefix(_BOM).split("\n")
    if lines[-1] == "":
        lines.pop()
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        word = line.removesuffix("\r")
        if word == "":
            raise ValueError(f"line {number} is empty")
        if seen.setdefault(word, number) != number:
            raise ValueError(f"line {number} has the word of line {seen[word]}, {word!r}")
    return list(seen)
