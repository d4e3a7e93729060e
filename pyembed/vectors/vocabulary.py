"""Words and their ids."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyembed import _checks, _core
from pyembed._mutex import Mutex
from pyembed.vectors import _vocabulary_files as files
from pyembed.vectors._words import Tokenize, Tokens, Words, as_strings, by_pieces, index_of

PADDING, UNKNOWN = "<pad>", "<unk>"


class Vocabulary:
    """Words, and an id for each: the row of a table that is theirs.

    Ids count from 0: the padding entry, the unknown entry, then the words in the order given.

    Parameters
    ----------
    words : iterable of str
        None of them twice. Where the padding or the unknown entry is among them, it has the id of
        that place.
    padding : str or None
        The entry that stands for no word, as `encode_padded` puts it behind short texts; None:
        there is none. Give its id, `padding_id`, to a layer as `padding_idx`.
    unknown : str or None
        The entry that stands for all words that are not in the vocabulary; None: such words are a
        `KeyError`.
    frozen : bool
        False: `add` can add words.

    Raises
    ------
    TypeError
        If a word is no str.
    ValueError
        If a word stands there twice, or the padding and unknown entries are the same.

    Examples
    --------
    >>> from pyembed.vectors import Vocabulary
    >>> vocabulary = Vocabulary.from_texts(["to be or not to be"])
    >>> vocabulary.words
    ['<pad>', '<unk>', 'be', 'to', 'not', 'or']
    >>> vocabulary.encode(["be", "or", "why"])
    array([2, 5, 1])
    >>> ids, offsets = vocabulary.encode_texts(["be not", "", "or be to"])
    >>> ids, offsets
    (array([2, 4, 5, 2, 3]), array([0, 2, 2]))
    """

    def __init__(
        self,
        words: Iterable[str] = (),
        *,
        padding: str | None = PADDING,
        unknown: str | None = UNKNOWN,
        frozen: bool = True,
    ) -> None:
        self._fill(as_strings(words), padding, unknown, frozen, None)

    def _fill(
        self,
        words: Any,
        padding: str | None,
        unknown: str | None,
        frozen: bool,
        counts: NDArray[np.int64] | None,
    ) -> None:
        """Take words, and their counts where these are known."""
        roles = [_role(role, name) for role, name in ((padding, "padding"), (unknown, "unknown"))]
        if padding is not None and padding == unknown:
            raise ValueError(f"padding={padding!r} must be another entry than unknown={unknown!r}")
        given = Words.of(words)
        index = index_of(given)
        there = [role for role in roles if role is not None]
        rows = index.find(there)
        missing = [role for role, row in zip(there, rows.tolist(), strict=True) if row < 0]
        if missing:
            index = _core.StringIndex()
            index.insert(missing)
            index.insert_bytes(given.data, given.starts)
            if counts is not None:
                counts = np.concatenate([np.zeros(len(missing), np.int64), counts])
        self._index = index
        self._padding, self._unknown = roles
        self._ids = [None if role is None else int(index.find([role])[0]) for role in roles]
        self._frozen = bool(frozen)
        self._counts = counts
        self._made: NDArray[Any] = np.empty(0, object)  # the words that decode has made so far
        self._mutex = Mutex()

    @classmethod
    def from_counts(
        cls,
        counts: Mapping[str, int] | tuple[Iterable[str], ArrayLike],
        *,
        min_count: int = 1,
        max_size: int | None = None,
        padding: str | None = PADDING,
        unknown: str | None = UNKNOWN,
        frozen: bool = True,
    ) -> Vocabulary:
        """Make a vocabulary of words with known counts, the most frequent first.

        Words of equal counts stand in the order of their code points: the vocabulary does not
        depend on the order in which they were counted.

        Parameters
        ----------
        counts : mapping of str to int, or tuple of words and counts
            As `collections.Counter` has them. The padding and unknown entries keep their places.
        min_count : int
            The least count of a word that is taken, from 0.
        max_size : int, optional
            How many entries there may be at the most, with those of padding and unknown words.
        padding, unknown, frozen
            As above.

        Returns
        -------
        Vocabulary
            Its `counts` has those of the words, and for the unknown entry that of all others.

        Raises
        ------
        TypeError
            If a word is no str or a count no integer.
        ValueError
            If a count is negative, a word stands there twice, or `min_count` or `max_size` is
            not as described.
        """
        words, numbers = _counted(counts)
        return cls._from_counts(words, numbers, min_count, max_size, padding, unknown, frozen)

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str | Sequence[str]],
        *,
        tokenize: Tokenize | None = None,
        min_count: int = 1,
        max_size: int | None = None,
        padding: str | None = PADDING,
        unknown: str | None = UNKNOWN,
        frozen: bool = True,
    ) -> Vocabulary:
        """Make a vocabulary of the words of texts, the most frequent first.

        Parameters
        ----------
        texts : iterable of str, or of sequences of str
            Read once, a few at a time: a file's lines may be more than memory holds. A str is split
            at blank space, as ``str.split()`` does, or by `tokenize`; else its words are given.
        tokenize : callable, optional
            Of a str, to a sequence of its words.
        min_count, max_size, padding, unknown, frozen
            As `from_counts` takes them.

        Returns
        -------
        Vocabulary

        Raises
        ------
        TypeError
            If `texts` is a single str, or a word is no str.
        ValueError
            As `from_counts`.
        """
        _refuse_one_text(texts)
        index = _core.StringIndex()
        counts = np.zeros(0, np.int64)
        for piece in by_pieces(texts):
            rows = Tokens(piece, tokenize).inserted_into(index)
            more = np.bincount(rows, minlength=len(index))
            more[: len(counts)] += counts
            counts = more.astype(np.int64, copy=False)
        words = Words(*index.bytes())
        return cls._from_counts(words, counts, min_count, max_size, padding, unknown, frozen)

    @classmethod
    def _from_counts(
        cls,
        words: Words,
        counts: NDArray[np.int64],
        min_count: int,
        max_size: int | None,
        padding: str | None,
        unknown: str | None,
        frozen: bool,
    ) -> Vocabulary:
        roles = [role for role in (padding, unknown) if role is not None]
        least = _checks.integer(min_count, "min_count", 0)
        most = None if max_size is None else _checks.integer(max_size, "max_size", len(roles))
        taken = np.flatnonzero(counts >= least)
        names = words.take(taken)[:]
        order = sorted(range(len(names)), key=names.__getitem__)
        order.sort(key=(-counts[taken]).tolist().__getitem__)
        special = set(roles)
        order = [place for place in order if names[place] not in special]
        if most is not None:
            order = order[: most - len(roles)]
        chosen = taken[np.array(order, np.int64)]
        made = cls.__new__(cls)
        made._fill(words.take(chosen), padding, unknown, frozen, counts[chosen])
        if made.unknown_id is not None and made._counts is not None:
            made._counts[made.unknown_id] = counts.sum() - counts[chosen].sum()
        return made

    @property
    def words(self) -> list[str]:
        """The entries, by id."""
        return self._index.words(0, len(self))

    @property
    def counts(self) -> NDArray[np.int64] | None:
        """How often each entry was there, by id; None where that is not known.

        The unknown entry's is that of all words that were left out. Words that were added later
        have 0.
        """
        if self._counts is None:
            return None
        counts = np.zeros(len(self), np.int64)
        counts[: len(self._counts)] = self._counts
        return counts

    @property
    def padding(self) -> str | None:
        """The entry that stands for no word."""
        return self._padding

    @property
    def unknown(self) -> str | None:
        """The entry that stands for all words that are not here."""
        return self._unknown

    @property
    def padding_id(self) -> int | None:
        """The id of the padding entry."""
        return self._ids[0]

    @property
    def unknown_id(self) -> int | None:
        """The id of the unknown entry."""
        return self._ids[1]

    @property
    def frozen(self) -> bool:
        """Whether no words can be added."""
        return self._frozen

    def freeze(self) -> None:
        """Let no more words be added."""
        self._frozen = True

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and int(self._index.find([word])[0]) >= 0

    def __iter__(self) -> Iterator[str]:
        return iter(self.words)

    def __getitem__(self, word: str) -> int:
        """Return the id of one word, as `encode` does of many."""
        if not isinstance(word, str):
            raise TypeError(f"a word must be a str, not {type(word).__name__}: see decode for ids")
        return int(self.encode([word])[0])

    def encode(self, words: Any) -> NDArray[np.int64]:
        """Return the ids of words.

        Parameters
        ----------
        words : list or tuple of str, or array of str of any shape
            Arrays may be of a fixed width, of objects or of NumPy's StringDType. Other iterables
            are made a list.

        Returns
        -------
        ndarray of int64
            Of the words' shape. A word that is not here has the id of the unknown entry.

        Raises
        ------
        KeyError
            If a word is not here, and there is no unknown entry.
        TypeError
            If an element is no str, or `words` is a single str.
        """
        strings = as_strings(words)
        ids = self._index.find(strings)
        return self._known(ids, lambda place: str(np.asarray(strings, object).reshape(-1)[place]))

    def _known(self, ids: NDArray[np.int64], word: Any) -> NDArray[np.int64]:
        """Put the unknown entry's id where there is none; word(position) is for an error."""
        missing = ids < 0
        if not missing.any():
            return ids
        if self.unknown_id is None:
            place = int(np.argmax(missing))
            raise KeyError(
                f"{word(place)!r} at position {place} is not in the vocabulary, and there is no "
                "unknown entry"
            )
        ids[missing] = self.unknown_id
        return ids

    def encode_texts(
        self, texts: Sequence[str | Sequence[str]], *, tokenize: Tokenize | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the ids of texts' words end to end, and where each text begins.

        Both are what `EmbeddingBag` takes: ``bag(*vocabulary.encode_texts(texts))``.

        Parameters
        ----------
        texts : sequence of str, or of sequences of str
            A str is split at blank space, or by `tokenize`.
        tokenize : callable, optional
            Of a str, to a sequence of its words.

        Returns
        -------
        ids : ndarray of int64, shape (words of all texts,)
        offsets : ndarray of int64, shape (texts,)

        Raises
        ------
        KeyError, TypeError
            As `encode`.
        """
        _refuse_one_text(texts)
        tokens = Tokens(list(texts), tokenize)
        return self._known(tokens.found_in(self._index), tokens.__getitem__), tokens.offsets

    def encode_padded(
        self,
        texts: Sequence[str | Sequence[str]],
        length: int | None = None,
        *,
        tokenize: Tokenize | None = None,
    ) -> NDArray[np.int64]:
        """Return the ids of texts as a matrix, with the padding entry behind the shorter ones.

        Parameters
        ----------
        texts, tokenize
            As `encode_texts` takes them.
        length : int, optional
            Words of a text, of which the first are taken; that of the longest text if None.

        Returns
        -------
        ndarray of int64, shape (texts, length)

        Raises
        ------
        KeyError, TypeError
            As `encode`.
        ValueError
            If there is no padding entry, or `length` is negative.
        """
        if self.padding_id is None:
            raise ValueError("the vocabulary has no padding entry: padding=None")
        ids, offsets = self.encode_texts(texts, tokenize=tokenize)
        lengths = np.diff(offsets, append=len(ids))
        if length is None:
            length = int(lengths.max(initial=0))
        width = _checks.integer(length, "length", 0)
        padded = np.full((len(offsets), width), self.padding_id, np.int64)
        columns = np.arange(len(ids)) - np.repeat(offsets, lengths)
        rows = np.repeat(np.arange(len(offsets)), lengths)
        kept = columns < width
        padded[rows[kept], columns[kept]] = ids[kept]
        return padded

    def decode(self, ids: ArrayLike) -> NDArray[Any]:
        """Return the entries of ids.

        Parameters
        ----------
        ids : array_like of int, any shape

        Returns
        -------
        ndarray of str objects
            Of the ids' shape.

        Raises
        ------
        IndexError
            If an id is none of the vocabulary's.
        TypeError
            If `ids` are not integers.
        """
        words = self._all_made()
        array = np.asarray(ids)
        if array.size == 0 and not isinstance(ids, np.ndarray):
            array = array.astype(np.int64)
        if array.dtype.kind not in "iu":
            raise TypeError(f"ids must be integers, not {array.dtype}")
        outside = (array < 0) | (array >= len(words))
        if np.any(outside):
            place = int(np.argmax(outside))
            raise IndexError(
                f"id {array.reshape(-1)[place]} at position {place} is outside a vocabulary of "
                f"{len(words)} entries (valid: 0 to {len(words) - 1})"
            )
        return np.asarray(words[array], object)

    def _all_made(self) -> NDArray[Any]:
        """Return the entries as objects, made once."""
        with self._mutex.held:
            size = len(self)
            if len(self._made) < size:
                more = self._index.words(len(self._made), size)
                made = np.empty(size, object)
                made[: len(self._made)] = self._made
                made[len(self._made) :] = more
                self._made = made
            return self._made

    def add(self, words: Any) -> NDArray[np.int64]:
        """Return the ids of words; those that are not here are added, in order.

        An `Embedding` follows by ``emb.grow(len(vocabulary))``.

        Parameters
        ----------
        words : list, tuple, array or other iterable of str
            As `encode` takes them.

        Returns
        -------
        ndarray of int64

        Raises
        ------
        RuntimeError
            If the vocabulary is frozen.
        TypeError
            As `encode`.
        """
        if self._frozen:
            raise RuntimeError("the vocabulary is frozen: frozen=False makes one that grows")
        return self._index.insert(as_strings(words))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the vocabulary: as JSON where `path` ends with ``.json``, else as plain text.

        Plain text is a word a line, in the order of the ids. JSON keeps all: which entries are
        padding and unknown, the counts, and whether it is frozen. The file is replaced as a whole
        or not at all.

        Parameters
        ----------
        path : path-like

        Raises
        ------
        OSError
            If the system refuses something, or `path` is there and no regular file.
        ValueError
            If a word cannot stand in a line of text: one with an end of line, one that is empty, or
            with half of a surrogate pair.
        """
        files.write(path, self._state())

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        padding: str | None = PADDING,
        unknown: str | None = UNKNOWN,
        frozen: bool = True,
    ) -> Vocabulary:
        """Load what `save` saved, or any file of a word a line.

        Parameters
        ----------
        path : path-like
        padding, unknown, frozen
            Of plain text alone, which does not say: an entry that is not in the file gets an id
            before all others, so give None for one that shall not be there. JSON has its own.

        Returns
        -------
        Vocabulary

        Raises
        ------
        OSError
            If the file cannot be read, or is no regular one.
        ValueError
            If it is damaged: the message names the file, and the line of a text.
        """
        state = files.read(path)
        state.setdefault("padding", padding)
        state.setdefault("unknown", unknown)
        state.setdefault("frozen", frozen)
        made = cls.__new__(cls)
        with files.naming(path):
            made._fill(state["words"], state["padding"], state["unknown"], state["frozen"], None)
            made._counts = files.counts(state, len(made))
        return made

    def _state(self) -> dict[str, Any]:
        return {
            "words": self.words,
            "padding": self._padding,
            "unknown": self._unknown,
            "frozen": self._frozen,
            "counts": self.counts,
        }

    def __getstate__(self) -> dict[str, Any]:
        return self._state()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._fill(state["words"], state["padding"], state["unknown"], state["frozen"], None)
        self._counts = state["counts"]

    def __eq__(self, other: object) -> bool:
        """Whether the other has the same entries with the same ids, and the same roles."""
        if not isinstance(other, Vocabulary):
            return NotImplemented
        roles = (self._padding, self._unknown) == (other._padding, other._unknown)
        return roles and len(self) == len(other) and self.words == other.words

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"<Vocabulary of {len(self)} entries, padding={self._padding!r}, "
            f"unknown={self._unknown!r}, frozen={self._frozen}>"
        )


def _role(entry: Any, name: str) -> str | None:
    if entry is not None and not isinstance(entry, str):
        raise TypeError(f"{name} must be a str or None, not {type(entry).__name__}")
    return entry


def _refuse_one_text(texts: Any) -> None:
    if isinstance(texts, (str, bytes)):
        raise TypeError("texts must be many, not a single str: give a list of it")


def _counted(counts: Any) -> tuple[Words, NDArray[np.int64]]:
    """Return words and their counts, checked."""
    words, numbers = (
        (list(counts), list(counts.values())) if isinstance(counts, Mapping) else counts
    )
    array = np.asarray(numbers)
    if array.size == 0:
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise TypeError(f"counts must be integers, not {array.dtype}")
    names = Words.of(words)
    if array.shape != (len(names),):
        raise ValueError(f"counts have shape {array.shape}, but there are {len(names)} words")
    index_of(names)
    if np.any(array < 0) or np.any(array > _checks.LARGEST):
        place = int(np.argmax((array < 0) | (array > _checks.LARGEST)))
        raise ValueError(f"the count of {names[place]!r} is {array[place]}: it must be from 0 on")
    return names, array.astype(np.int64)
