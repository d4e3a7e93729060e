"""What vectors were trained with, for programs that train on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Training:
    """The arguments of a training, as fastText's files tell them; the defaults are fastText's.

    Parameters
    ----------
    model : {'cbow', 'skipgram'}
    loss : {'hs', 'ns', 'softmax', 'ova'}
    window, epochs, min_count, negative : int
    sample : float
        Words that are a larger share of the text are left out at random.
    tokens : int, optional
        Of the text, with those of words that were too rare; None: as many as words were counted.
    output : ndarray, shape (words, dim), optional
        The vectors of words as they are predicted; with ``'hs'``, of the tree's inner nodes, which
        are one less.
    """

    model: str = "skipgram"
    loss: str = "ns"
    window: int = 5
    epochs: int = 5
    min_count: int = 5
    negative: int = 5
    sample: float = 1e-4
    tokens: int | None = None
    output: NDArray[np.float32] | None = None
