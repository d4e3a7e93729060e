"""Words with a vector each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from pyembed import _checks, _core, ops
from pyembed._mutex import Mutex
from pyembed.layers import Embedding
from pyembed.vectors._nearest import Nearest, nearest
from pyembed.vectors._subwords import Subwords
from pyembed.vectors._training import Training
from pyembed.vectors._words import Words, as_strings, index_of
from pyembed.vectors.approximate import ApproximateIndex
from pyembed.vectors.evaluation import Evaluations
from pyembed.vectors.questions import Questions
from pyembed.vectors.vocabulary import Vocabulary

OutOfVocabulary = str | Callable[[list[str]], Any]

_SHOWN = 10  # of the missing words


@dataclass(frozen=True)
class Coverage:
    """What vectors had for the words of a vocabulary; padding and unknown entries do not count.

    Attributes
    ----------
    words : int
        Of the vocabulary.
    missing : int
        Of these, how many have no vector.
    tokens : int or None
        How often the vocabulary's words were counted; None where they were not.
    missing_tokens : int or None
        Of these, those of missing words.
    most_frequent : list of (str, int or None)
        The missing words that were counted most, up to ten of them, with their counts.
    missing_ids : ndarray of int64
        The ids of all missing words.
    """

    words: int
    missing: int
    tokens: int | None
    missing_tokens: int | None
    most_frequent: list[tuple[str, int | None]]
    missing_ids: NDArray[np.int64] = field(repr=False)

    @property
    def missing_share(self) -> float:
        """The share of tokens without a vector; of words, where these were not counted."""
        if self.tokens is None or self.missing_tokens is None:
            return self.missing / max(self.words, 1)
        return self.missing_tokens / max(self.tokens, 1)

    def __str__(self) -> str:
        text = f"{self.missing:,} of {self.words:,} words have no vector"
        if self.tokens is not None:
            text += f", {self.missing_share:.1%} of the tokens"
        names = ", ".join(repr(word) for word, _ in self.most_frequent)
        return (
            f"{text}: {names}{', …' if self.missing > len(self.most_frequent) else ''}"
            if (names)
            else text
        )


class WordVectors(Questions, Evaluations):
    """Words, and a row of a matrix for each.

    Parameters
    ----------
    words : iterable of str
        None of them twice.
    matrix : ndarray of float32 or float64, shape (words, dim)
        Shared, not copied.
    counts : array_like of int, shape (words,), optional
        How often each word was there, where that is known.

    Attributes
    ----------
    words : sequence of str
        Made when they are asked for, so that opening a large file takes no time.
    matrix : ndarray, shape (words, dim)
    counts : ndarray of int64 or None

    Raises
    ------
    TypeError
        If a word is no str, or the matrix is of another dtype.
    ValueError
        If a word stands there twice, or shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from pyembed import vectors
    >>> wv = vectors.WordVectors(["to", "be"], np.eye(2, dtype=np.float32))
    >>> wv["be"], "or" in wv, len(wv)
    (array([0., 1.], dtype=float32), False, 2)
    >>> emb, coverage = wv.to_embedding(vectors.Vocabulary.from_texts(["to be or not to be"]))
    >>> print(coverage)
    2 of 4 words have no vector, 33.3% of the tokens: 'not', 'or'
    """

    def __init__(self, words: Iterable[str], matrix: NDArray[Any], *, counts: Any = None) -> None:
        self._fill(Words.of(words), matrix, counts)
        self._the_index()

    def _fill(
        self,
        words: Words,
        matrix: NDArray[Any],
        counts: Any = None,
        subwords: Subwords | None = None,
        index: _core.StringIndex | None = None,
        training: Training | None = None,
    ) -> None:
        if not isinstance(matrix, np.ndarray) or str(matrix.dtype) not in _core.elements:
            what = getattr(matrix, "dtype", type(matrix).__name__)
            raise TypeError(f"matrix must be an array of {' or '.join(_core.elements)}, not {what}")
        if matrix.ndim != 2 or len(matrix) != len(words):
            raise ValueError(
                f"matrix must have shape ({len(words)}, dim), a row for each word, not "
                f"{matrix.shape}"
            )
        self.words: Sequence[str] = words
        self.matrix = matrix
        self.counts = None if counts is None else _counts(counts, len(words))
        self._words = words
        self._subwords = subwords
        self._training = training
        self._index = index
        self._mutex = Mutex()

    @classmethod
    def _of(cls, *arguments: Any, **others: Any) -> WordVectors:
        """Return one of parts that are known to fit, whose words are looked at when needed."""
        made = cls.__new__(cls)
        made._fill(*arguments, **others)
        return made

    def _the_index(self) -> _core.StringIndex:
        """Return the index of the words, which the first lookup makes."""
        with self._mutex.held:
            if self._index is None:
                self._index = index_of(self._words)
            return self._index

    @property
    def dim(self) -> int:
        """The length of a vector."""
        return int(self.matrix.shape[1])

    @property
    def has_subwords(self) -> bool:
        """Whether words that are not here have vectors too, from their n-grams, as fastText's."""
        return self._subwords is not None

    def __len__(self) -> int:
        return len(self._words)

    def __iter__(self) -> Iterator[str]:
        return iter(self._words)

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and int(self._the_index().find([word])[0]) >= 0

    def rows(self, words: Any) -> NDArray[np.int64]:
        """Return the row of each word, -1 for one that is not here.

        Parameters
        ----------
        words : list, tuple or array of str, or another iterable

        Returns
        -------
        ndarray of int64
            Of the words' shape.
        """
        return self._the_index().find(as_strings(words))

    @overload
    def __getitem__(self, words: str) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, words: Sequence[str] | NDArray[Any]) -> NDArray[Any]: ...
    def __getitem__(self, words: Any) -> NDArray[Any]:
        """Return the vector of a word, or those of many.

        Parameters
        ----------
        words : str, or list, tuple or array of str
            With subwords, a word that is not here has the mean of its n-grams' vectors; zeros if
            none of its n-grams is of the lengths that were trained.

        Returns
        -------
        ndarray, shape (dim,) or words' shape + (dim,)
            A copy.

        Raises
        ------
        KeyError
            If a word is not here.
        TypeError
            If it is no str.
        """
        if isinstance(words, str):
            vector: NDArray[Any] = self._vectors([words])[0]
            return vector
        strings = as_strings(words)
        found = self._vectors(strings)
        shape: tuple[int, ...] = (
            strings.shape if isinstance(strings, np.ndarray) else (len(strings),)
        )
        return found.reshape((*shape, self.dim))

    def _vectors(self, strings: Any) -> NDArray[Any]:
        """Return the vectors of words, (words, dim)."""
        rows = self.rows(strings).reshape(-1)
        missing = np.flatnonzero(rows < 0)
        if len(missing) == 0:
            return _rows_of(self.matrix, rows)
        names = Words.of(strings).take(missing)
        if self._subwords is None:
            place = "" if len(rows) == 1 else f" at position {missing[0]}"
            raise KeyError(f"{names[0]!r}{place} is none of the {len(self):,} words")
        found = np.empty((len(rows), self.dim), self.matrix.dtype)
        known = rows >= 0
        found[known] = _rows_of(self.matrix, rows[known])
        found[missing] = self._subwords.vectors(names)
        return found

    def _nearest(self, questions: NDArray[np.float64], k: int, first: int | None) -> Nearest:
        return nearest(self.matrix[:first], questions, k)

    def index(
        self,
        *,
        approximate: bool,
        connectivity: int = 16,
        expansion_add: int = 128,
        expansion_search: int = 64,
    ) -> ApproximateIndex:
        """Return an index that answers questions in a fraction of the time, but misses some words.

        Parameters
        ----------
        approximate : bool
            True. Exact answers need no index: ask the word vectors themselves.
        connectivity, expansion_add, expansion_search : int
            Those of usearch's ``Index``, with its defaults: the larger they are, the more words are
            found, in more memory and time.

        Returns
        -------
        ApproximateIndex
            It has `most_similar`, `most_similar_batch`, `analogy` and all other questions of word
            vectors, but no `restrict_vocab`. The vectors are copied: after more training, make
            another.

        Raises
        ------
        ImportError
            Without usearch, which ``pip install usearch`` gets.
        ValueError
            If an argument is not as described.
        """
        if approximate is not True:
            raise ValueError(
                f"approximate={approximate!r} must be True: exact answers need no index, ask "
                "most_similar itself"
            )
        return ApproximateIndex(self, connectivity, expansion_add, expansion_search)

    def to_embedding(
        self,
        vocabulary: Vocabulary,
        *,
        oov: OutOfVocabulary = "zero",
        lowercase_fallback: bool = False,
        trainable: bool = True,
        seed: int = 0,
    ) -> tuple[Embedding, Coverage]:
        """Return a layer with the vectors of a vocabulary's words, and what was missing.

        Parameters
        ----------
        vocabulary : Vocabulary
            Row i of the layer belongs to its entry i. The padding entry becomes `padding_idx`, with
            a row of zeros.
        oov : {'zero', 'mean', 'normal'} or callable
            The rows of words without a vector, and of the unknown entry: zeros; the mean of all
            vectors; random numbers with the mean and the deviation that each column has; or what
            ``oov(words)`` returns, a matrix of a row for each of a list of str.
        lowercase_fallback : bool
            Whether a word that is not here has the vector of its lower-case form.
        trainable : bool
        seed : int
            Of ``oov='normal'``.

        Returns
        -------
        emb : Embedding
            A table of its own, of the matrix's dtype.
        coverage : Coverage
            How many words have no vector, which share of the tokens they are, and the most frequent
            of them. A word that has one by its n-grams, or by the fallback, is not missing.

        Raises
        ------
        TypeError
            If `vocabulary` is none.
        ValueError
            If `oov` is none of these, or returns another shape, or the vocabulary is empty.
        """
        if not isinstance(vocabulary, Vocabulary):
            raise TypeError(f"vocabulary must be a Vocabulary, not {type(vocabulary).__name__}")
        if not callable(oov):
            _checks.one_of(oov, "oov", ("zero", "mean", "normal"))
        names = vocabulary.words
        if not names:
            raise ValueError("the vocabulary is empty: a table needs a row at least")
        rows = self.rows(names)
        if lowercase_fallback:
            lost = np.flatnonzero(rows < 0)
            rows[lost] = self.rows([names[place].lower() for place in lost])
        weights = np.zeros((len(names), self.dim), self.matrix.dtype)
        known = np.flatnonzero(rows >= 0)
        weights[known] = _rows_of(self.matrix, rows[known])
        special = [
            place for place in (vocabulary.padding_id, vocabulary.unknown_id) if place is not None
        ]
        lost = np.setdiff1d(np.flatnonzero(rows < 0), special)
        if self._subwords is not None and len(lost):
            lost = self._fill_by_subwords(weights, names, lost)
        unknown = vocabulary.unknown_id
        filled = lost if unknown is None or rows[unknown] >= 0 else np.union1d(lost, [unknown])
        if len(filled):
            weights[filled] = self._of_missing(oov, [names[place] for place in filled], seed)
        if vocabulary.padding_id is not None:
            weights[vocabulary.padding_id] = 0
        emb = Embedding.from_pretrained(
            weights, trainable=bool(trainable), padding_idx=vocabulary.padding_id
        )
        return emb, _coverage(vocabulary, names, lost, special)

    def _fill_by_subwords(
        self, weights: NDArray[Any], names: list[str], lost: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Give words the vectors of their n-grams; return those that have none."""
        assert self._subwords is not None
        words = Words.of([names[place] for place in lost])
        has = self._subwords.lengths(words) > 0
        weights[lost[has]] = self._subwords.vectors(words.take(np.flatnonzero(has)))
        return lost[~has]

    def _of_missing(self, oov: OutOfVocabulary, names: list[str], seed: int) -> NDArray[Any]:
        """Return the rows of words without a vector."""
        shape = (len(names), self.dim)
        if callable(oov):
            made = np.asarray(oov(names))
            if made.shape != shape:
                raise ValueError(f"oov returned shape {made.shape}, but must return {shape}")
            return made
        if oov == "zero" or len(self) == 0:
            return np.zeros(shape)
        mean = np.mean(self.matrix, axis=0, dtype=np.float64)
        if oov == "mean":
            return np.broadcast_to(mean, shape)
        deviation = np.std(self.matrix, axis=0, dtype=np.float64)
        return np.random.default_rng(seed).normal(mean, deviation, shape)

    def __getstate__(self) -> dict[str, Any]:
        return {
            "words": (np.array(self._words.data), np.array(self._words.starts)),
            "matrix": np.array(self.matrix),
            "counts": self.counts,
            "subwords": self._subwords,
            "training": self._training,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        words = Words(*state["words"])
        self._fill(
            words,
            state["matrix"],
            state["counts"],
            state["subwords"],
            training=state.get("training"),
        )

    def __repr__(self) -> str:
        more = ", with subwords" if self.has_subwords else ""
        return f"<WordVectors of {len(self):,} words, dim {self.dim}, {self.matrix.dtype}{more}>"


def _rows_of(matrix: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return a copy of some rows of a matrix in any layout."""
    if matrix.flags.aligned and matrix.strides[1] == matrix.itemsize:
        return ops.gather(matrix, rows)
    return np.take(matrix, rows, axis=0)


def _counts(counts: Any, words: int) -> NDArray[np.int64]:
    array = np.asarray(counts)
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"counts must be integers, not {array.dtype}")
    if array.shape != (words,):
        raise ValueError(f"counts must have shape ({words},), one for each word, not {array.shape}")
    return array.astype(np.int64)


def _coverage(
    vocabulary: Vocabulary, names: list[str], lost: NDArray[np.int64], special: list[int]
) -> Coverage:
    counts = vocabulary.counts
    words = len(names) - len(special)
    if counts is None:
        first: list[tuple[str, int | None]] = [(names[place], None) for place in lost[:_SHOWN]]
        return Coverage(words, len(lost), None, None, first, lost)
    order = lost[np.argsort(-counts[lost], kind="stable")[:_SHOWN]]
    most: list[tuple[str, int | None]] = [(names[place], int(counts[place])) for place in order]
    tokens = int(np.delete(counts, special).sum())
    return Coverage(words, len(lost), tokens, int(counts[lost].sum()), most, lost)
