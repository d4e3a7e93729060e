"""Which words are learned, and in which rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyembed.vectors._words import Words, index_of
from pyembed.vectors.vocabulary import Vocabulary
from pyembed.vectors.word_vectors import WordVectors
from pyembed.word2vec._corpus import Corpus


@dataclass(frozen=True)
class Rows:
    """Words with a row each.

    Attributes
    ----------
    words : Words
        By row.
    of_numbers : ndarray of int32
        The row of each of the corpus's numbers, -1 where it is not learned from.
    counts : ndarray of int64
        How often each word is learned from, by row.
    """

    words: Words
    of_numbers: NDArray[np.int32]
    counts: NDArray[np.int64]


def rows_of(
    corpus: Corpus,
    vocabulary: Vocabulary | None,
    initial: WordVectors | None,
    min_count: int,
    max_vocab: int | None,
) -> Rows:
    """Return the words that are learned: those of `initial` first, then by frequency.

    Where the corpus has ids, row i is that of id i.
    """
    if corpus.names is None:
        words, learned = _of_ids(corpus, vocabulary, initial, min_count, max_vocab)
    else:
        words = _of_words(corpus, corpus.names, vocabulary, initial, min_count, max_vocab)
        learned = index_of(words).find_bytes(corpus.names.data, corpus.names.starts)
    counts = np.zeros(len(words), np.int64)
    counts[learned[learned >= 0]] = corpus.counts[learned >= 0]
    if np.count_nonzero(counts) < 2:
        raise ValueError(
            f"there is nothing to learn: {np.count_nonzero(counts)} of the corpus's "
            f"{np.count_nonzero(corpus.counts)} words are frequent enough and wanted "
            f"(min_count={min_count}), and two are the least"
        )
    return Rows(words, learned.astype(np.int32), counts)


def _of_words(
    corpus: Corpus,
    names: Words,
    vocabulary: Vocabulary | None,
    initial: WordVectors | None,
    min_count: int,
    max_vocab: int | None,
) -> Words:
    if vocabulary is not None:
        chosen = [word for word in vocabulary.words if word not in _roles(vocabulary)]
    else:
        made = Vocabulary.from_counts(
            (names, corpus.counts), min_count=min_count, padding=None, unknown=None
        )
        chosen = made.words
    if initial is None:
        return Words.of(chosen[:max_vocab])
    new = np.flatnonzero(initial.rows(chosen) < 0)
    room = None if max_vocab is None else max(max_vocab - len(initial), 0)
    return Words.of([*initial.words, *(chosen[place] for place in new[:room])])


def _of_ids(
    corpus: Corpus,
    vocabulary: Vocabulary | None,
    initial: WordVectors | None,
    min_count: int,
    max_vocab: int | None,
) -> tuple[Words, NDArray[np.int64]]:
    counts = corpus.counts
    size = max(len(counts), 0 if initial is None else len(initial))
    if vocabulary is not None:
        if len(counts) > len(vocabulary):
            raise ValueError(
                f"the corpus has id {len(counts) - 1}, but the vocabulary {len(vocabulary)} entries"
            )
        words, least = vocabulary.words, 1
    else:
        words, least = [str(number) for number in range(size)], min_count
    if initial is not None and list(initial.words) != words[: len(initial)]:
        raise ValueError("initial must have the same words as the ids stand for, from the first on")
    learned = np.where(counts >= max(least, 1), np.arange(len(counts)), -1)
    if vocabulary is not None:
        learned[[row for row in vocabulary._ids if row is not None and row < len(counts)]] = -1
    if max_vocab is not None:
        order = np.argsort(-counts, kind="stable")
        learned[order[max_vocab:]] = -1
    return Words.of(words), learned


def _roles(vocabulary: Vocabulary) -> set[str]:
    return {role for role in (vocabulary.padding, vocabulary.unknown) if role is not None}
