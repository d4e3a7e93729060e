"""How well vectors know what people say of words: similarities of pairs, and analogies."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyembed import _checks
from pyembed.vectors._nearest import Nearest, cosines
from pyembed.vectors._words import Words
from pyembed.vectors.questions import unit

Quadruple = tuple[str, str, str, str]

_CONSIDERED = 5  # answers to an analogy, of which the first that is another word counts


class WordPairScores(NamedTuple):
    """How cosines go with people's judgements of pairs.

    Attributes
    ----------
    pearson, spearman : float
        Coefficients of correlation, of the numbers and of their ranks; nan where either does not
        vary. (For their p-values, see `scipy.stats.pearsonr`.)
    oov_ratio : float
        How many of a hundred pairs have a word that is not known.
    pairs : int
        That the coefficients were computed of.
    skipped : int
        Lines of the file that are neither a pair with its number, nor blank, nor a comment.
    """

    pearson: float
    spearman: float
    oov_ratio: float
    pairs: int
    skipped: int


class AnalogySection(NamedTuple):
    """A section of analogies: "a is to b as c to d", by whether d was the answer."""

    section: str
    correct: list[Quadruple]
    incorrect: list[Quadruple]

    @property
    def score(self) -> float:
        """The share of right answers; 0 where nothing was asked."""
        return len(self.correct) / max(len(self.correct) + len(self.incorrect), 1)


class AnalogyScores(NamedTuple):
    """How many analogies were right.

    Attributes
    ----------
    score : float
        The share of right answers in all sections together.
    sections : list of AnalogySection
    oov_ratio : float
        How many of a hundred analogies have a word that is not known.
    skipped : int
        Lines of the file that are no four words, nor a section, nor blank.
    """

    score: float
    sections: list[AnalogySection]
    oov_ratio: float
    skipped: int


class Evaluations(ABC):
    """What vectors can be tested by: gensim's protocols, with its numbers."""

    matrix: NDArray[Any]
    _words: Words

    @abstractmethod
    def _nearest(self, questions: NDArray[np.float64], k: int, first: int | None) -> Nearest:
        """Return for each question the k nearest rows, of the `first` ones, and their cosines."""

    def evaluate_word_pairs(
        self,
        path: str | os.PathLike[str],
        *,
        delimiter: str = "\t",
        restrict_vocab: int | None = 300_000,
        case_insensitive: bool = True,
        dummy4unknown: bool = False,
    ) -> WordPairScores:
        """Compare cosines with people's judgements of how similar pairs of words are.

        Parameters
        ----------
        path : str or path
            A text in UTF-8 of two words and a number a line, such as WordSim-353 or SimLex-999.
            Lines that begin with "#" are comments.
        delimiter : str
            Between the words and the number.
        restrict_vocab : int or None
            The words that are known: so many from the first, or all.
        case_insensitive : bool
            Whether words are compared in capitals; of several, the first is known.
        dummy4unknown : bool
            Whether a pair with an unknown word counts as one of cosine 0; else it is left out.

        Returns
        -------
        WordPairScores

        Raises
        ------
        ValueError
            If no pair is left, a line is no UTF-8, or `restrict_vocab` is negative.
        """
        known = self._known(restrict_vocab, case_insensitive)
        judged: list[float] = []
        pairs: list[tuple[int, int]] = []  # rows, or -1
        skipped = 0
        for line in _lines(path):
            if line.startswith("#") or not line.strip():
                continue
            fields = line.split(delimiter)
            number = _number(fields[-1])
            if len(fields) != 3 or number is None:
                skipped += 1
                continue
            one, other = (
                known.get(word.upper() if case_insensitive else word, -1) for word in fields[:2]
            )
            judged.append(number)
            pairs.append((one, other))
        rows = np.array(pairs, np.int64).reshape(-1, 2)
        there = (rows[:, 0] >= 0) & (rows[:, 1] >= 0)
        found = np.zeros(len(rows))
        found[there] = self._cosines(rows[there])
        counted = np.ones_like(there) if dummy4unknown else there
        if not counted.any():
            raise ValueError(
                f"{os.fspath(path)}: no pair of known words with a number, {delimiter!r} between "
                f"them ({len(rows)} pairs, {skipped} other lines)"
            )
        people, ours = np.array(judged)[counted], found[counted]
        return WordPairScores(
            _correlation(people, ours),
            _correlation(_ranks(people), _ranks(ours)),
            100.0 * float(np.mean(~there)),
            len(ours),
            skipped,
        )

    def evaluate_analogies(
        self,
        path: str | os.PathLike[str],
        *,
        restrict_vocab: int | None = 300_000,
        case_insensitive: bool = True,
        dummy4unknown: bool = False,
    ) -> AnalogyScores:
        """Ask analogies, and count the right answers.

        The answer to "a is to b as c to …" is the known word nearest to b - a + c, of vectors that
        are scaled to length 1, that is none of the three.

        Parameters
        ----------
        path : str or path
            A text in UTF-8 of four words a line, in sections that begin with a line ": name", such
            as word2vec's questions-words.txt.
        restrict_vocab : int or None
            The words that are known: so many from the first, or all.
        case_insensitive : bool
            Whether words are compared in capitals; of several, the first is known.
        dummy4unknown : bool
            Whether an analogy with an unknown word counts as answered wrongly; else it is left out.

        Returns
        -------
        AnalogyScores

        Raises
        ------
        ValueError
            If there is no analogy, one stands before the first section, a line is no UTF-8, or
            `restrict_vocab` is negative.
        """
        known = self._known(restrict_vocab, case_insensitive)
        sections, skipped = _sections(path, case_insensitive)
        asked = [words for _, quadruples in sections for words in quadruples]
        if not asked:
            raise ValueError(f"{os.fspath(path)}: no line of four words ({skipped} other lines)")
        rows = np.array([[known.get(word, -1) for word in words] for words in asked], np.int64)
        there = np.flatnonzero((rows >= 0).all(axis=1))
        answers: dict[int, str | None] = dict.fromkeys(range(len(rows)) if dummy4unknown else ())
        found = self._answers(rows[there], restrict_vocab, case_insensitive)
        answers.update(zip(there.tolist(), found, strict=True))
        numbered = iter(enumerate(asked))
        told = [
            _outcome(name, [next(numbered) for _ in quadruples], answers)
            for name, quadruples in sections
        ]
        right = sum(len(section.correct) for section in told)
        unknown = len(rows) - len(there)
        return AnalogyScores(
            right / max(len(answers), 1), told, 100.0 * unknown / len(rows), skipped
        )

    def _known(self, restrict_vocab: int | None, case_insensitive: bool) -> dict[str, int]:
        """Return the rows of known words."""
        if restrict_vocab is not None:
            restrict_vocab = _checks.integer(restrict_vocab, "restrict_vocab", 0)
        known: dict[str, int] = {}
        for row, word in enumerate(self._words[:restrict_vocab]):
            known.setdefault(word.upper() if case_insensitive else word, row)
        return known

    def _cosines(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the cosine of each pair of rows, (pairs, 2)."""
        return cosines(self.matrix, rows[:, 0], self.matrix[rows[:, 1]].astype(np.float64))

    def _answers(
        self, rows: NDArray[np.int64], restrict_vocab: int | None, case_insensitive: bool
    ) -> list[str | None]:
        """Return the answer to each analogy, (analogies, 4) rows; None where there is none."""
        distinct, places = np.unique(rows, return_inverse=True)
        units = np.zeros((len(distinct), self.matrix.shape[1]))
        for place, vector in enumerate(self.matrix[distinct].astype(np.float64)):
            units[place] = unit(vector)
        a, b, c = (units[of] for of in places.reshape(rows.shape).T[:3])
        directions = b + c - a
        asked = np.flatnonzero(directions.any(axis=1) & np.isfinite(directions).all(axis=1))
        found, _ = self._nearest(directions[asked], _CONSIDERED + 3, restrict_vocab)
        answers: list[str | None] = [None] * len(rows)
        for place, near in zip(asked.tolist(), found.tolist(), strict=True):
            own = rows[place, :3].tolist()
            others = [row for row in near if row >= 0 and row not in own][:_CONSIDERED]
            names = [self._words[row] for row in (*own, *others)]
            if case_insensitive:
                names = [name.upper() for name in names]
            answers[place] = next((name for name in names[3:] if name not in names[:3]), None)
        return answers


def _sections(
    path: str | os.PathLike[str], case_insensitive: bool
) -> tuple[list[tuple[str, list[Quadruple]]], int]:
    """Return the sections of a file with their analogies, and how many lines are neither."""
    sections: list[tuple[str, list[Quadruple]]] = []
    skipped = 0
    for place, line in enumerate(_lines(path), 1):
        if line.startswith(": "):
            sections.append((line.lstrip(": ").strip(), []))
            continue
        words = (line.upper() if case_insensitive else line).split()
        if not words:
            continue
        if not sections:
            raise ValueError(f"{os.fspath(path)}: line {place} stands before the first section")
        if len(words) == 4:
            sections[-1][1].append((words[0], words[1], words[2], words[3]))
        else:
            skipped += 1
    return sections, skipped


def _outcome(
    name: str, asked: list[tuple[int, Quadruple]], answers: dict[int, str | None]
) -> AnalogySection:
    """Return a section of analogies, by their numbers, and answers to those that count."""
    made = AnalogySection(name, [], [])
    for number, words in asked:
        if number in answers:
            (made.correct if answers[number] == words[3] else made.incorrect).append(words)
    return made


def _lines(path: str | os.PathLike[str]) -> Iterator[str]:
    with open(path, "rb") as file:
        for place, line in enumerate(file, 1):
            try:
                yield line.decode("utf-8-sig" if place == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise ValueError(f"{os.fspath(path)}: line {place} is no UTF-8: {error}") from None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return Pearson's coefficient, nan where a side does not vary."""
    a, b = (side - math.fsum(side) / len(side) for side in (a, b))
    squares = math.fsum(a * a) * math.fsum(b * b)
    return math.fsum(a * b) / math.sqrt(squares) if squares > 0 else math.nan


def _ranks(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks from 1, equal numbers the mean of theirs."""
    _, places, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks
