"""Question 2: do pretrained vectors help, and most where snippets are few?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

import pyembed as pe
from pyembed import word2vec
from pyembed.vectors import Vocabulary, WordVectors

from .classifier import BagClassifier, FloatArray
from .snippets import UNKNOWN, Snippets, Split


class Start(Enum):
    """What the word vectors are before training, and whether they are trained."""

    SCRATCH = "from scratch"
    OWN = "own text, fine-tuned"
    FROZEN = "GloVe, frozen"
    TUNED = "GloVe, fine-tuned"


# Adam's learning rates: of those tried (0.0003 to 0.01 for the table, 0.01 to 0.1 for the rest),
# the best on the whole for each start, by validation films of other seeds than the default ones.
TABLE_RATE = 0.001
DENSE_RATE = {Start.SCRATCH: 0.01, Start.OWN: 0.03, Start.FROZEN: 0.03, Start.TUNED: 0.03}

# Word2vec's arguments for the text of the training films, chosen in the same way: it is so small
# that it is read often, and rare words are left in.
WORD2VEC = {"window": 5, "negative": 5, "min_count": 2, "sample": 1e-3, "epochs": 20}


@dataclass(frozen=True)
class Pretrained:
    """Pretrained vectors of a vocabulary; row 0 is for unknown words."""

    vectors: FloatArray  # (rows, dim), zeros where a word has no pretrained vector
    known: npt.NDArray[np.bool_]  # (rows,), whether it has one

    @classmethod
    def select(cls, words: Vocabulary, glove: WordVectors) -> Pretrained:
        """Take the vectors of a vocabulary."""
        emb, coverage = glove.to_embedding(words)
        known = np.ones(len(words), np.bool_)
        known[[UNKNOWN, *coverage.missing_ids]] = False
        return cls(emb.embeddings, known)

    @classmethod
    def from_text(cls, text: Snippets, rows: int, dim: int, seed: int) -> Pretrained:
        """Train them on a text, by which words stand together: no label has a say."""
        snippets = np.split(text.ids, text.offsets[1:])
        trained = word2vec.train(snippets, dim=dim, seed=seed, progress=False, **WORD2VEC)
        learned = np.flatnonzero(trained.counts)  # row i is that of id i, and not all are learned
        vectors = np.zeros((rows, dim), np.float32)
        vectors[learned] = trained.matrix[learned]
        known = np.zeros(rows, np.bool_)
        known[learned] = True
        return cls(vectors, known)


@dataclass(frozen=True)
class Trained:
    """A classifier after training, and its accuracy on films it has never seen."""

    classifier: BagClassifier
    snippets: int
    accuracy: float


def train(
    start: Start, split: Split, size: int | None, first: Pretrained, *, steps: int, seed: int
) -> Trained:
    """Train on ``size`` snippets drawn at random, or on all, and judge on the test films.

    The vectors are ``first`` before that; from scratch, these tell their shape alone. A word takes
    part if the model can know anything of it: from scratch, the words of its training snippets;
    frozen, those with a first vector; fine-tuned, both. The other words are skipped: left in, their
    random or zero vectors would only be noise.
    """
    order = np.random.default_rng([seed, 1]).permutation(len(split.training))
    training = split.training.take(order[:size])
    seen = np.zeros(len(first.known), np.bool_)
    seen[training.ids] = True
    known = {Start.SCRATCH: seen, Start.FROZEN: first.known}.get(start, seen | first.known)

    classifier = BagClassifier(
        _make_bag(start, first, seed),
        seed=seed,
        table_rate=TABLE_RATE,
        dense_rate=DENSE_RATE[start],
    )
    training, validation, test = (
        part.restrict(known) for part in (training, split.validation, split.test)
    )
    classifier.fit(training, validation, steps=steps, seed=seed)
    return Trained(classifier, len(training), classifier.accuracy(test))


def _make_bag(start: Start, first: Pretrained, seed: int) -> pe.EmbeddingBag:
    if start is Start.SCRATCH:
        rows, dim = first.vectors.shape
        return pe.EmbeddingBag(rows, dim, mode="mean", padding_idx=UNKNOWN, seed=seed)
    return pe.EmbeddingBag.from_pretrained(
        first.vectors,
        trainable=start is not Start.FROZEN,
        copy=True,
        mode="mean",
        padding_idx=UNKNOWN,
    )


def majority_accuracy(split: Split) -> float:
    """Return the accuracy of always giving the commoner answer of the training snippets."""
    return float(np.mean(split.test.labels == np.round(split.training.labels.mean())))


@dataclass(frozen=True)
class LearningCurve:
    """The accuracy of one start: a row for each number of snippets, a column for each seed."""

    snippets: npt.NDArray[np.int64]
    accuracy: npt.NDArray[np.float64]

    def mean(self) -> npt.NDArray[np.float64]:
        """Return the mean over the seeds."""
        return self.accuracy.mean(axis=1)

    def spread(self) -> npt.NDArray[np.float64]:
        """Return the standard deviation over the seeds."""
        return self.accuracy.std(axis=1, ddof=1)

    def gain_over(self, other: LearningCurve) -> LearningCurve:
        """Subtract seed by seed: both had the same films, so luck with those cancels out."""
        return LearningCurve(self.snippets, self.accuracy - other.accuracy)
