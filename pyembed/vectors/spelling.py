"""The known word that is spelled most like an unknown one."""

from __future__ import annotations

from difflib import SequenceMatcher

import numpy as np
from numpy.typing import NDArray

from pyembed.vectors._words import Words

LEAST = 0.6  # of difflib's ratio: as much alike as two words must be
_ABOUT = 0.02  # less of it apart, two words are as much alike
_COMPARED = 200  # words, those that share most letters


def nearest_spelling(word: str, words: Words) -> str | None:
    """Return the one of `words` that is spelled most like `word`, or None where none is much alike.

    Words that share most letters with it are found in one pass over their bytes; these are compared
    letter by letter, capitals or not. Of words that are about as much alike, the first is taken: in
    most files, the most frequent.

    Parameters
    ----------
    word : str
    words : Words
    """
    wanted = word.casefold()
    if not wanted or len(words) == 0:
        return None
    alike = _shared(wanted, words)
    least = np.partition(alike, -_COMPARED)[-_COMPARED] if len(alike) > _COMPARED else 0
    most = np.flatnonzero(alike >= least)
    most = most[np.argsort(-alike[most], kind="stable")[:_COMPARED]]
    matcher = SequenceMatcher(b=wanted, autojunk=False)
    ratios = {}
    for row in np.sort(most).tolist():
        matcher.set_seq1(words[row].casefold())
        ratios[row] = matcher.ratio()
    enough = max(LEAST, max(ratios.values()) - _ABOUT)
    return next((words[row] for row, ratio in ratios.items() if ratio >= enough), None)


def _shared(word: str, words: Words) -> NDArray[np.float64]:
    """Return how much words have in common with one: difflib's ratio if order did not matter."""
    lengths = np.diff(words.starts)
    has_letters = lengths > 0
    starts = words.starts[:-1][has_letters]
    text = word.encode()
    counts = np.bincount(np.frombuffer(text, np.uint8))
    shared = np.zeros(len(words))
    for letter in np.flatnonzero(counts).tolist():
        same = words.data == letter
        if letter < 128 and (capital := ord(chr(letter).upper())) != letter:
            same |= words.data == capital
        there = np.add.reduceat(same, starts, dtype=np.int32)
        shared[has_letters] += np.minimum(there, counts[letter])
    alike: NDArray[np.float64] = 2 * shared / (lengths + len(text))
    return alike
