"""Saving word vectors."""

from __future__ import annotations

import os
from typing import IO, cast

import numpy as np

from pyembed import _checks, _core
from pyembed.io._replacing import replacing
from pyembed.vectors import _fasttext_writer, _formats, _native
from pyembed.vectors._blocks import blocks
from pyembed.vectors._words import Words
from pyembed.vectors.word_vectors import WordVectors

_ENDINGS = {
    ".txt": "glove",
    ".vec": "word2vec",
    ".bin": "word2vec-binary",
    ".npy": "npy",
    ".safetensors": "safetensors",
}
_FORMATS = (*_ENDINGS.values(), "fasttext")
_PACKED = ".gz"


def save(wv: WordVectors, path: str | os.PathLike[str], *, format: str = "auto") -> None:
    """Save word vectors.

    The file is replaced as a whole or not at all.

    Parameters
    ----------
    wv : WordVectors
    path : path-like
        A text or binary file is compressed where it ends with ``.gz``.
    format : str
        ``"glove"``, ``"word2vec"``, ``"word2vec-binary"``, ``"fasttext"``, ``"npy"`` or
        ``"safetensors"``, as `load` describes them; ``"auto"`` goes by the ending, before ``.gz``:
        ``.txt``, ``.vec``, ``.bin`` (word2vec's), ``.npy`` or ``.safetensors``. The last keeps all:
        the dtype, counts and subwords. fastText's has counts and subwords too. Text has the fewest
        digits that are read as the same numbers; binary files have float32.

    Raises
    ------
    OSError
        If the system refuses something, or `path` is there and no regular file.
    TypeError
        If `wv` is no `WordVectors`.
    ValueError
        If the format is not known; a word cannot stand in it (one with an end of line; one with a
        blank, in word2vec's binary file and where no header tells the number of columns); or a
        number is not finite there; or counts are missing that fastText's file has. The old file
        stays.

    Notes
    -----
    fastText's file has no vectors of words but what each has of its own, of which its vector is the
    mean with those of its n-grams. What was loaded from such a file is written as it was; a vector
    that was changed since, or comes from elsewhere, is read again but for rounding. What it was
    trained with is written where it is known, else fastText's defaults; the vectors that training
    on starts from are zeros where they are not known, as in a training that begins.
    """
    if not isinstance(wv, WordVectors):
        raise TypeError(f"wv must be WordVectors, not {type(wv).__name__}")
    given = os.fsdecode(path)
    name = given.removesuffix(_PACKED)
    kind = _checks.one_of(format, "format", ("auto", *_FORMATS))
    if kind == "auto":
        kind = format_of(given)
    if kind in ("npy", "safetensors"):
        if name != given:
            raise ValueError(f"a {kind!r} file is not compressed: {given!r}")
        return _save_whole(wv, given, kind)
    words = Words.of(wv.words)
    _check(words, wv, kind)
    with replacing(path) as file:
        if name == given:
            _write(wv, words, kind, file)
            return None
        import gzip

        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
            _write(wv, words, kind, cast(IO[bytes], packed))
    return None


def format_of(path: str) -> str:
    """Return the format that a file's ending stands for.

    Raises
    ------
    ValueError
        If it stands for none.
    """
    ending = os.path.splitext(path.removesuffix(_PACKED))[1].lower()
    if ending not in _ENDINGS:
        raise ValueError(f"{path!r} ends with none of {', '.join(_ENDINGS)}: give a format")
    return _ENDINGS[ending]


def _save_whole(wv: WordVectors, path: str, kind: str) -> None:
    words = Words.of(wv.words)
    _check_utf8(words)
    if kind == "npy":
        return _native.write_npy(path, words, wv.matrix)
    with replacing(path) as file:
        _native.write_safetensors(file, words, wv.matrix, wv.counts, wv._subwords)
    return None


def _check_utf8(words: Words) -> None:
    bad = _core.first_invalid(words.data, words.starts)
    if bad >= 0:
        raise ValueError(
            f"word {bad}, {words[bad]!r}, has half of a surrogate pair: no file has it"
        )


def _check(words: Words, wv: WordVectors, kind: str) -> None:
    """Refuse what would be read as something else."""
    _check_utf8(words)
    for place, word in enumerate(words):
        if not _fits(word, kind) or (place == 0 and word[:1] == "\ufeff" and kind != "fasttext"):
            raise ValueError(
                f"word {place}, {word!r}, cannot stand in the format {kind!r}: save as "
                "'safetensors'"
            )
    if kind == "word2vec" and _formats.swallow_numbers(
        [word.encode().split() for word in words[:100]]
    ):
        raise ValueError("all of the first words end with numbers: save as 'safetensors'")
    for start, stop in blocks(len(wv), wv.dim):
        finite = np.isfinite(wv.matrix[start:stop]).all(axis=1)
        if not finite.all():
            place = start + int(np.argmin(finite))
            raise ValueError(f"the vector of {words[place]!r} is not finite: save as 'safetensors'")
    if wv.dim == 0:
        raise ValueError(f"rows without numbers cannot stand in the format {kind!r}")


def _fits(word: str, kind: str) -> bool:
    if kind == "fasttext":
        return "\0" not in word
    forbidden = "\n\r\0" if kind == "word2vec" else " \t\n\r\0"
    return bool(word) and word.strip(" \t") == word and not any(c in word for c in forbidden)


def _write(wv: WordVectors, words: Words, kind: str, file: IO[bytes]) -> None:
    if kind == "fasttext":
        return _fasttext_writer.write(file, words, wv.matrix, wv.counts, wv._subwords, wv._training)
    if kind != "glove":
        file.write(f"{len(wv)} {wv.dim}\n".encode())
    for start, stop in blocks(len(wv), wv.dim):
        rows = np.require(wv.matrix[start:stop], requirements=["C", "A"])
        if kind == "word2vec-binary":
            pairs = zip(words[start:stop], rows.astype("<f4", copy=False), strict=True)
            file.write(b"".join(word.encode() + b" " + row.tobytes() for word, row in pairs))
            continue
        bounds = words.starts[start : stop + 1]
        data = words.data[bounds[0] : bounds[-1]]
        file.write(_core.lines_of_rows(data, bounds - bounds[0], rows))
    return None
