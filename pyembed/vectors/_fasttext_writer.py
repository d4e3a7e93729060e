"""Writing fastText's binary models, as its last version does."""

from __future__ import annotations

import struct
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pyembed.vectors import _fasttext
from pyembed.vectors._blocks import blocks
from pyembed.vectors._subwords import Subwords
from pyembed.vectors._training import Training
from pyembed.vectors._words import Words

_BEGINNING = _fasttext.MAGIC + struct.pack("<i", _fasttext.VERSIONS[-1])
_NOT_PRUNED = struct.pack("<q", -1)
_NOT_QUANTISED = b"\0"
_COUNT = "<xqx"  # behind the zero byte that ends a word; and the kind of a word
_WORD_NGRAMS, _UPDATE_RATE = 1, 100  # fastText's defaults; they are for classifiers and threads
_LARGEST = 2**31 - 1


def write(
    file: IO[bytes],
    words: Words,
    matrix: NDArray[Any],
    counts: NDArray[np.int64] | None,
    subwords: Subwords | None,
    training: Training | None,
) -> None:
    """Write words, a table of what they and their n-grams have, and what they were trained with.

    Raises
    ------
    ValueError
        If counts are not known, or numbers are beyond those that such a file has.
    """
    counts = _known(counts, words)
    training = Training() if training is None else training
    subwords = None if subwords is None else subwords.astype(np.float32)
    rows, dim = matrix.shape
    buckets = 0 if subwords is None else len(subwords.matrix)
    file.write(_BEGINNING + _header(rows, dim, subwords, training))
    _write_dictionary(file, words, counts, training.tokens)
    file.write(_NOT_QUANTISED + struct.pack("<2q", rows + buckets, dim))
    for start, stop in blocks(rows, dim):
        own = _own_rows(words.take(np.arange(start, stop)), matrix[start:stop], subwords, start)
        _write_rows(file, own, "own vector of word", start)
    for start, stop in blocks(buckets, dim):
        assert subwords is not None
        _write_rows(file, subwords.matrix[start:stop], "vector of bucket", start)
    file.write(_NOT_QUANTISED + struct.pack("<2q", rows, dim))
    for start, stop in blocks(rows, dim):
        output = np.zeros((stop - start, dim), np.float32)  # a tree has fewer nodes than words
        if training.output is not None:
            known = training.output[start:stop]
            output[: len(known)] = known
        _write_rows(file, output, "output of word", start)


def _known(counts: NDArray[np.int64] | None, words: Words) -> NDArray[np.int64]:
    """Refuse words without counts, which gensim would leave out."""
    if counts is None:
        raise ValueError("the format 'fasttext' has the counts of all words, which wv has not")
    if len(counts) and counts.min() < 1:
        place = int(np.argmin(counts))
        raise ValueError(
            f"the count of {words[place]!r} is {counts[place]}: in the format 'fasttext' it must "
            "be from 1 on"
        )
    return counts


def _header(rows: int, dim: int, subwords: Subwords | None, training: Training) -> bytes:
    """Return the arguments as they stand in a file."""
    ngrams = (0, 0, 0)
    if subwords is not None:
        ngrams = (len(subwords.matrix), subwords.shortest, subwords.longest)
    loss = _fasttext.LOSSES.index(training.loss) + 1
    model = _fasttext.MODELS.index(training.model) + 1
    numbers = (
        *(dim, training.window, training.epochs, training.min_count, training.negative),
        *(_WORD_NGRAMS, loss, model, *ngrams, _UPDATE_RATE, training.sample),
    )
    if not _fasttext.are_arguments(numbers) or max(rows, *numbers) > _LARGEST:
        raise ValueError(
            f"{rows} words and {ngrams[0]} buckets of {dim} numbers, with n-grams of {ngrams[1]} "
            f"to {ngrams[2]} characters, are beyond the format 'fasttext'"
        )
    return struct.pack(_fasttext.ARGUMENTS, *numbers)


def _write_dictionary(
    file: IO[bytes], words: Words, counts: NDArray[np.int64], tokens: int | None
) -> None:
    rows = len(words)
    tokens = int(counts.sum()) if tokens is None else tokens
    file.write(struct.pack(_fasttext.DICTIONARY, rows, rows, 0, tokens) + _NOT_PRUNED)
    for start, stop in blocks(rows, 64):
        entries = zip(words[start:stop], counts[start:stop].tolist(), strict=True)
        file.write(b"".join(word.encode() + struct.pack(_COUNT, n) for word, n in entries))


def _own_rows(
    words: Words, vectors: NDArray[Any], subwords: Subwords | None, start: int
) -> NDArray[np.float32]:
    """Return the rows that words have of their own: those that are known, where they still fit."""
    with np.errstate(over="ignore"):  # refused when they are written
        vectors = vectors.astype(np.float32)
    if subwords is None:
        return vectors
    own = subwords.parted(words, vectors)
    if subwords.rows is not None:
        known = subwords.rows[start : start + len(vectors)]
        fits = (subwords.composed(words, known) == vectors).all(axis=1)
        own[fits] = known[fits]
    return own


def _write_rows(file: IO[bytes], rows: NDArray[Any], what: str, start: int) -> None:
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        row = start + int(np.argmin(finite))
        raise ValueError(f"the {what} {row} has numbers that the format 'fasttext' has not")
    file.write(rows.astype("<f4").tobytes())
