"""Streams of ids: which rows a batch asks for: all alike, Zipf's, mostly one, or those of words."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from data import Ids
from words import counts

ZIPF_EXPONENT = 1.05
SEED = 20_240_229
POOL_IDS = 1 << 22  # ids drawn for one pool: more rows than a cache holds
MIN_BATCHES, MAX_BATCHES = 16, 1 << 14


Sampler = Callable[[np.random.Generator, tuple[int, ...]], Ids]  # of the ids of one table


def uniform(rows: int) -> Sampler:
    """Every row alike."""
    return lambda rng, shape: rng.integers(0, rows, shape, dtype=np.int64)


def zipf(rows: int) -> Sampler:
    """The r-th most frequent row has a probability proportional to r ** -1.05 (r = 1 ... rows).

    That is exact for a finite table; numpy's ``Generator.zipf`` is of an unbounded one.
    """
    return _ranked(rows, np.arange(1, rows + 1, dtype=np.float64) ** -ZIPF_EXPONENT)


def hot(rows: int) -> Sampler:
    """Half of the ids are one row, as of words that are in no vocabulary; the others are Zipf's."""
    others = zipf(rows)

    def sample(rng: np.random.Generator, shape: tuple[int, ...]) -> Ids:
        return np.where(rng.random(shape) < 0.5, rows // 2, others(rng, shape))

    return sample


def words(rows: int) -> Sampler:
    """The r-th most frequent row is looked up as often as the r-th most frequent English word.

    A table of fewer rows than there are words (333,213) has the most frequent ones only; of one
    with more rows, those beyond are never looked up.
    """
    return _ranked(rows, counts()[:rows].astype(np.float64))


def _ranked(rows: int, weights: NDArray[np.float64]) -> Sampler:
    """Draw ranks in proportion to their weights, of which there are ``rows`` or fewer.

    Drawn by inversion: a uniform number is looked up in the cumulative distribution of the ranks. A
    fixed random permutation takes ranks to ids, so that the hot rows lie scattered over the table
    as they would if ids came from a hash, and no contestant gains from neighbours among them.
    """
    cumulative = np.cumsum(weights)
    cumulative /= cumulative[-1]
    id_of_rank = np.random.default_rng(SEED).permutation(rows)

    def sample(rng: np.random.Generator, shape: tuple[int, ...]) -> Ids:
        return id_of_rank[np.searchsorted(cumulative, rng.random(shape), side="right")]

    return sample


SAMPLERS = {"uniform": uniform, "zipf": zipf, "hot": hot, "words": words}


@lru_cache(maxsize=1)
def sampler(distribution: str, rows: int) -> Sampler:
    """The sampler of that name; the latest is kept, since its set-up may take O(rows)."""
    return SAMPLERS[distribution](rows)


def batches(distribution: str, rows: int, ids: int, count: int) -> list[Ids]:
    """``count`` batches of ``ids`` ids each, the same ones in every run."""
    rng = np.random.default_rng([SEED, rows, ids])
    return list(sampler(distribution, rows)(rng, (count, ids)))


def pool(distribution: str, rows: int, ids: int) -> list[Ids]:
    """Batches enough that, going round, none is met again while its rows are still in a cache."""
    count = max(MIN_BATCHES, min(MAX_BATCHES, POOL_IDS // ids))
    return batches(distribution, rows, ids, count)


def forget() -> None:
    """Free what ``sampler`` keeps."""
    sampler.cache_clear()
