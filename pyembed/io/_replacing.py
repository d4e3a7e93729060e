"""Files that are replaced as a whole or not at all."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from typing import BinaryIO


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of `path` once all of it is on the disk.

    It is written beside `path` and renamed at the end: whenever the process or the machine stops,
    `path` is the old file or the new one. Whatever is raised meanwhile, the old file stays and the
    new one is removed.

    Raises
    ------
    OSError
        If the system refuses something.
    """
    target = os.path.realpath(os.fsdecode(path))  # a link stays a link
    folder, name = os.path.split(target)
    beside = os.path.join(folder, f".{name}.{secrets.token_hex(8)}.tmp")
    try:
        with open(beside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        raise
    _sync_folder(folder)


def _sync_folder(folder: str) -> None:
    """Put the folder's names on the disk, where the system can: a rename is lost otherwise."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
