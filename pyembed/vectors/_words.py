"""Words as they lie in memory: bytes of UTF-8, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from pyembed import _core

Tokenize = Callable[[str], Sequence[str]]

_TEXTS = 4096  # that are taken apart at once


class Words(Sequence[str]):
    """A sequence of words that are made when they are asked for.

    Parameters
    ----------
    data : ndarray of uint8
        The words in UTF-8, one after the other.
    starts : ndarray of int64, shape (words + 1,)
        Word w is ``data[starts[w]:starts[w + 1]]``.
    """

    def __init__(self, data: NDArray[np.uint8], starts: NDArray[np.int64]) -> None:
        self.data = np.asarray(data)  # of maps too, as the core wants them
        self.starts = np.asarray(starts)

    @classmethod
    def of(cls, words: Iterable[str]) -> Words:
        """Return words of an iterable, a list or an array of strings."""
        if isinstance(words, Words):
            return words
        return cls(*_core.utf8(as_strings(words)))

    def __len__(self) -> int:
        return len(self.starts) - 1

    @overload
    def __getitem__(self, which: int) -> str: ...
    @overload
    def __getitem__(self, which: slice) -> list[str]: ...
    def __getitem__(self, which: int | slice) -> str | list[str]:
        if isinstance(which, slice):
            start, stop, step = which.indices(len(self))
            if step == 1:
                return self._strings(start, max(start, stop))
            return [self[place] for place in range(start, stop, step)]
        place = range(len(self))[which]
        return self._strings(place, place + 1)[0]

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _TEXTS):
            yield from self._strings(start, min(start + _TEXTS, len(self)))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Words):
            same = np.array_equal(self.starts, other.starts)
            return same and np.array_equal(self.data, other.data)
        if isinstance(other, Sequence) and not isinstance(other, str):
            return len(self) == len(other) and all(
                mine == theirs for mine, theirs in zip(self, other, strict=True)
            )
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self[:5]))
        return f"Words([{shown}{', …' if len(self) > 5 else ''}], {len(self)} in all)"

    def take(self, which: NDArray[np.int64]) -> Words:
        """Return some of the words, in the order given."""
        begins, lengths = self.starts[:-1][which], np.diff(self.starts)[which]
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        source = np.repeat(begins - starts[:-1], lengths) + np.arange(starts[-1])
        return Words(self.data[source], starts)

    def _strings(self, start: int, stop: int) -> list[str]:
        starts = self.starts[start : stop + 1]
        first, last = int(starts[0]), int(starts[-1])
        return _core.strings(self.data[first:last], starts - first)


def index_of(words: Words) -> _core.StringIndex:
    """Return an index of words, whose rows are their places.

    Raises
    ------
    ValueError
        If one stands there twice.
    """
    index = _core.StringIndex()
    rows = index.insert_bytes(words.data, words.starts)
    if len(index) < len(words):
        place = int(np.argmax(rows != np.arange(len(words))))
        raise ValueError(f"{words[place]!r} stands at positions {rows[place]} and {place}")
    return index


def as_strings(words: Any) -> Any:
    """Return what the core takes for strings: a list, a tuple or an array; an iterable as a list.

    Arrays of other libraries come by ``__array__``. A single str is passed on, to be refused.
    """
    if isinstance(words, (list, tuple, np.ndarray, str, bytes)):
        return words
    if hasattr(words, "__array__"):
        return np.asarray(words, object)
    return list(words) if isinstance(words, Iterable) else words


class Tokens:
    """The words of texts, end to end, and where each text begins.

    Parameters
    ----------
    texts : sequence
        Each a str, which is split at blank space or by `tokenize`, or a sequence of words.
    tokenize : callable, optional
        Of a str, to its words.

    Attributes
    ----------
    offsets : ndarray of int64, shape (texts,)
    """

    def __init__(self, texts: Sequence[Any], tokenize: Tokenize | None) -> None:
        self._words: Any = None
        if tokenize is None and all(isinstance(text, str) for text in texts):
            data, starts, self.offsets = _core.split_texts(texts)
            self._split = Words(data, starts)
            return
        lists = [words_of(text, tokenize) for text in texts]
        lengths = np.fromiter(map(len, lists), np.int64, len(lists))
        self.offsets = np.cumsum(lengths) - lengths
        self._words = list(chain.from_iterable(lists))

    def found_in(self, index: _core.StringIndex) -> NDArray[np.int64]:
        """Return the row of each word, or -1."""
        if self._words is None:
            return index.find_bytes(self._split.data, self._split.starts)
        return index.find(self._words)

    def inserted_into(self, index: _core.StringIndex) -> NDArray[np.int64]:
        """Return the row of each word; new ones get one."""
        if self._words is None:
            return index.insert_bytes(self._split.data, self._split.starts)
        return index.insert(self._words)

    def __getitem__(self, place: int) -> str:
        if self._words is None:
            return self._split[place]
        return str(self._words[place])


def words_of(text: Any, tokenize: Tokenize | None) -> Sequence[str]:
    """Return the words of a text: a str, or words already."""
    if isinstance(text, str):
        text = text.split() if tokenize is None else tokenize(text)
        if isinstance(text, str):
            raise TypeError(f"tokenize must return a list of words, not a str: {text[:80]!r}")
    if isinstance(text, (list, tuple)):
        return text
    if isinstance(text, bytes) or not isinstance(text, Iterable):
        raise TypeError(f"texts must be strings or lists of words, not {type(text).__name__}")
    return text.tolist() if isinstance(text, np.ndarray) else list(text)


def by_pieces(texts: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield lists of a few of them, whatever their number."""
    rest = iter(texts)
    while piece := list(islice(rest, _TEXTS)):
        yield piece
