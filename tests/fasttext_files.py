"""Models as fastText writes them, and what they mean, in plain Python."""

import struct

import numpy as np


def ngrams_of(word, shortest, longest):
    """The n-grams of a word, as fastText's Dictionary::computeSubwords finds them."""
    text = f"<{word}>"
    for begin in range(len(text)):
        for end in range(begin + max(shortest, 1), min(begin + longest, len(text)) + 1):
            if end - begin > 1 or (begin > 0 and end < len(text)):
                yield text[begin:end]


def bucket_of(ngram, buckets):
    """FNV-1a, of bytes as C++ takes them: those above 127 are negative."""
    value = 2166136261
    for byte in ngram.encode():
        value ^= byte if byte < 128 else byte | 0xFFFFFF00
        value = value * 16777619 % 2**32
    return value % buckets


def vector_of(word, words, table, shortest, longest):
    """The mean of a word's row, if it has one, and those of its n-grams."""
    rows = [words.index(word)] if word in words else []
    if word != "</s>" and longest > 0:
        buckets = len(table) - len(words)
        rows += [
            len(words) + bucket_of(ngram, buckets) for ngram in ngrams_of(word, shortest, longest)
        ]
    return table[rows].astype(np.float64).mean(axis=0) if rows else np.zeros(table.shape[1])


def model(words, table, shortest=3, longest=6, *, version=12, quantised=0, labels=(), pruned=-1):
    """The bytes of a model; `version` None: of before 2017."""
    dim = table.shape[1]
    buckets = len(table) - len(words)
    parts = [] if version is None else [struct.pack("<2i", 793712314, version)]
    parts.append(struct.pack("<12id", dim, 5, 5, 1, 5, 1, 2, 2, buckets, shortest, longest, 100, 0))
    entries = [(word, 0) for word in words] + [(label, 1) for label in labels]
    parts.append(struct.pack("<3iq", len(entries), len(words), len(labels), 100))
    if version is not None:
        parts.append(struct.pack("<q", pruned))
    for place, (word, kind) in enumerate(entries):
        text = word if isinstance(word, bytes) else word.encode()
        parts.append(text + b"\0" + struct.pack("<qb", 100 - place, kind))
    if version is not None:
        parts.append(bytes([quantised]))
    parts.append(struct.pack("<2q", *table.shape) + table.astype("<f4").tobytes())
    output = np.zeros((len(words), dim), "<f4")
    parts.append(b"\0" + struct.pack("<2q", *output.shape) + output.tobytes())
    return b"".join(parts)
