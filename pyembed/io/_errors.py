"""What errors say of a file. Its entries may be damaged, and of any size: they are cut short."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

_SHOWN = 200  # characters of an entry
_TOLD = 500  # characters of what others say of one


def short(text: str) -> str:
    """Return the text, or its beginning."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def shown(value: Any) -> str:
    """Return the `repr` of an entry, or its beginning."""
    try:
        return short(repr(value))
    except RecursionError:
        return f"a {type(value).__name__} that is nested too deeply"


@contextlib.contextmanager
def naming(where: str) -> Iterator[None]:
    """Let what is refused meanwhile say where: as a TypeError, or else a ValueError."""
    try:
        yield
    except (KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        refused = kind(f"{where}: {_told(error)}")
        # A traceback prints all of what led there.
        raise refused from (None if _is_long(error) else error)


def _told(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    text = f"the file has no {error}" if isinstance(error, KeyError) else str(error)
    if len(text) <= _TOLD:
        return text
    return f"{text[: _TOLD // 2]} … {text[-_TOLD // 2 :]}"


def _is_long(error: BaseException | None) -> bool:
    while error is not None:
        if len(str(error)) > 2 * _TOLD:
            return True
        error = error.__cause__ or error.__context__
    return False
