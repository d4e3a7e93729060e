"""Rows by key, beside pandas and a loop over a dict: integers, and the words of a vocabulary.

A key that is found costs a line of the cache at random: so the rate is also told as a share of
prefetched reads of such lines. A str keeps its hash from the first time that a dict asked for it:
the loop is spared that here, though a tokenizer makes new strings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import peers
import streams
from data import Ids
from harness import Case, Contestant, Match, over
from jobs import Table
from options import Options
from pyembed import _core
from pyembed.vectors import Vocabulary

LINE = 64  # bytes that a key costs
SMALL, LARGE = 1 << 20, 20_000_000
FOUND = 1 << 18
LARGEST_DICT = SMALL  # integers
WORDS = 400_000
SEED = 5


def tables(options: Options) -> list[Table]:
    sizes = (1000,) if options.smoke else (SMALL, LARGE)
    found = 300 if options.smoke else FOUND
    sides = ["pandas"]
    return [
        Table(
            "keys found",
            [
                _case("find", size, found, "uniform", partial(find_match, size, found))
                for size in sizes
            ],
            sides,
        ),
        Table(
            "keys inserted into an empty index",
            [
                _case("insert", size, size, "uniform", partial(insert_match, size))
                for size in sizes[:1]
            ],
            sides,
        ),
        Table(
            "words encoded",
            [
                _case(
                    "encode", len_words(options), found, kind, partial(words_match, options, kind)
                )
                for kind in ("uniform", "zipf")
            ],
            sides,
        ),
    ]


def _case(work: str, keys: int, count: int, distribution: str, build: Callable[[], Match]) -> Case:
    labels = {"work": work, "keys": keys, "ids": count, "distribution": distribution}
    return Case(labels, build)


def len_words(options: Options) -> int:
    return 500 if options.smoke else WORDS


def _keys(count: int) -> Ids:
    """Distinct keys with no order."""
    rng = np.random.default_rng(SEED)
    return (np.arange(count) * 0x9E3779B1 + rng.integers(0, 1 << 30)).astype(np.int64)[
        rng.permutation(count)
    ]


def find_match(size: int, count: int) -> Match:
    keys = _keys(size)
    batches = [keys[ids] for ids in streams.pool("uniform", size, count)]
    index = _core.IntegerIndex()
    index.insert(keys)

    def contestants() -> Iterator[Contestant]:
        yield Contestant("pyembed", over(batches, index.find))
        if (pandas := peers.find("pandas")) is not None:
            yield Contestant("pandas", over(batches, pandas.Index(keys).get_indexer))
        if size <= LARGEST_DICT:
            rows = dict(zip(keys.tolist(), range(size), strict=True))
            yield Contestant("dict loop", over(batches, partial(looked_up, rows)))

    return Match(
        list(contestants()),
        len(batches),
        count,
        count * LINE,
        row_bytes=LINE,
        memory=index.nbytes,
        warm_runs=2,
    )


def looked_up(rows: dict[Any, int], keys: Any) -> Ids:
    known = keys.tolist() if isinstance(keys, np.ndarray) else keys
    return np.array([rows[key] for key in known])


def insert_match(size: int) -> Match:
    batches = [_keys(size), _keys(size)[::-1].copy()]

    def numbered(keys: Ids) -> Ids:
        rows: dict[int, int] = {}
        return np.array([rows.setdefault(key, len(rows)) for key in keys.tolist()])

    def contestants() -> Iterator[Contestant]:
        yield Contestant("pyembed", over(batches, lambda keys: _core.IntegerIndex().insert(keys)))
        if (pandas := peers.find("pandas")) is not None:
            yield Contestant("pandas", over(batches, lambda keys: pandas.factorize(keys)[0]))
        yield Contestant("dict loop", over(batches, numbered))

    return Match(list(contestants()), len(batches), size, size * LINE, warm_runs=2)


def words_match(options: Options, kind: str) -> Match:
    """A vocabulary of words of 3 to 12 letters."""
    words = [f"{np.base_repr(number * 7919 + 1296, 36).lower()}" for number in range(WORDS)]
    words = list(dict.fromkeys(words))[: len_words(options)]
    vocabulary = Vocabulary(words, padding=None, unknown=None)
    pool = streams.pool(kind, len(words), 300 if options.smoke else FOUND)
    batches = [" ".join([words[place] for place in ids]).split(" ") for ids in pool]

    def contestants() -> Iterator[Contestant]:
        yield Contestant("pyembed", over(batches, vocabulary.encode))
        if (pandas := peers.find("pandas")) is not None:
            yield Contestant("pandas", over(batches, pandas.Index(words).get_indexer))
        rows = dict(zip(words, range(len(words)), strict=True))
        yield Contestant("dict loop", over(batches, partial(looked_up, rows)))

    count = len(batches[0])
    return Match(list(contestants()), len(batches), count, count * LINE, warm_runs=2)
