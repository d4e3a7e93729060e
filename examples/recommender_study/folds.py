"""Cross-validation: every rating is held out once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datasets import Ratings

FOLDS = 5  # so 80 % of the ratings are learned from, as is usual with this data


@dataclass(frozen=True)
class Split:
    """The ratings to learn from and those to be judged on; ``number`` is that of the fold."""

    number: int
    training: Ratings
    test: Ratings


def folds(ratings: Ratings, seed: int) -> list[Split]:
    """Deal the ratings to the folds at random."""
    fold = np.random.default_rng(seed).permutation(len(ratings)) % FOLDS
    return [
        Split(
            number,
            ratings.take(np.flatnonzero(fold != number)),
            ratings.take(np.flatnonzero(fold == number)),
        )
        for number in range(FOLDS)
    ]
