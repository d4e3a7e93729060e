"""The bytes of a file of word vectors: plain, compressed by gzip, or a member of a zip file."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from pyembed.io._errors import naming
from pyembed.io._replacing import check_regular

if TYPE_CHECKING:
    import zipfile

HEAD = 1 << 20  # bytes that the format is told by
_SECONDS = 3.0  # after which progress is shown
_REST = 0.2  # seconds between two times

shows_progress = True  # on a terminal


class Source:
    """Bytes that are read once, from the first to the last.

    Attributes
    ----------
    name : str
        What errors call it.
    size : int
        How many bytes there are, or 0 where that is not known.
    likely_size : int
        How many there may be, or 0.
    is_plain : bool
        Whether the file itself has them.
    head : bytes
        The first ones, which are read as well.
    """

    def __init__(
        self, name: str, file: IO[bytes], raw: BinaryIO, size: int = 0, likely_size: int = 0
    ) -> None:
        self.name = name
        self.size = size
        self.likely_size = size or likely_size
        self.is_plain = file is raw
        self._file = file
        self._raw = raw  # the file on the disk, for progress
        self._raw_size = os.fstat(raw.fileno()).st_size
        self._began = time.monotonic()
        self._shown = 0.0
        self.head = self._read(HEAD)
        self._ahead = memoryview(self.head)

    def skip(self, count: int) -> None:
        """Leave out the first bytes of the head."""
        self._ahead = self._ahead[count:]

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer, or as much of it as there is; 0 at the end."""
        if self._ahead:
            count = min(len(buffer), len(self._ahead))
            buffer[:count] = self._ahead[:count]
            self._ahead = self._ahead[count:]
            return count
        self._show()
        with _telling_damage():
            return cast(int, self._file.readinto(buffer))  # type: ignore[attr-defined]

    def read(self, count: int) -> bytes:
        """Return the next bytes, fewer than asked for at the end alone."""
        parts = [bytes(self._ahead[:count])]
        self._ahead = self._ahead[count:]
        parts.append(self._read(count - len(parts[0])))
        return b"".join(parts)

    def unread(self, data: bytes) -> None:
        """Put bytes back, to be read again."""
        self._ahead = memoryview(data + bytes(self._ahead))

    def feed(self, take: Callable[[memoryview, bool], int | None], window: int) -> bool:
        """Give all of the file to a function, and what it left of each piece with the next.

        Parameters
        ----------
        take : callable
            Of bytes, and whether nothing follows them, to how many of them are done; None: no more
            are wanted.
        window : int
            The most bytes that are given at once.

        Returns
        -------
        bool
            False if so many bytes were given and none were done.
        """
        view = np.empty(min(window, self.size + 1) if self.size else window, np.uint8).data
        held = 0
        while True:
            more = self.readinto(view[held:])
            held += more
            if more and held < len(view):
                continue  # a file that is compressed comes in small pieces
            used = take(view[:held], more == 0)
            if more == 0 or used is None:
                return True
            rest = bytes(view[used:held])
            if len(rest) == len(view):
                return False
            view[: len(rest)] = rest
            held = len(rest)

    def _read(self, count: int) -> bytes:
        """Return so many bytes: one call of the file's may return fewer."""
        parts, left = [], count
        while left > 0:
            with _telling_damage():
                part = self._file.read(min(left, 1 << 24))
            if not part:
                break
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def _show(self) -> None:
        """Show on a terminal how far it has come, if that takes long."""
        now = time.monotonic()
        if not shows_progress or now - self._began < _SECONDS or now - self._shown < _REST:
            return
        if not sys.stderr.isatty():
            return
        self._shown = now
        share = self._raw.tell() / max(self._raw_size, 1)
        print(f"\r{os.path.basename(self.name)}: {share:4.0%} read", end="", file=sys.stderr)

    def done(self) -> None:
        """Leave no line of progress behind."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr)


@contextmanager
def _telling_damage() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if isinstance(error, _damage()):
            raise ValueError(f"it is damaged or cut short: {error}") from None
        raise


def _damage() -> tuple[type[Exception], ...]:
    """Return what the readers of compressed files raise; these are imported when one is read."""
    import gzip
    import lzma
    import struct
    import zipfile
    import zlib

    return (
        *(EOFError, zlib.error, lzma.LZMAError, struct.error),
        *(zipfile.BadZipFile, gzip.BadGzipFile, NotImplementedError),
    )


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Source]:
    """Open a file, and take off its compression; whatever is refused meanwhile names it.

    The member of a zip file is named by ``path/to/file.zip/member``; where there is one alone, by
    the file.

    Raises
    ------
    OSError
        If it cannot be read, or is no regular file.
    ValueError
        If it is damaged, or a zip file of several members, or of none that is asked for.
    """
    given = os.fsdecode(path)
    where, member = _split(given)
    check_regular(where)  # or opening it might wait for ever
    with open(where, "rb", buffering=0) as raw, naming(given):
        magic = raw.read(4)
        raw.seek(0)
        if member is not None and magic[:2] != b"PK":
            raise ValueError("its folder is no folder and no zip file")
        with _uncompressed(given, raw, magic, member) as source:
            try:
                yield source
            finally:
                source.done()


@contextmanager
def _uncompressed(given: str, raw: Any, magic: bytes, member: str | None) -> Iterator[Source]:
    import gzip
    import zipfile

    if magic[:2] == b"\x1f\x8b":
        with gzip.GzipFile(fileobj=raw) as file:
            yield Source(given, cast(IO[bytes], file), raw, likely_size=_size_of_gzip(raw))
    elif magic == b"PK\x03\x04" or magic == b"PK\x05\x06":
        with _telling_damage(), zipfile.ZipFile(raw) as archive:
            info = _member(archive, member)
            if info.flag_bits & 1:
                raise ValueError(f"its member {info.filename!r} has a password")
            with archive.open(info) as file:
                yield Source(given, file, raw, info.file_size)
    else:
        yield Source(given, raw, raw, os.fstat(raw.fileno()).st_size)


def _split(path: str) -> tuple[str, str | None]:
    """Return the file that a path leads to, and the member of it that is meant."""
    if os.path.lexists(path):
        return path, None
    folder, member = os.path.split(path)
    while folder and not os.path.lexists(folder) and os.path.split(folder)[0] != folder:
        folder, name = os.path.split(folder)
        member = f"{name}/{member}"
    return (folder, member) if os.path.isfile(folder) else (path, None)


def _member(archive: zipfile.ZipFile, wanted: str | None) -> zipfile.ZipInfo:
    members = [info for info in archive.infolist() if info.filename[-1:] not in ("", "/")]
    names = [info.filename for info in members]
    if any(name.endswith("data.pkl") for name in names):
        raise ValueError("it is a file of PyTorch's: save its matrix with numpy.save instead")
    if wanted is not None:
        if wanted not in names:
            raise ValueError(f"the zip file has no member {wanted!r}, but {_listed(names)}")
        return members[names.index(wanted)]
    if len(members) != 1:
        raise ValueError(
            f"the zip file has {len(members)} members, {_listed(names)}: name one behind the "
            "file, as in 'file.zip/member'"
        )
    return members[0]


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name[:100]) for name in names[:10])
    return shown + (", …" if len(names) > 10 else "")


def _size_of_gzip(raw: Any) -> int:
    """Return what a file says of its size: of its last part, and of that the lowest 32 bits."""
    size = os.fstat(raw.fileno()).st_size
    if size < 18:
        return 0
    raw.seek(-4, os.SEEK_END)
    told = int.from_bytes(raw.read(4), "little")
    raw.seek(0)
    return told if told < 1000 * size else 0
