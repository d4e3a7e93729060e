"""Word vectors in NumPy's and in the safetensors format: those that can be mapped."""

from __future__ import annotations

import math
import os
from typing import Any, BinaryIO, Literal, cast

import numpy as np
from numpy.typing import NDArray

from pyembed.io import _safetensors
from pyembed.io._replacing import check_regular, replacing
from pyembed.vectors import _vocabulary_files
from pyembed.vectors._subwords import Subwords
from pyembed.vectors._words import Words

_KEY, _VERSION = "pyembed.vectors", "1"
_WORDS = ".words.txt"


def read_safetensors(
    path: str, mmap: bool
) -> tuple[Words, NDArray[Any], NDArray[np.int64] | None, Subwords | None]:
    """Return the words, the matrix, the counts and the subwords of a file.

    Raises
    ------
    TypeError, ValueError
        If it is damaged, or none of these.
    """
    with open(path, "rb", buffering=0) as file:
        reader = _safetensors.Reader(cast(BinaryIO, file))
        if reader.metadata.get(_KEY) != _VERSION:
            raise ValueError(
                f"it has no word vectors: its metadata have no {_KEY!r} of version 1 (of a model "
                "of Model2Vec's, load the folder)"
            )

        def array(name: str, axes: int, dtypes: tuple[str, ...]) -> NDArray[Any]:
            stored = reader[name]
            if len(stored.shape) != axes or stored.dtype.str not in dtypes:
                raise ValueError(f"{name} has shape {stored.shape} and dtype {stored.dtype}")
            if mmap:
                mapped = reader.mapped(name)
                return mapped if mapped.flags.aligned else mapped.copy()
            made = np.empty(stored.shape, stored.dtype.newbyteorder("="))
            reader.read_into(name, made)
            return made

        floats = ("<f4", "<f8")
        matrix = array("vectors", 2, floats)
        starts = np.array(array("word_starts", 1, ("<i8",)), np.int64)
        packed = array("words", 1, ("<i8",)).view(np.uint8)
        counts = array("counts", 1, ("<i8",)) if "counts" in reader.arrays else None
        if len(starts) != len(matrix) + 1 or (counts is not None and len(counts) != len(matrix)):
            raise ValueError("it has not as many words as vectors")
        inside = starts[0] == 0 and (np.diff(starts) >= 0).all() and starts[-1] <= len(packed)
        if not inside:
            raise ValueError("the places of its words are damaged")
        subwords = None
        if "ngrams" in reader.arrays:
            lengths = [
                reader.metadata.get(f"{_KEY}.{name}", "") for name in ("shortest", "longest")
            ]
            if not all(length.isdecimal() and len(length) < 4 for length in lengths):
                raise ValueError("the lengths of its n-grams are damaged")
            shortest, longest = map(int, lengths)
            subwords = Subwords(array("ngrams", 2, floats), shortest, longest)
            if subwords.matrix.shape[1] != matrix.shape[1]:
                raise ValueError("its n-grams have vectors of another length")
    return Words(packed[: starts[-1]], starts), matrix, counts, subwords


def write_safetensors(
    file: BinaryIO,
    words: Words,
    matrix: NDArray[Any],
    counts: NDArray[np.int64] | None,
    subwords: Subwords | None,
) -> None:
    """Write word vectors: their words as bytes, padded to whole integers."""
    packed = np.zeros(-(-len(words.data) // 8) * 8, np.uint8)
    packed[: len(words.data)] = words.data
    arrays: dict[str, NDArray[Any]] = {
        "vectors": matrix,
        "words": packed.view("<i8"),
        "word_starts": words.starts,
    }
    metadata = {_KEY: _VERSION}
    if counts is not None:
        arrays["counts"] = counts
    if subwords is not None:
        arrays["ngrams"] = subwords.matrix
        metadata[f"{_KEY}.shortest"] = str(subwords.shortest)
        metadata[f"{_KEY}.longest"] = str(subwords.longest)
    _safetensors.write(file, arrays, metadata)


def words_path(path: str) -> str:
    """Return where the words of an array lie: beside it."""
    return f"{path.removesuffix('.npy')}{_WORDS}"


def read_npy(path: str, mmap: bool) -> tuple[Words, NDArray[Any]]:
    """Return the words beside an array, and the array."""
    beside = words_path(path)
    if not os.path.lexists(beside):
        raise ValueError(f"the words of its rows, a line each, are not in {beside!r}")
    matrix = _array(path, mmap)
    check_regular(beside)
    with _vocabulary_files.naming(beside):
        words = Words.of(_vocabulary_files.read(beside)["words"])
    if len(words) != len(matrix):
        raise ValueError(f"it has {len(matrix)} rows, but {beside!r} has {len(words)} words")
    return words, np.asarray(matrix)


def _array(path: str, mmap: bool) -> NDArray[Any]:
    """Return a matrix of a file, whose size is looked at before anything is allocated."""
    with open(path, "rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            read = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, is_fortran, dtype = read(file)
        except Exception as error:  # whatever Python's parser has to say of it
            raise ValueError(f"its header is damaged: {str(error)[:200]}") from None
        if len(shape) != 2 or dtype.kind != "f" or dtype.hasobject:
            raise ValueError(f"its array has shape {shape} and dtype {dtype}")
        begin = file.tell()
        size, wanted = os.fstat(file.fileno()).st_size, begin + math.prod(shape) * dtype.itemsize
        if size != wanted or min(shape) < 0 or max(shape) > size:
            raise ValueError(
                f"cut short, or damaged: it has {size} bytes, and should have {wanted}"
            )
        order: Literal["C", "F"] = "F" if is_fortran else "C"
        if mmap and math.prod(shape) > 0:
            return np.memmap(path, dtype, "r", begin, shape, order)
        return np.fromfile(file, dtype, math.prod(shape)).reshape(shape, order=order)


def write_npy(path: str, words: Words, matrix: NDArray[Any]) -> None:
    """Write an array, and its words beside it, first."""
    lines = _vocabulary_files.text(words[:])
    with replacing(words_path(path)) as file:
        file.write(lines)
    with replacing(path) as file:
        np.lib.format.write_array(file, np.ascontiguousarray(matrix), allow_pickle=False)
