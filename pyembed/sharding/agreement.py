"""Ranks that go on together, or not at all."""

from __future__ import annotations

import builtins
import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyembed.sharding.communicator import Communicator

_Result = TypeVar("_Result")

_FAILED = -1
_NUMBER_BITS = 40  # of what is sent; above are those that tell what a rank is doing
_TABLE_BITS = 20
_KINDS = ("an agreement", "a lookup", "a prefetch", "a step or a norm", "a call that names rows")


@dataclasses.dataclass(frozen=True)
class Doing:
    """What ranks do together: it goes with the numbers that they exchange first.

    Parameters
    ----------
    kind : str
        One of `_KINDS`.
    table : int
        The number of the table, or of the first one.
    """

    kind: str = "an agreement"
    table: int = 0

    @property
    def tag(self) -> int:
        """A number for it."""
        return _KINDS.index(self.kind) << _TABLE_BITS | self.table % (1 << _TABLE_BITS)

    @classmethod
    def of_tag(cls, tag: int) -> Doing:
        """Return what has this number."""
        return cls(_KINDS[tag >> _TABLE_BITS], tag % (1 << _TABLE_BITS))

    def __str__(self) -> str:
        return self.kind if self == AGREEING else f"{self.kind} of table {self.table}"


AGREEING = Doing()


def exchanged(
    comm: Communicator,
    prepare: Callable[[], tuple[_Result, NDArray[np.int64]]],
    doing: Doing = AGREEING,
    width: int = 1,
) -> tuple[_Result, NDArray[np.int64]]:
    """Return ``prepare()``'s result, and the numbers that all ranks' prepared for this one.

    Parameters
    ----------
    comm : Communicator
    prepare : callable
        Its result, and numbers (size, width), row r for rank r; from 0 to 2**40 - 1 in the first
        column.
    doing : Doing
        What the numbers are for.
    width : int

    Raises
    ------
    Exception
        On all ranks, where it raises on one: of the same type, with a message that names the rank.
    RuntimeError
        On all ranks, where they are not all doing the same.
    """
    error = None
    try:
        prepared, sent = prepare()
    except BaseException as raised:
        if comm.size == 1:
            raise
        error, sent = raised, np.full((comm.size, width), _FAILED, np.int64)
    first = sent[:, 0] if error is not None else sent[:, 0] | doing.tag << _NUMBER_BITS
    came = counts(comm, first)
    failed = came == _FAILED
    if failed.any():
        raise_everywhere(comm, error, int(np.argmax(failed)))
    _check_all_do(doing, comm.rank, came >> _NUMBER_BITS)
    if width == 1:
        return prepared, (came & (1 << _NUMBER_BITS) - 1).reshape(-1, 1)
    return prepared, _swapped(comm, sent)


def _check_all_do(doing: Doing, own_rank: int, tags: NDArray[np.int64]) -> None:
    """Raise RuntimeError where the ranks' tags are not all the one of this rank's."""
    others = np.flatnonzero(tags != doing.tag)
    if len(others):
        rank = int(others[0])
        raise RuntimeError(
            f"rank {own_rank} is in {doing}, but rank {rank} in {Doing.of_tag(int(tags[rank]))}: "
            "all ranks must make the same calls in the same order"
        )


def agreed(comm: Communicator, body: Callable[[], _Result]) -> _Result:
    """Return ``body()`` once no rank's has raised; else raise that on all of them."""
    return exchanged(comm, lambda: (body(), np.zeros((comm.size, 1), np.int64)))[0]


def refuse(comm: Communicator, error: BaseException) -> NoReturn:
    """Raise an error on all ranks, which are in `exchanged` or `agreed`."""

    def body() -> None:
        raise error

    agreed(comm, body)
    raise error


def _swapped(comm: Communicator, sent: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return numbers (size, width), row r from rank r, for those that go to each rank."""
    received = np.empty_like(sent)
    ones = np.ones(comm.size, np.int64)
    comm.alltoallv(sent, ones, received, ones)
    return received


def counts(comm: Communicator, sent: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return one number from each rank, for those that go to each."""
    return np.asarray(comm.counts(np.ascontiguousarray(sent)), np.int64)


def of_others(comm: Communicator, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return counts without that of a rank's own, which need no engine to be carried."""
    others = np.array(numbers, np.int64)
    others[comm.rank] = 0
    return others


def apart(
    comm: Communicator, rows: NDArray[Any], numbers: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the rows that are sent, and a rank's own, which lie behind them."""
    sent = len(rows) - int(numbers[comm.rank])
    return rows[:sent], rows[sent:]


def gathered(comm: Communicator, array: NDArray[Any]) -> NDArray[Any]:
    """Return what each rank gave, of the same shape and dtype on all: (size, ...)."""
    ones = np.ones(comm.size, np.int64)
    out = np.empty((comm.size, *array.shape), array.dtype)
    comm.alltoallv(np.ascontiguousarray(np.broadcast_to(array, out.shape)), ones, out, ones)
    return out


def to_all(comm: Communicator, data: bytes) -> list[bytes]:
    """Return what each rank gave."""
    lengths = np.full(comm.size, len(data), np.int64)
    received = counts(comm, lengths)
    sent = np.tile(np.frombuffer(data, np.uint8), comm.size)
    out = np.empty(received.sum(), np.uint8)
    comm.alltoallv(sent, lengths, out, received)
    ends = np.cumsum(received)
    return [out[end - count : end].tobytes() for end, count in zip(ends, received, strict=True)]


def raise_everywhere(comm: Communicator, error: BaseException | None, rank: int) -> None:
    """Raise the error that a rank had on all of them; `error` is this one's own, or None."""
    text = "" if error is None else json.dumps([_type_name(error), _message(error)])
    name, message = json.loads(to_all(comm, text.encode())[rank])
    made: BaseException = getattr(builtins, name)(f"rank {rank}: {message}")
    raise made from error


def agree_on(comm: Communicator, what: str, arguments: Callable[[], Mapping[str, Any]]) -> None:
    """Raise ValueError on all ranks where they were given different arguments.

    Parameters
    ----------
    comm : Communicator
    what : str
        What was given them.
    arguments : callable
        Returns them by name; what it raises is raised on all ranks. Each one's `repr` tells
        whether it is the same.
    """

    def prepare() -> tuple[bytes, NDArray[np.int64]]:
        texts = {name: _text(value) for name, value in arguments().items()}
        encoded = json.dumps(texts, sort_keys=True).encode()
        digest = int.from_bytes(hashlib.sha256(encoded).digest()[: _NUMBER_BITS // 8], "big")
        return encoded, np.full((comm.size, 1), digest)

    encoded, digests = exchanged(comm, prepare)
    if (digests == digests[0]).all():
        return
    first, *others = (json.loads(data) for data in to_all(comm, encoded))
    for rank, other in enumerate(others, 1):
        differing = [name for name in first if first[name] != other.get(name)]
        if differing:
            told = ", ".join(
                f"{name}={first[name]} on rank 0, but {name}={other.get(name)} on rank {rank}"
                for name in differing
            )
            raise ValueError(f"{what}: {told}; all ranks must give the same")


def _text(value: object) -> str:
    """Return what tells a value in any process: not the address of a function."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def _message(error: BaseException) -> str:
    is_text = len(error.args) == 1 and isinstance(error.args[0], str)
    return error.args[0] if is_text else str(error)  # str(KeyError("x")) has quotes of its own


def _type_name(error: BaseException) -> str:
    """Return the nearest type of Python's own that a message alone makes an error of."""
    return next(cls.__name__ for cls in type(error).__mro__ if cls in _PLAIN)


_PLAIN = frozenset(
    (
        *(ArithmeticError, AssertionError, AttributeError, BaseException, BufferError, Exception),
        *(FloatingPointError, ImportError, IndexError, KeyError, KeyboardInterrupt, LookupError),
        *(MemoryError, NotImplementedError, OSError, OverflowError, RuntimeError, TypeError),
        *(ValueError, ZeroDivisionError),
    )
)
