"""Numbers of any count, in a bounded part of the memory."""

from __future__ import annotations

import tempfile
from typing import IO

import numpy as np
from numpy.typing import NDArray

_IN_MEMORY = 256 << 20  # bytes


class Numbers:
    """Integers of 32 bits, one array after the other.

    What is more than 256 MiB goes to a temporary file, in the folder that `tempfile` finds
    (``TMPDIR`` names another).
    """

    def __init__(self) -> None:
        self._parts: list[NDArray[np.int32]] = []
        self._bytes = 0
        self._file: IO[bytes] | None = None

    def append(self, part: NDArray[np.int32]) -> None:
        """Put some behind those that are there."""
        self._parts.append(part)
        self._bytes += part.nbytes
        if self._bytes > _IN_MEMORY:
            self._write()

    def _write(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="pyembed-")  # noqa: SIM115
        for part in self._parts:
            self._file.write(part.data)
        self._parts = []
        self._bytes = 0

    def all(self) -> NDArray[np.int32]:
        """Return them; a map of the file, which is gone with it, where there is one."""
        if self._file is None:
            return np.concatenate([np.empty(0, np.int32), *self._parts])
        self._write()
        self._file.flush()
        return np.asarray(np.memmap(self._file, np.int32, "r"))

    def close(self) -> None:
        """Close the file; a map of it stays."""
        if self._file is not None:
            self._file.close()
