"""Command lines: help with an example, and one line for what is wrong."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """A parser that tells what is wrong in one line, and takes no shortened options.

    Parameters
    ----------
    about : str or None
        What stands above the arguments; all but its first line stands below.
    **others
        As in `argparse.ArgumentParser`.
    """

    def __init__(self, *, about: str | None, **others: str) -> None:
        description, _, rest = (about or "").partition("\n")
        super().__init__(
            description=description,
            epilog=rest.strip("\n"),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            **others,  # type: ignore[arg-type]
        )

    def error(self, message: str) -> NoReturn:
        """End the process with status 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def nearest(name: str, names: Iterable[str]) -> str:
    """Return a question whether another name was meant, or nothing."""
    from difflib import get_close_matches

    found = get_close_matches(name, list(names), 1)
    return f": did you mean {found[0]!r}?" if found else ""
