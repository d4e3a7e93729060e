"""Skip-gram and CBOW."""

from __future__ import annotations

import math
import os
import secrets
import time
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyembed import _checks, _core
from pyembed.config import get_num_threads
from pyembed.vectors._training import Training
from pyembed.vectors._words import as_strings, index_of
from pyembed.vectors.vocabulary import Vocabulary
from pyembed.vectors.word_vectors import WordVectors
from pyembed.word2vec._corpus import Corpus
from pyembed.word2vec._progress import Line, Progress
from pyembed.word2vec._rows import Rows, rows_of
from pyembed.word2vec._tables import Tables
from pyembed.word2vec._trained import TrainedVectors

_SLICE = 0.25  # seconds between two looks at signals
_LEARNERS = 16  # that share a round, at the most
_MOST_MOVES = (
    16  # of a row in a round, times the rate: more, and few words among many learners diverge
)
_BLOCK = 8192  # places of a corpus that are dealt out at once
_BATCH, _LEAST_BATCH = 128, 16  # windows that are learned from one reading of the tables
_IN_FLIGHT = 1024  # windows of all threads that do not know of each other
_WHOLE = 2**32 - 1  # the largest share


def train(
    corpus: str | os.PathLike[str] | Iterable[Any],
    *,
    dim: int = 100,
    model: str = "skipgram",
    window: int = 5,
    negative: int = 5,
    min_count: int = 5,
    sample: float = 1e-3,
    epochs: int = 5,
    learning_rate: float = 0.025,
    min_learning_rate: float = 1e-4,
    ns_exponent: float = 0.75,
    loss: str = "ns",
    subword: tuple[int, int] | None = None,
    buckets: int = 2_000_000,
    max_vocab: int | None = None,
    vocabulary: Vocabulary | None = None,
    initial: WordVectors | None = None,
    frozen: Iterable[str] | None = None,
    seed: int | None = None,
    threads: int | None = None,
    deterministic: bool | None = None,
    progress: bool = True,
    callback: Callable[[Progress], Any] | None = None,
) -> TrainedVectors:
    """Learn word vectors from a text, as word2vec does.

    Parameters
    ----------
    corpus : path-like, or iterable of paths, of sequences of str, or of sequences of int
        Files of text in UTF-8, a document a line, its words parted by blanks; compressed by gzip or
        not. Or documents, each its words, or its ids: then row i is that of id i. It is read once:
        a generator serves. As numbers of 32 bits it stays in memory up to 256 MiB, and in a
        temporary file beyond that.
    dim : int
        Length of a vector.
    model : {'skipgram', 'cbow'}
        Whether each word of a window predicts the word in its middle, or the mean of all does.
    window : int
        Words to either side that a window has at the most; how many it has is drawn for each word,
        from 1 on. A window ends where its document does.
    negative : int
        Words that are drawn for each window, which are to be told from its middle.
    min_count : int
        The least count of a word that is learned.
    sample : float
        Words of which the corpus has a larger share than this are left out at random, with the
        chance ``1 - sqrt(sample / share) - sample / share``; 0: none are.
    epochs : int
        How often the corpus is learned from.
    learning_rate, min_learning_rate : float
        At the beginning and at the end: it falls from place to place, and never rises.
    ns_exponent : float
        Negatives are drawn in proportion to this power of their counts.
    loss : {'ns', 'hs'}
        What predicts a word: negative sampling, or the hierarchical softmax, that is the turns on
        the way to it in a Huffman tree.
    subword : (int, int), optional
        The least and the most characters of n-grams, which have vectors too, as fastText's (3, 6):
        a word's vector is the mean of its own and of those of its n-grams, and words that are not
        in the corpus have one.
    buckets : int
        Of `subword`: rows that the n-grams share, by their hashes.
    max_vocab : int, optional
        The most words that are learned, the most frequent ones.
    vocabulary : Vocabulary, optional
        The words that are learned, whatever their counts. Of ids: what they stand for.
    initial : WordVectors, optional
        Vectors to begin with, of all their words; others are added behind them. Where they come
        from `train`, the output table goes on too, but not that of a tree, which is another one.
        With `subword`, they must have n-grams of these lengths and as many buckets.
    frozen : iterable of str, optional
        Words whose vectors stay as they are.
    seed : int, optional
        From 0 to 2**64 - 1; drawn at random where None.
    threads : int, optional
        `get_num_threads` where None.
    deterministic : bool, optional
        True: the same bits by any number of threads, with any instruction set. False: threads read
        and write rows while others do, which is as good and needs no waiting; but no two runs are
        alike. None: True where a `seed` is given.
    progress : bool
        Whether the progress is shown on a terminal, if it takes more than 3 seconds.
    callback : callable, optional
        Called with a `Progress`, a few times a second and at the end. Where it returns True,
        training ends there.

    Returns
    -------
    TrainedVectors
        Words, the most frequent first, with `counts`; and `output`, the table that they were
        predicted with.

    Raises
    ------
    OSError
        If a file cannot be read.
    TypeError, ValueError
        If an argument is not as described, a file is no text, or there are fewer than two words to
        learn.

    Warns
    -----
    UserWarning
        If it is interrupted (Ctrl-C) while it learns: what has been learned so far is returned.

    Notes
    -----
    Negatives are shared by the words of a window, and a batch of windows is learned at a time, from
    copies of its rows; what has become of them is added to the tables. Deterministic training adds
    the changes of up to 16 batches in a fixed order: more threads than that find nothing to do. The
    larger the share of the most frequent word and the higher the rate, the fewer they are; 8 for a
    usual text. A row that several of them move far is moved less by the later ones.

    Each epoch takes the blocks of the corpus, of 8,192 words where there are many, in a random
    order of its own, and each block from its beginning to its end.

    With ``deterministic=False``, a number may be read by one thread while another writes it. What
    is read is then the old or the new one on every processor that pyembed is built for, though C++
    does not promise that.

    Examples
    --------
    >>> from pyembed import word2vec
    >>> texts = [["to", "be", "or", "not", "to", "be"]] * 100
    >>> wv = word2vec.train(texts, dim=8, seed=1)
    >>> list(wv.words), wv.counts
    (['be', 'to', 'not', 'or'], array([200, 200, 100, 100]))
    """
    width = _checks.integer(dim, "dim", 1, 2**31 - 1)
    means_inputs = _checks.one_of(model, "model", ("skipgram", "cbow")) == "cbow"
    _checks.one_of(loss, "loss", ("ns", "hs"))
    reach = _checks.integer(window, "window", 1, 10_000)
    negatives = _checks.integer(negative, "negative", 1, 10_000)
    least = _checks.integer(min_count, "min_count", 0)
    most = None if max_vocab is None else _checks.integer(max_vocab, "max_vocab", 2)
    share = _checks.real(sample, "sample", 0.0)
    rounds = _checks.integer(epochs, "epochs", 1, 2**31 - 1)
    first_rate = _checks.positive(learning_rate, "learning_rate")
    last_rate = _checks.real(min_learning_rate, "min_learning_rate", 0.0)
    exponent = _checks.real(ns_exponent, "ns_exponent")
    workers = get_num_threads() if threads is None else _checks.integer(threads, "threads", 1, 4096)
    is_alike = (seed is not None) if deterministic is None else bool(deterministic)
    if seed is None:
        seed = secrets.randbits(63)
    key = _checks.integer(seed, "seed", 0, 2**64 - 1)
    _check_given(vocabulary, initial, width)

    lengths = None if subword is None else _lengths(subword)
    count = 0 if lengths is None else _checks.integer(buckets, "buckets", 1, 2**31 - 1)
    if lengths is not None and frozen is not None:
        raise ValueError("frozen= is not for subword=: words share the vectors of their n-grams")

    began = time.monotonic()
    read = Corpus(corpus)
    rows = rows_of(read, vocabulary, initial, least, most)
    tables = Tables(rows, width, lengths, count, loss, initial, key)
    kept = _kept(rows, share)
    weights = np.maximum(rows.counts, 1).astype(np.float64) ** exponent * (rows.counts > 0)
    trainer = _core.Trainer(
        numbers=read.numbers,
        words=rows.of_numbers,
        kept=kept,
        inputs=tables.inputs,
        outputs=tables.outputs,
    )
    learners = _LEARNERS
    if loss == "hs":
        trainer.climb_tree(rows.counts)
    else:
        trainer.draw_negatives(weights, negatives)
        learners = _learners(rows, kept, weights, reach, negatives, first_rate)
    if frozen is not None:
        trainer.freeze(_frozen(rows, frozen))
    if tables.composed is not None:
        trainer.compose(*tables.composed)
    trainer.begin(
        window=reach,
        means_inputs=means_inputs,
        batch=_BATCH if is_alike else min(max(_IN_FLIGHT // workers, _LEAST_BATCH), _BATCH),
        epochs=rounds,
        learning_rate=first_rate,
        least_rate=min(first_rate, last_rate),
        seed=key,
        block=_block(len(read.numbers)),
        learners=learners if is_alike else workers,
        in_rounds=is_alike,
    )
    run = _Run(trainer, workers, int(rows.counts.sum()), len(read.numbers), rounds, began)
    interrupted = not run.to_the_end(Line(bool(progress)), callback)
    arguments = Training(
        model=model,
        loss=loss,
        window=reach,
        epochs=rounds,
        min_count=least,
        negative=negatives,
        sample=share,
        tokens=int(read.counts.sum()),
        output=tables.outputs,
    )
    counts = _all_counts(rows, initial)
    matrix, subwords = tables.vectors()
    made = TrainedVectors._of(rows.words, matrix, counts, subwords, training=arguments)
    assert isinstance(made, TrainedVectors)
    made.output = tables.outputs
    made.losses = run.losses()
    made.interrupted = interrupted
    return made


def _check_given(vocabulary: Any, initial: Any, dim: int) -> None:
    if vocabulary is not None and not isinstance(vocabulary, Vocabulary):
        raise TypeError(f"vocabulary must be a Vocabulary, not {type(vocabulary).__name__}")
    if initial is None:
        return
    if not isinstance(initial, WordVectors):
        raise TypeError(f"initial must be WordVectors, not {type(initial).__name__}")
    if initial.dim != dim:
        raise ValueError(f"initial has vectors of length {initial.dim}, but dim={dim}")


def _lengths(subword: Any) -> tuple[int, int]:
    """Return the lengths of n-grams, checked."""
    try:
        shortest, longest = subword
    except (TypeError, ValueError):
        raise ValueError(
            f"subword={subword!r} must be two lengths, of the shortest and the longest n-grams"
        ) from None
    low = _checks.integer(shortest, "subword[0]", 1, 1000)
    return low, _checks.integer(longest, "subword[1]", low, 1000)


def _kept(rows: Rows, sample: float) -> NDArray[np.uint32]:
    """Return which share of each number's places is learned from, of 2**32."""
    kept = np.full(len(rows.of_numbers), _WHOLE, np.uint32)
    if sample > 0:
        known = rows.of_numbers >= 0
        share = rows.counts[rows.of_numbers[known]] / rows.counts.sum() / sample
        kept[known] = np.minimum((1 / np.sqrt(share) + 1 / share) * _WHOLE, _WHOLE)
    return kept


def _frozen(rows: Rows, words: Iterable[str]) -> NDArray[np.bool_]:
    names = as_strings(words)
    found = index_of(rows.words).find(names).reshape(-1)
    if np.any(found < 0):
        place = int(np.argmax(found < 0))
        raise ValueError(
            f"frozen: {str(np.asarray(names, object).reshape(-1)[place])!r} is none of the words"
        )
    mask = np.zeros(len(rows.words), bool)
    mask[found] = True
    return mask


def _block(places: int) -> int:
    """Return how many places are dealt out at once: few where there are few in all."""
    return min(_BLOCK, max(64, places // (16 * _LEARNERS)))


def _learners(
    rows: Rows,
    kept: NDArray[np.uint32],
    weights: NDArray[np.float64],
    window: int,
    negative: int,
    learning_rate: float,
) -> int:
    """Return how many batches may be learned from the same tables.

    They do not see what the others do to a row that all of them have: the more often the most
    frequent one is there, the fewer they must be.
    """
    known = rows.of_numbers >= 0
    places = np.zeros(len(rows.words))
    places[rows.of_numbers[known]] = kept[known] / _WHOLE
    places *= rows.counts
    inputs = window + 1  # of a window, by and large
    as_input = (1 + negative) * places / places.sum()
    as_output = places / places.sum() + negative * weights / weights.sum()
    moves = inputs * max(as_input.max(), as_output.max()) * _BATCH * learning_rate
    most = min(max(_MOST_MOVES / moves, 1.0), _LEARNERS)
    return 1 << int(math.log2(most))


def _all_counts(rows: Rows, initial: WordVectors | None) -> NDArray[np.int64]:
    counts = np.array(rows.counts)
    if initial is not None and initial.counts is not None:
        counts[: len(initial)] += initial.counts
    return counts


class _Run:
    """Training that goes on until it is done, is interrupted or is told to end."""

    def __init__(
        self,
        trainer: _core.Trainer,
        threads: int,
        words: int,
        places: int,
        epochs: int,
        began: float,
    ) -> None:
        self._trainer = trainer
        self._threads = threads
        self._words = words  # of an epoch
        self._places = places  # of an epoch
        self._epochs = epochs
        self._began = began

    def to_the_end(self, line: Line, callback: Callable[[Progress], Any] | None) -> bool:
        """Train, showing the progress; return False if it did not come to the end."""
        try:
            is_going = True
            while is_going:
                is_going = self._trainer.run(_SLICE, self._threads)
                progress = self._progress(is_going)
                line.show(progress)
                if callback is not None and callback(progress) is True and is_going:
                    return False
        except KeyboardInterrupt:
            warnings.warn(
                f"training was interrupted at {self._progress(True)}: "
                "what has been learned so far is returned",
                stacklevel=3,
            )
            return False
        finally:
            line.done()
        return True

    def losses(self) -> list[float]:
        """Return the mean loss of each epoch's predictions."""
        return [total / count if count else math.nan for total, count in self._trainer.losses]

    def _progress(self, is_going: bool) -> Progress:
        share = self._trainer.places / (self._epochs * self._places) if is_going else 1.0
        total = self._words * self._epochs
        epoch = min(int(share * self._epochs), self._epochs - 1)
        return Progress(
            epoch + 1, int(share * total), total, time.monotonic() - self._began, self._loss(epoch)
        )

    def _loss(self, epoch: int) -> float:
        """Return the mean loss of an epoch, or of the one before while it has none."""
        known = [loss for loss in self.losses()[: epoch + 1] if not math.isnan(loss)]
        return known[-1] if known else math.nan
