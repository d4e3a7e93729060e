"""What is learned from, as numbers: read once, whatever it is."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyembed import _core
from pyembed.vectors._source import opened
from pyembed.vectors._words import Words
from pyembed.word2vec._numbers import Numbers

_WINDOW = 4 << 20  # bytes that are read at once; and the longest word
_DOCUMENTS = 4096  # that are taken at once
_LARGEST = 2**31 - 2
_NEW_DOCUMENT = -1


class Corpus:
    """Numbers of tokens, with -1 before each document, and how often each is there.

    Parameters
    ----------
    source : path-like, or iterable of paths, of sequences of str, or of sequences of int

    Attributes
    ----------
    numbers : ndarray of int32
    names : Words or None
        What each number stands for; None: for itself.
    counts : ndarray of int64
        By number.

    Raises
    ------
    OSError
        If a file cannot be read.
    TypeError
        If it is nothing of that.
    ValueError
        If a file is no text, or an integer is negative or too large.
    """

    def __init__(self, source: Any) -> None:
        self._numbers = Numbers()
        self._counts = np.zeros(0, np.int64)
        self._size = 0  # of the counts that are in use
        self._index = _core.StringIndex()
        if isinstance(source, (str, bytes, os.PathLike)):
            source = [source]
        if not isinstance(source, Iterable):
            raise TypeError(
                "corpus must be a path, or an iterable of paths or documents, not "
                f"{type(source).__name__}"
            )
        try:
            has_names = self._read(iter(source))
            self.numbers = self._numbers.all()
        finally:
            self._numbers.close()
        self.names = Words(*self._index.bytes()) if has_names else None
        self.counts = self._counts[: self._size]

    def _read(self, parts: Iterator[Any]) -> bool:
        """Read all, and return whether it is of words."""
        first = _first(parts)
        if first is None:
            return True
        if isinstance(first, (str, bytes, os.PathLike)):
            for path in chain([first], parts):
                self._read_file(path)
            return True
        has_names = isinstance(next(iter(first)), str)
        add = self._add_texts if has_names else self._add_ids
        for piece in _pieces(chain([first], parts)):
            add(piece)
        return has_names

    def _read_file(self, path: str | bytes | os.PathLike[str]) -> None:
        given = os.fsdecode(path)
        reader = _core.TokenReader()

        def take(piece: memoryview, is_last: bool) -> int:
            used, numbers = reader.feed(piece, is_last, self._index)
            if reader.fault is not None:
                line, what = reader.fault
                raise ValueError(f"line {line} {what}: it must be text in UTF-8")
            self._add(numbers, len(self._index))
            return used

        try:
            with opened(given) as source:
                if not source.feed(take, _WINDOW):
                    raise ValueError(f"it has a word of more than {_WINDOW} bytes")
        except FileNotFoundError as error:
            what = "no such file (documents are to be lists of words, not strings)"
            raise FileNotFoundError(errno.ENOENT, what, given) from error

    def _add_texts(self, documents: list[Any]) -> None:
        for document in documents:
            if isinstance(document, (str, bytes)):
                raise TypeError(f"a document must be a list of words, not {document!r:.60}")
        words = list(chain.from_iterable(documents))
        rows = self._index.insert(words)
        self._add(_marked(rows, documents), len(self._index))

    def _add_ids(self, documents: list[Any]) -> None:
        arrays = [np.asarray(document) for document in documents]
        for array in arrays:
            if array.dtype.kind not in "iu" or array.ndim != 1:
                raise TypeError(
                    "documents must be sequences of integers with one axis, as the first one is, "
                    f"not of {array.dtype} and shape {array.shape}"
                )
        ids = np.concatenate(arrays)
        low, high = int(ids.min()), int(ids.max())
        if low < 0 or high > _LARGEST:
            raise ValueError(f"id {low if low < 0 else high} must be from 0 to {_LARGEST}")
        self._add(_marked(ids, documents), high + 1)

    def _add(self, numbers: NDArray[np.int32], size: int) -> None:
        """Take some more numbers, all of them below `size`."""
        self._size = max(self._size, size)
        if self._size > len(self._counts):
            counts = np.zeros(self._size + self._size // 2, np.int64)
            counts[: len(self._counts)] = self._counts
            self._counts = counts
        _core.add_counts(numbers, self._counts)
        self._numbers.append(numbers)


def _first(parts: Iterator[Any]) -> Any:
    """Return the first path, or the first document that has a word; None if there is none."""
    for part in parts:
        if isinstance(part, (str, bytes, os.PathLike)):
            return part
        document = _document(part)
        if len(document):
            return document
    return None


def _document(part: Any) -> Any:
    if hasattr(part, "__len__") and hasattr(part, "__getitem__"):
        return part
    if not isinstance(part, Iterable):
        raise TypeError(
            f"a document must be a sequence of words or of ids, not {type(part).__name__}"
        )
    return list(part)


def _pieces(parts: Iterator[Any]) -> Iterator[list[Any]]:
    """Yield some documents at a time, without those that are empty."""
    while piece := list(islice(parts, _DOCUMENTS)):
        documents = [document for document in map(_document, piece) if len(document)]
        if documents:
            yield documents


def _marked(numbers: NDArray[Any], documents: list[Any]) -> NDArray[np.int32]:
    """Return the numbers of documents, with a mark before each of these."""
    begins = np.cumsum([0, *map(len, documents[:-1])])
    return np.insert(numbers.astype(np.int32), begins, _NEW_DOCUMENT)
