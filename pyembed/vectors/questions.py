"""What words are near to, by the cosine of their vectors."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyembed import _checks
from pyembed._arrays import as_array, is_array
from pyembed.vectors._nearest import Nearest, cosines
from pyembed.vectors._words import Words
from pyembed.vectors.spelling import nearest_spelling
from pyembed.vectors.vocabulary import PADDING, UNKNOWN

Answers = list[tuple[str, float]]
Term = tuple[str | NDArray[np.float64], float]  # a word or a vector, and its weight

NO_WORDS = (PADDING, UNKNOWN)


class Questions(ABC):
    """What words and vectors can be asked, of exact vectors as of an approximate index.

    A question is a word, a vector, or several of them: then its direction is the mean of the words'
    vectors, each scaled to length 1, and of other vectors as they are. Cosines are computed in
    float64, in a fixed order: answers are the same bits at any number of threads, and with any
    instruction set. All of it is read from the matrix as it is when a question is asked.
    """

    _words: Words

    @property
    @abstractmethod
    def dim(self) -> int:
        """The length of a vector."""

    @property
    @abstractmethod
    def has_subwords(self) -> bool:
        """Whether words that are not here have vectors too."""

    @abstractmethod
    def rows(self, words: Any) -> NDArray[np.int64]:
        """Return the row of each word, -1 for one that is not here."""

    @abstractmethod
    def _vectors(self, strings: Any) -> NDArray[Any]:
        """Return the vectors of words, (words, dim)."""

    @abstractmethod
    def _nearest(self, questions: NDArray[np.float64], k: int, first: int | None) -> Nearest:
        """Return for each question the k nearest rows, of the `first` ones, and their cosines."""

    def most_similar(
        self,
        positive: Any = (),
        negative: Any = (),
        topn: int = 10,
        *,
        restrict_vocab: int | None = None,
        without: Iterable[str] = NO_WORDS,
    ) -> Answers:
        """Return the words whose vectors have the highest cosines with a question's.

        One question, as gensim's method of this name takes it; `most_similar_batch` takes many.

        Parameters
        ----------
        positive, negative : str, ndarray of shape (dim,), or a list of these
            Words or vectors that are added to and subtracted from the direction that is asked for.
            Instead of one, a tuple of it and its weight, which stands in the place of 1, or of -1
            among the negative ones.
        topn : int
            How many answers there are, from 0.
        restrict_vocab : int, optional
            The words that are considered, from the first: the most frequent ones, in files that
            have them in this order.
        without : iterable of str
            Words that are no answers, as the words of the question are none. By default the entries
            that a `Vocabulary` has for padding and for unknown words.

        Returns
        -------
        list of (str, float)
            Words and cosines, highest first; of equal ones, the word of the first row. Rows of
            zeros, or with a nan or an infinity, are no answers: there may be less than `topn`.

        Raises
        ------
        KeyError
            If a word is not here and has no n-grams either; with the word that is spelled most
            like it.
        TypeError, ValueError
            If a question is none of these, has no direction, or has another length.

        Examples
        --------
        >>> import numpy as np
        >>> from pyembed import vectors
        >>> rows = np.array([[1, 0.1], [1, 0], [0, 1]], np.float32)
        >>> wv = vectors.WordVectors(["king", "queen", "banana"], rows)
        >>> [word for word, cosine in wv.most_similar("king")]
        ['queen', 'banana']
        """
        question = _terms(positive, "positive", 1.0) + _terms(negative, "negative", -1.0)
        return self._ask([question], topn, restrict_vocab, without)[0]

    def most_similar_batch(
        self,
        questions: Any,
        topn: int = 10,
        *,
        restrict_vocab: int | None = None,
        without: Iterable[str] = NO_WORDS,
    ) -> list[Answers]:
        """Return what `most_similar` does for each of many questions, in far less time.

        Parameters
        ----------
        questions : list or array of str, ndarray of shape (questions, dim), or list
            Each is a question of its own; one in a list may be whatever `most_similar` takes for
            `positive`.
        topn, restrict_vocab, without
            As `most_similar` takes them.

        Returns
        -------
        list of lists of (str, float)

        Raises
        ------
        KeyError, TypeError, ValueError
            As `most_similar`.

        Examples
        --------
        >>> import numpy as np
        >>> from pyembed import vectors
        >>> wv = vectors.WordVectors(["a", "b", "c"], np.array([[1, 0], [2, 0.1], [0, 1.0]]))
        >>> [[word for word, _ in one] for one in wv.most_similar_batch(["a", "c"], topn=1)]
        [['b'], ['b']]
        """
        if isinstance(questions, (str, bytes)):
            raise TypeError(f"questions must be many, not a single str: give [{questions!r}]")
        if is_array(questions) and not isinstance(questions, np.ndarray):
            questions = as_array(questions, "questions")
        asked = [
            _terms(question, f"question {place}", 1.0) for place, question in enumerate(questions)
        ]
        return self._ask(asked, topn, restrict_vocab, without)

    def analogy(
        self,
        a: Any,
        b: Any,
        c: Any,
        topn: int = 10,
        *,
        restrict_vocab: int | None = None,
        without: Iterable[str] = NO_WORDS,
    ) -> Answers:
        """Return what is to `c` as `b` is to `a`: words near to b - a + c.

        Parameters
        ----------
        a, b, c : str or ndarray of shape (dim,)
        topn, restrict_vocab, without
            As `most_similar` takes them.

        Returns
        -------
        list of (str, float)
            That of ``most_similar(positive=[b, c], negative=[a])``.

        Raises
        ------
        KeyError, TypeError, ValueError
            As `most_similar`.
        """
        return self.most_similar([b, c], [a], topn, restrict_vocab=restrict_vocab, without=without)

    def similarity(self, a: Any, b: Any) -> float:
        """Return the cosine of two words' vectors, to the bit what `most_similar` says of them.

        Parameters
        ----------
        a, b : str or ndarray of shape (dim,)

        Returns
        -------
        float
            From -1 to 1; 0 where one of the vectors is zeros.

        Raises
        ------
        KeyError, TypeError, ValueError
            As `most_similar`.
        """
        terms = [_term(item, name, 1.0) for item, name in ((a, "a"), (b, "b"))]
        one, other = self._vectors_of(terms)
        return float(cosines(one[None], np.zeros(1, np.int64), other[None])[0])

    def n_similarity(self, first: Iterable[str], second: Iterable[str]) -> float:
        """Return the cosine of the means of two groups' vectors.

        Parameters
        ----------
        first, second : iterable of str
            Words, whose vectors are averaged as they are.

        Returns
        -------
        float

        Raises
        ------
        KeyError
            If a word is not here.
        ValueError
            If a group is empty.
        """
        means = []
        for group, name in ((first, "first"), (second, "second")):
            vectors = self._vectors_of([_term(word, name, 1.0) for word in group])
            if not vectors:
                raise ValueError(f"{name} has no words")
            means.append(sum(vectors[1:], vectors[0]) / len(vectors))
        return self.similarity(*means)

    def doesnt_match(self, words: Iterable[str]) -> str:
        """Return the word that is farthest from the mean of all, each scaled to length 1.

        Parameters
        ----------
        words : iterable of str

        Returns
        -------
        str
            The first one, where several are as far.

        Raises
        ------
        KeyError
            If a word is not here.
        ValueError
            If there are no words, or their mean has no direction.
        """
        names = list(words)
        terms = [_term(word, "words", 1.0) for word in names]
        if not terms:
            raise ValueError("words has no words")
        mean = self._directions([terms])
        vectors = np.stack(self._vectors_of(terms))
        found = cosines(vectors, np.arange(len(names)), np.repeat(mean, len(names), axis=0))
        return names[int(np.argmin(found))]

    def _ask(
        self,
        questions: Sequence[Sequence[Term]],
        topn: int,
        restrict_vocab: int | None,
        without: Iterable[str],
    ) -> list[Answers]:
        """Return the answers to questions of several terms each."""
        count = _checks.integer(topn, "topn", 0)
        first = (
            None if restrict_vocab is None else _checks.integer(restrict_vocab, "restrict_vocab", 0)
        )
        if isinstance(without, str):
            raise TypeError(f"without must be many words, not a single str: give [{without!r}]")
        directions = self._directions(questions)
        never = set(self.rows(list(without)).tolist())
        own = [self._own_rows(question) | never for question in questions]
        if not questions or count == 0:
            return [[] for _ in questions]
        rows, found = self._nearest(directions, count + max(map(len, own)), first)
        kept = []
        for near, their, left_out in zip(rows.tolist(), found.tolist(), own, strict=True):
            others = (pair for pair in zip(near, their, strict=True) if pair[0] not in left_out)
            kept.append(list(islice(others, count)))
        names = iter(self._words.take(np.array([row for one in kept for row, _ in one], np.int64)))
        return [[(next(names), cosine) for _, cosine in one] for one in kept]

    def _own_rows(self, question: Sequence[Term]) -> set[int]:
        """Return the rows of a question's words, and -1, which stands for none."""
        words = [item for item, _ in question if isinstance(item, str)]
        return {-1, *self.rows(words).tolist()}

    def _directions(self, questions: Sequence[Sequence[Term]]) -> NDArray[np.float64]:
        """Return the direction of each question, (questions, dim)."""
        vectors = iter(self._vectors_of([term for question in questions for term in question]))
        directions = np.empty((len(questions), self.dim))
        for place, question in enumerate(questions):
            if not question:
                raise ValueError("a question needs a word or a vector: there is none")
            with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is refused below
                directions[place] = _direction(question, vectors)
        _refuse_without_direction(directions, questions)
        return directions

    def _vectors_of(self, terms: Sequence[Term]) -> list[NDArray[np.float64]]:
        """Return the vector of each term in float64, not weighted."""
        words = list(dict.fromkeys(item for item, _ in terms if isinstance(item, str)))
        if not self.has_subwords:
            for place in np.flatnonzero(self.rows(words) < 0)[:1]:
                raise KeyError(unknown_word(words[place], self._words))
        found = dict(zip(words, self._vectors(words).astype(np.float64), strict=True))
        made = []
        for item, _ in terms:
            vector = found[item] if isinstance(item, str) else item
            if vector.shape != (self.dim,):
                raise ValueError(f"a vector has shape {vector.shape}, but must have ({self.dim},)")
            made.append(vector)
        return made


def _direction(
    question: Sequence[Term], vectors: Iterator[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return the direction of a question, whose terms have the next vectors."""
    if len(question) == 1:  # as it lies, so that its cosines are those of similarity
        ((_, weight),) = question
        return float(np.sign(weight)) * next(vectors)
    mean: NDArray[np.float64] = np.zeros(())
    for item, weight in question:
        vector = next(vectors)
        mean = mean + weight * (unit(vector) if isinstance(item, str) else vector)
    return mean


def _refuse_without_direction(
    directions: NDArray[np.float64], questions: Sequence[Sequence[Term]]
) -> None:
    largest = np.max(np.abs(directions), axis=1, initial=0)
    for place in np.flatnonzero(~((largest > 0) & (largest < np.inf)))[:1]:
        names = [item if isinstance(item, str) else "a vector" for item, _ in questions[place]]
        what = "zeros" if largest[place] == 0 else "not finite"
        raise ValueError(f"the question {names} has no direction: its vector is {what}")


def unknown_word(word: str, words: Words) -> str:
    """Return what is said of a word that is none of these."""
    like = nearest_spelling(word, words)
    more = "" if like is None else f"; the nearest spelling is {like!r}"
    return f"{word!r} is none of the {len(words):,} words{more}"


def unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a vector scaled to length 1; one of zeros, or not finite, as it is."""
    _, exponent = np.frexp(np.max(np.abs(vector), initial=0))
    scaled = np.ldexp(vector, -exponent)  # so that no square leaves the range of float64
    length = math.sqrt(math.fsum(np.square(scaled)))
    return scaled / length if 0 < length < math.inf else vector


def _terms(given: Any, name: str, sign: float) -> list[Term]:
    """Return the terms of a word, of a vector, of a pair of one and its weight, or of a list."""
    if given is None:
        return []
    if _is_term(given):
        return [_term(given, name, sign)]
    if not isinstance(given, Iterable):
        raise TypeError(f"{name} must be words or vectors, not {type(given).__name__}")
    return [_term(item, f"item {place} of {name}", sign) for place, item in enumerate(given)]


def _is_term(given: Any) -> bool:
    if isinstance(given, (str, bytes)):
        return True
    if is_array(given):
        return as_array(given, "a vector").ndim == 1 and not _has_words(given)
    return isinstance(given, tuple) and len(given) == 2 and _is_weight(given[1])


def _has_words(array: Any) -> bool:
    return np.asarray(array).dtype.kind in "OUT"


def _is_weight(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, (bool, np.bool_))


def _term(item: Any, name: str, sign: float) -> Term:
    """Return a word or a vector, and its weight."""
    weight = sign
    if isinstance(item, tuple) and len(item) == 2 and _is_weight(item[1]):
        weight = _checks.real(item[1], f"the weight of {name}")
        item = item[0]
    if isinstance(item, str):
        return str(item), weight
    if not is_array(item) or _has_words(item):
        raise TypeError(f"{name} must be a word or a vector, not {type(item).__name__}")
    array = as_array(item, name)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be a vector of real numbers, not of {array.dtype}")
    return array.astype(np.float64), weight
