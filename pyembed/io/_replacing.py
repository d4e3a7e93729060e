"""Files that are replaced as a whole or not at all."""

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

_REPEATED = 100  # bytes of a name, in that of the file beside it: systems allow 143 or more


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of `path` once all of it is on the disk.

    It is written beside `path` and renamed at the end: whenever the process or the machine stops,
    `path` is the old file or the new one. Whatever is raised meanwhile, the old file stays and the
    new one is removed. The new one has the old one's mode.

    Raises
    ------
    OSError
        If the system refuses something, or `path` is there and no regular file.
    """
    target, mode = replaced(path)
    folder, name = os.path.split(target)
    beside = os.path.join(folder, f".{_beginning(name)}.{secrets.token_hex(8)}.tmp")
    try:
        with _created(beside, mode) as file:
            yield file
        os.replace(beside, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
    _sync_folder(folder)


@contextlib.contextmanager
def creating(path: str, mode: int | None) -> Iterator[BinaryIO]:
    """Open a new file, which is on the disk at the end, and is removed if anything is raised.

    Raises
    ------
    OSError
        If the system refuses something.
    """
    try:
        with _created(path, mode) as file:
            yield file
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise
    _sync_folder(os.path.dirname(path))


def replaced(path: str | os.PathLike[str]) -> tuple[str, int | None]:
    """Return the file that `replacing` replaces, and its mode where there is one.

    Raises
    ------
    OSError
        If it is no regular file.
    """
    given = os.fsdecode(path)
    if not os.path.basename(given):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), given)
    target = os.path.realpath(given)  # a link stays a link
    return target, _mode(target)


def leftovers_of(name: str, names: Iterable[str]) -> list[str]:
    """Return the names of those files that killed processes left when they replaced `name`."""
    is_one = re.compile(rf"\.{re.escape(_beginning(name))}\.[0-9a-f]{{16}}\.tmp").fullmatch
    return [other for other in names if is_one(other)]


@contextlib.contextmanager
def _created(path: str, mode: int | None) -> Iterator[BinaryIO]:
    """Open a new file with a mode, and put it on the disk at the end."""
    with open(path, "xb", opener=_opener(mode)) as file:
        if mode is not None:
            with contextlib.suppress(OSError):  # where files have no modes of their own
                os.chmod(path, mode)
        yield file
        file.flush()
        os.fsync(file.fileno())


def check_regular(path: str) -> os.stat_result:
    """Return the status of a regular file, or of the one that a link leads to.

    Raises
    ------
    OSError
        If it is something else, or not there.
    """
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", path)
    return status


def _mode(target: str) -> int | None:
    """Return the mode of the file that is replaced, or None where there is none."""
    try:
        return stat.S_IMODE(check_regular(target).st_mode) & 0o777
    except FileNotFoundError:
        return None


def _opener(mode: int | None) -> Callable[[str, int], int]:
    """Let nobody else read a new file that is to have a mode before it has it."""
    return lambda path, flags: os.open(path, flags, 0o666 if mode is None else 0o600)


def _beginning(name: str) -> str:
    """Return as much of a name as the file beside it repeats."""
    while len(os.fsencode(name)) > _REPEATED:
        name = name[:-1]
    return name


def _sync_folder(folder: str) -> None:
    """Put the folder's names on the disk, where the system can: a rename is lost otherwise.

    The new file is in its place: what fails here, as in a folder that may not be read, is no reason
    to say that it is not.
    """
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
