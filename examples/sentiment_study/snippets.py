"""Texts as arrays of word ids, and the split that keeps every film on one side."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pyembed.vectors import Vocabulary

# Words that a model has no vector for share this id: its bag skips them (padding_idx).
UNKNOWN = 0

# GloVe's own conventions, so that most words are found in it: "don't" is "do" and "n't", "it's" is
# "it" and "'s", hyphens part words. Of the punctuation, only what shouts or asks is kept.
_TOKEN = re.compile(r"[^\W\d_]+?(?=n't)|n't|'(?:s|re|ve|ll|d|m)\b|[^\W\d_]+|\d+|[!?]")


def tokenize(text: str) -> list[str]:
    """Split a text into lower-case words.

    >>> tokenize("It\u2019s junk, but you can't-miss junk!")
    ['it', "'s", 'junk', 'but', 'you', 'ca', "n't", 'miss', 'junk', '!']
    """
    return _TOKEN.findall(text.lower().replace("\u2019", "'"))


@dataclass(frozen=True)
class Snippets:
    """Labelled bags of word ids, end to end: the form that ``EmbeddingBag`` reads.

    Snippet ``i`` is ``ids[offsets[i]:offsets[i + 1]]``; its label is 1 if favourable, else 0.
    """

    ids: npt.NDArray[np.int64]  # (words,)
    offsets: npt.NDArray[np.int64]  # (snippets,)
    labels: npt.NDArray[np.float32]  # (snippets,)

    @classmethod
    def encode(
        cls,
        texts: Sequence[Sequence[str]],
        fresh: npt.NDArray[np.bool_],
        words: Vocabulary,
    ) -> Snippets:
        """Look the words of each text up."""
        return cls(*words.encode_texts(texts), labels=fresh.astype(np.float32))

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """How many words each snippet has, known or not."""
        return np.diff(self.offsets, append=len(self.ids))

    def take(self, which: npt.NDArray[np.int64]) -> Snippets:
        """Pick some snippets, in the order given."""
        lengths = self.lengths[which]
        offsets = np.cumsum(lengths) - lengths
        source = np.arange(lengths.sum()) + np.repeat(self.offsets[which] - offsets, lengths)
        return Snippets(self.ids[source], offsets, self.labels[which])

    def restrict(self, known: npt.NDArray[np.bool_]) -> Snippets:
        """Make every word unknown whose entry in ``known`` is False."""
        return Snippets(np.where(known[self.ids], self.ids, UNKNOWN), self.offsets, self.labels)

    def batches(self, size: int, rng: np.random.Generator) -> Iterator[Snippets]:
        """Go through all snippets in random order, again and again, ``size`` at a time."""
        while True:
            order = rng.permutation(len(self))
            for start in range(0, len(order), size):
                yield self.take(order[start : start + size])


@dataclass(frozen=True)
class Split:
    """The snippets to learn from, to choose the length of training by, and to be judged on."""

    training: Snippets
    validation: Snippets
    test: Snippets


def split_by_film(snippets: Snippets, films: npt.NDArray[np.str_], seed: int) -> Split:
    """Deal 70 % of the films to training, and 15 % each to validation and test.

    Snippets of one film share names and words, and often the verdict: a split by snippet would
    let a model recognise the film instead of the sentiment.
    """
    titles, film = np.unique(films, return_inverse=True)
    part = np.random.default_rng([seed, 0]).permutation(len(titles)) / len(titles)

    def films_between(low: float, high: float) -> Snippets:
        return snippets.take(np.flatnonzero((part[film] >= low) & (part[film] < high)))

    return Split(films_between(0.3, 1.0), films_between(0.15, 0.3), films_between(0.0, 0.15))
