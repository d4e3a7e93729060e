"""The known word that is spelled most like an unknown one."""

from __future__ import annotations

from difflib import SequenceMatcher

import numpy as np
from numpy.typing import NDArray

from pyembed.vectors._words import Words

LEAST = 0.6  # of difflib's ratio: as much alike as two words must be
_COMPARED = 200  # words, those that share most letters


def nearest_spelling(word: str, words: Words) -> str | None:
    """Return the one of `words` that is spelled most like `word`, or None where none is much alike.

    Words that share most letters with it are found in one pass over their bytes; these are compared
    letter by letter, capitals or not. Of words that are equally alike, the first is taken.

    Parameters
    ----------
    word : str
    words : Words
        Some 30 ms for each million of them.
    """
    wanted = word.casefold()
    if not wanted or len(words) == 0:
        return None
    alike = _shared(word, words)
    matcher = SequenceMatcher(b=wanted, autojunk=False)
    best, found = LEAST, None
    for row in np.sort(np.argsort(-alike, kind="stable")[:_COMPARED]):
        candidate = words[int(row)]
        matcher.set_seq1(candidate.casefold())
        if (ratio := matcher.ratio()) > best:
            best, found = ratio, candidate
    return found


def _shared(word: str, words: Words) -> NDArray[np.float64]:
    """Return how much words have in common with one: difflib's ratio if order did not matter."""
    lengths = np.diff(words.starts)
    text = word.encode()
    counts = np.bincount(np.frombuffer(text, np.uint8), minlength=256)
    shared = np.zeros(len(words), np.int64)
    for letter in np.flatnonzero(counts):
        same = words.data == letter
        if letter < 128:
            same |= words.data == ord(chr(letter).upper())
        ends = np.concatenate([[0], np.cumsum(same)])
        there = ends[words.starts[1:]] - ends[words.starts[:-1]]
        shared += np.minimum(there, counts[letter])
    alike: NDArray[np.float64] = 2 * shared / (lengths + len(text))
    return alike
