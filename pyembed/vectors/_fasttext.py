"""fastText's binary models: words, and vectors of their n-grams."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from pyembed import _core
from pyembed.vectors._source import Source
from pyembed.vectors._subwords import Subwords
from pyembed.vectors._training import Training
from pyembed.vectors._words import Words

MAGIC = struct.pack("<i", 793712314)
VERSIONS = (11, 12)
ARGUMENTS = "<12id"  # dim … lrUpdateRate, t
DICTIONARY = "<3iq"  # entries, words, labels, tokens
LOSSES = ("hs", "ns", "softmax", "ova")  # from 1 on, as the models
MODELS = ("cbow", "skipgram")
_SUPERVISED = 3
_PART = 1 << 20  # bytes of the dictionary that are read at once
_LONGEST = 1 << 16  # bytes of an entry


class Model:
    """What a file has: its words with their counts, and the table of words and n-grams.

    Raises
    ------
    ValueError
        If it is damaged, cut short, quantised or of a later version.
    """

    def __init__(self, source: Source) -> None:
        is_new = source.head.startswith(MAGIC)  # files of before 2017 begin with the arguments
        version = struct.unpack("<2i", _bytes(source, 8))[1] if is_new else 0
        if is_new and version not in VERSIONS:
            raise ValueError(f"it is of fastText's version {version}, which is none of 11 and 12")
        numbers = struct.unpack(ARGUMENTS, _bytes(source, struct.calcsize(ARGUMENTS)))
        if not are_arguments(numbers):
            raise ValueError("it is no model of fastText, or its arguments are damaged")
        self.dim, self.buckets, self.shortest, self.longest = (numbers[i] for i in (0, 8, 9, 10))
        if version == 11 and numbers[7] == _SUPERVISED:
            self.longest = 0  # such models have no n-grams, whatever they say
        self._read_dictionary(source, is_new)
        if is_new and _bytes(source, 1) != b"\0":
            raise ValueError(
                "it is quantised (.ftz), which is not read: use the model before 'quantize'"
            )
        self.table = self._read_table(source)
        self.training = self._training(numbers)

    def _read_dictionary(self, source: Source, is_new: bool) -> None:
        header = _bytes(source, struct.calcsize(DICTIONARY))
        entries, words, labels, self.tokens = struct.unpack(DICTIONARY, header)
        pruned = struct.unpack("<q", _bytes(source, 8))[0] if is_new else 0
        if min(entries, words, labels) < 0 or words + labels != entries:
            raise ValueError(f"its dictionary is damaged: {entries} entries, {words} words")
        if source.size and 10 * entries > source.size:
            raise ValueError(f"its dictionary claims {entries} entries, more than the file holds")
        data, starts, counts, is_label = _dictionary(source, entries)
        if is_label[:words].any() or not is_label[words:].all():
            raise ValueError("its dictionary is damaged: labels must stand behind words")
        self.words = Words(data[: starts[words]], starts[: words + 1])
        self.counts = counts[:words]
        if pruned > 0:
            raise ValueError("its n-grams are pruned, which is not read")

    def _read_table(self, source: Source) -> NDArray[np.float32]:
        rows, dim = struct.unpack("<2q", _bytes(source, 16))
        if dim != self.dim or rows != len(self.words) + self.buckets:
            raise ValueError(
                f"its table has shape ({rows}, {dim}), but its dictionary and arguments are of "
                f"({len(self.words) + self.buckets}, {self.dim})"
            )
        if source.size and 4 * rows * dim > source.size:
            raise ValueError(f"its table claims {4 * rows * dim} bytes, more than the file holds")
        table: NDArray[np.float32] = _core.zeros((rows, dim), "float32", False)
        left = table.data.cast("B") if table.size else memoryview(b"")
        while left:
            count = source.readinto(left[: 1 << 24])
            if not count:
                raise ValueError("it is cut short: its table is not whole")
            left = left[count:]
        if not np.isfinite(table).all():
            row = int(np.argmin(np.isfinite(table).all(axis=1)))
            raise ValueError(f"row {row} of its table is not finite")
        return table

    def _training(self, numbers: tuple[float, ...]) -> Training | None:
        """Return what words were trained with; None for a classifier, which is more than words."""
        _, window, epochs, min_count, negative, _, loss, model, _, _, _, _ = map(int, numbers[:12])
        if model == _SUPERVISED:
            return None
        return Training(
            model=MODELS[model - 1],
            loss=LOSSES[loss - 1],
            window=window,
            epochs=epochs,
            min_count=min_count,
            negative=negative,
            sample=numbers[12],
            tokens=self.tokens,
        )

    @property
    def subwords(self) -> Subwords | None:
        """The vectors of n-grams; None where there are none."""
        if self.buckets == 0 or self.longest == 0:
            return None
        count = len(self.words)
        return Subwords(self.table[count:], self.shortest, self.longest, self.table[:count])

    def vectors(self) -> NDArray[np.float32]:
        """Return a vector for each word: the mean of its own row and those of its n-grams."""
        subwords = self.subwords
        rows = self.table[: len(self.words)]
        if subwords is None:
            return rows
        made = subwords.composed(self.words, rows)
        if not np.isfinite(made).all():
            word = int(np.argmin(np.isfinite(made).all(axis=1)))
            raise ValueError(f"the vector of word {word + 1} is beyond the numbers of float32")
        return made


def is_old(head: bytes) -> bool:
    """Return whether a file begins as models of before 2017 do."""
    size = struct.calcsize(ARGUMENTS)
    return (
        len(head) > size
        and b"\0\0" in head[:8]
        and are_arguments(struct.unpack(ARGUMENTS, head[:size]))
    )


def are_arguments(numbers: tuple[float, ...]) -> bool:
    """Return whether fastText could have been called with these."""
    dim, window, epochs, _, _, _, loss, model, buckets, shortest, longest, _, _ = numbers
    return (
        0 < dim <= 100_000
        and 0 <= window <= 10_000
        and 0 <= epochs <= 1_000_000
        and 1 <= loss <= 4
        and 1 <= model <= 3
        and buckets >= 0
        and 0 <= shortest <= 1000
        and 0 <= longest <= 1000
    )


def _bytes(source: Source, count: int) -> bytes:
    data = source.read(count)
    if len(data) < count:
        raise ValueError("it is cut short: it ends within its header")
    return data


def _dictionary(
    source: Source, entries: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return bytes and starts of so many entries, their counts, and which are labels."""
    bytes_, lengths, counts, labels = [], [], [], []
    rest = b""
    left = entries
    while left > 0:
        more = source.read(_PART)
        rest += more
        data, starts, numbers, is_label, taken = _core.read_dictionary(rest, left)
        rest = rest[taken:]
        left -= len(numbers)
        if not more or len(rest) > _PART + _LONGEST:
            break
        bytes_.append(data)
        lengths.append(np.diff(starts))
        counts.append(numbers)
        labels.append(is_label)
    if left > 0:
        raise ValueError("its dictionary is damaged or cut short")
    source.unread(rest)
    bounds = np.concatenate([np.zeros(1, np.int64), *lengths]).cumsum()
    return (
        np.concatenate([np.zeros(0, np.uint8), *bytes_]),
        bounds,
        np.concatenate([np.zeros(0, np.int64), *counts]),
        np.concatenate([np.zeros(0, bool), *labels]),
    )
