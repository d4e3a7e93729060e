"""Loading word vectors."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from pyembed import _checks, _core
from pyembed.vectors import _fasttext, _formats, _model2vec, _native, _source
from pyembed.vectors._subwords import Subwords
from pyembed.vectors._training import Training
from pyembed.vectors._words import Words, as_strings
from pyembed.vectors.sentence_vectors import SentenceVectors, load_folder
from pyembed.vectors.vocabulary import Vocabulary
from pyembed.vectors.word_vectors import WordVectors

_WINDOW = 4 << 20  # bytes that are read at once; and the longest line


@overload
def load(
    path: str | os.PathLike[str],
    *,
    format: Literal["model2vec"],
    dtype: Any = "float32",
    mmap: bool = False,
) -> SentenceVectors: ...
@overload
def load(
    path: str | os.PathLike[str],
    *,
    format: str = "auto",
    keep: Vocabulary | Iterable[str] | None = None,
    dtype: Any = "float32",
    mmap: bool = False,
    limit: int | None = None,
    errors: str = "strict",
) -> WordVectors: ...
def load(
    path: str | os.PathLike[str],
    *,
    format: str = "auto",
    keep: Vocabulary | Iterable[str] | None = None,
    dtype: Any = "float32",
    mmap: bool = False,
    limit: int | None = None,
    errors: str = "strict",
) -> WordVectors:
    """Load word vectors that were trained somewhere.

    Parameters
    ----------
    path : path-like
        A file; compressed by gzip or not. Of a zip file with several members, one is named behind
        it: ``"glove.6B.zip/glove.6B.50d.txt"``. Or a folder of Model2Vec's.
    format : str
        ``"auto"`` looks at the file's beginning. Else one of

        - ``"glove"``: text, a line for each word: the word and its numbers;
        - ``"word2vec"``: the same below a line with the number of rows and of columns, as
          fastText's ``.vec`` is too;
        - ``"word2vec-binary"``: word2vec's ``.bin``;
        - ``"fasttext"``: fastText's ``.bin``, with vectors of words that are not in it;
        - ``"npy"``: a matrix of NumPy's, with the words, one a line, in ``NAME.words.txt`` beside
          ``NAME.npy``;
        - ``"safetensors"``: what `save` writes;
        - ``"model2vec"``: a folder of Model2Vec's, with vectors for texts.
    keep : Vocabulary or iterable of str, optional
        Words: others are not read.
    dtype : {'float32', 'float64'}
        Of the matrix. Numbers of a text become the nearest that the dtype has.
    mmap : bool
        Whether the matrix is a map of the file, read-only, which takes no time and no memory: of
        ``"safetensors"``, ``"npy"`` and ``"model2vec"``, uncompressed, in their own dtype.
    limit : int, optional
        Rows that are read at the most, from the first on: files have the most frequent words first.
    errors : {'strict', 'replace', 'skip'}
        What a faulty row does: raise `ValueError`, which tells line and column; be mended, where
        that can be (bytes that are no UTF-8 become U+FFFD, numbers that cannot be read, or are not
        finite, 0), and else left out; or be left out. What is mended and left out is told by one
        `UserWarning`. A word that was there before is faulty, and so is a header that tells another
        number of rows.

    Returns
    -------
    WordVectors
        Words in the order of the file. Of a folder of Model2Vec's, `SentenceVectors`: its tokens,
        a row for each, and `encode`. Numbers of float16 and int8 become those of `dtype`; where
        several tokens share a vector, since the vocabulary was quantised, each has its own again.

    Raises
    ------
    ImportError
        If it is a folder of Model2Vec's, and there is no `tokenizers` library.
    OSError
        If the file cannot be read, or is no regular one.
    TypeError
        If `dtype` is none of these.
    ValueError
        If the file is damaged, cut short, empty or of no known format, or an argument is not as
        described. The message names the file, and where it is a matter of a line, the line.

    Notes
    -----
    In a text, blanks and tabs part numbers, and the last of a line's fields are numbers: what
    stands before them is the word, even with blanks. Blank lines are ignored.
    """
    given = os.fsdecode(path)
    name = _checks.float_dtype(dtype)
    _checks.one_of(format, "format", ("auto", *_formats.FORMATS, "model2vec"))
    _checks.one_of(errors, "errors", ("strict", "replace", "skip"))
    most = None if limit is None else _checks.integer(limit, "limit", 0)
    if format == "model2vec" or (format == "auto" and _model2vec.is_folder(given)):
        if keep is not None or most is not None or errors != "strict":
            raise ValueError("keep, limit and errors are not for a folder of Model2Vec's")
        return load_folder(given, name, mmap)
    wanted = None if keep is None else _index_of(keep)
    with _source.opened(given) as source:
        kind = _formats.format_of(source) if format == "auto" else format
        if mmap and (kind not in ("npy", "safetensors") or not source.is_plain):
            raise ValueError(
                f"mmap=True is for uncompressed 'npy' and 'safetensors' files, not for {kind!r}: "
                "save it as one of these first"
            )
        if kind in ("npy", "safetensors") and not source.is_plain:
            raise ValueError(f"a {kind!r} file is not read from a compressed one: unpack it first")
        if kind in ("glove", "word2vec", "word2vec-binary"):
            return _of_rows(source, _formats.rows_of(source, kind), name, wanted, most, errors)
        words, matrix, counts, subwords, training = _whole(given, kind, mmap, source)
        words = _mended(words, source.name, errors)
        if mmap and matrix.dtype != name:
            raise ValueError(f"mmap=True: the file has {matrix.dtype}, not dtype={name!r}")
        return _some(words, matrix, counts, subwords, training, name, wanted, most)


def _index_of(keep: Vocabulary | Iterable[str]) -> _core.StringIndex:
    index = _core.StringIndex()
    index.insert(keep.words if isinstance(keep, Vocabulary) else as_strings(keep))
    return index


def _whole(
    path: str, kind: str, mmap: bool, source: _source.Source
) -> tuple[Words, NDArray[Any], NDArray[np.int64] | None, Subwords | None, Training | None]:
    """Return what a file has that is read at once."""
    if kind == "npy":
        return *_native.read_npy(path, mmap), None, None, None
    if kind == "safetensors":
        return *_native.read_safetensors(path, mmap), None
    model = _fasttext.Model(source)
    return model.words, model.vectors(), model.counts, model.subwords, model.training


def _mended(words: Words, name: str, errors: str) -> Words:
    """Refuse words that are no UTF-8, or mend them: their vectors are as good as others."""
    bad = _core.first_invalid(words.data, words.starts)
    if bad < 0:
        return words
    message = f"word {bad + 1}, {_bytes_of(words, bad)!r}, is no valid UTF-8"
    if errors == "strict":
        raise ValueError(message)
    warnings.warn(f"{name}: {message}: such words were mended", stacklevel=4)
    return Words.of(
        [_bytes_of(words, place).decode("utf-8", "replace") for place in range(len(words))]
    )


def _bytes_of(words: Words, place: int) -> bytes:
    return bytes(words.data[words.starts[place] : words.starts[place + 1]])


def _some(
    words: Words,
    matrix: NDArray[Any],
    counts: NDArray[np.int64] | None,
    subwords: Subwords | None,
    training: Training | None,
    dtype: str,
    wanted: _core.StringIndex | None,
    limit: int | None,
) -> WordVectors:
    """Return those rows that are wanted, in the dtype."""
    if wanted is not None:
        which = np.flatnonzero(wanted.find_bytes(words.data, words.starts) >= 0)[:limit]
    elif limit is not None and limit < len(words):
        which = np.arange(limit)
    else:
        which = None
    if which is not None:
        words, matrix = words.take(which), matrix[which]
        counts = None if counts is None else counts[which]
        subwords = None if subwords is None else subwords.taken(which)
    if matrix.dtype != dtype:
        matrix = matrix.astype(dtype)
    if subwords is not None:
        subwords = subwords.astype(dtype)
    return WordVectors._of(words, matrix, counts, subwords, training=training)


def _of_rows(
    source: _source.Source,
    rows: _formats.Rows,
    dtype: str,
    wanted: _core.StringIndex | None,
    limit: int | None,
    errors: str,
) -> WordVectors:
    """Read a text, or word2vec's binary rows, piece by piece."""
    kind = _core.Reader_float32 if dtype == "float32" else _core.Reader_float64
    reader = kind(
        is_text=rows.is_text,
        dim=rows.dim,
        first=rows.line if rows.is_text else rows.begin,
        limit=limit,
        errors=errors,
        keep=wanted,
        file_bytes=source.likely_size,
    )
    source.skip(rows.begin)
    if limit != 0:
        _feed(source, reader)
    _refuse(reader, rows, errors)
    index = _core.StringIndex()
    first_rows = reader.insert_into(index)
    if len(index) < len(reader):
        reader.drop_repeated(first_rows)
        _refuse(reader, rows, errors)
    is_whole = not reader.is_done
    if is_whole and rows.count is not None and rows.count != reader.entries:
        message = f"line 1: the header claims {rows.count} rows, but there are {reader.entries}"
        if errors == "strict":
            raise ValueError(message)
        warnings.warn(f"{source.name}: {message}", stacklevel=4)
    _warn(source, reader, rows)
    words = Words(*reader.take_words())
    return WordVectors._of(words, reader.matrix(rows.dim), index=index)


def _feed(source: _source.Source, reader: _core.Reader_float32) -> None:
    """Give a reader all of a file, as far as it wants it."""

    def take(piece: memoryview, is_last: bool) -> int | None:
        used = reader.feed(piece, is_last)
        return None if reader.is_done else used

    if not source.feed(take, _WINDOW):
        size = min(_WINDOW, source.size + 1) if source.size else _WINDOW
        raise ValueError(f"row {reader.entries + 1} is longer than {size} bytes")


def _refuse(reader: _core.Reader_float32, rows: _formats.Rows, errors: str) -> None:
    if errors == "strict" and reader.fault_count:
        raise ValueError(_told(reader, rows))


def _warn(source: _source.Source, reader: _core.Reader_float32, rows: _formats.Rows) -> None:
    if reader.fault_count:
        count = reader.fault_count
        faults = "a fault was" if count == 1 else f"{count:,} faults were"
        warnings.warn(
            f"{source.name}: {faults} mended or left out; {_told(reader, rows)}", stacklevel=5
        )


def _told(reader: _core.Reader_float32, rows: _formats.Rows) -> str:
    line, column, what, text = reader.faults()[0]
    where = f"line {line}, column {column}" if rows.is_text else f"row {line}, byte {column}"
    return f"{where}: {text!r} {what}"
