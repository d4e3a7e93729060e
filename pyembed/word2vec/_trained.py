"""Vectors that can be trained further."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyembed.vectors.word_vectors import WordVectors


class TrainedVectors(WordVectors):
    """Word vectors, and what they were trained with.

    Attributes
    ----------
    output : ndarray of float32
        With negative sampling, a row for each word, as it was predicted; with ``loss='hs'``, for
        each turn of the tree.
    losses : list of float
        The mean loss of a prediction, by epoch.
    interrupted : bool
        Whether training ended early.
    """

    output: NDArray[np.float32]
    losses: list[float]
    interrupted: bool

    def __getstate__(self) -> dict[str, Any]:
        own = {"output": self.output, "losses": self.losses, "interrupted": self.interrupted}
        return {**super().__getstate__(), "trained": own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for name, value in state["trained"].items():
            setattr(self, name, value)
