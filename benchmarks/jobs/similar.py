"""Words near to words, beside gensim: one question at a time, and a hundred in a batch.

On GloVe's vectors of 400,000 words, of 50 numbers each. gensim computes their lengths before and
keeps them; here nothing is kept. It has no batches, and is asked in a loop. usearch's approximate
index misses some words: what it finds is not compared, but counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np

import jobs
import peers
import words
from data import Array
from harness import Case, Contestant, Match, over
from jobs import Table
from options import Options
from pyembed.vectors import WordVectors
from report import Report

SMALL, LARGE = (300, 5), (400_000, 50)  # rows and columns
SEED = 7
QUESTIONS = (1, 100)
BATCHES = 64
TOP = 10
FREQUENT = 20_000  # words that are asked for
ASKED = 1000  # whose answers are counted
INDEX = "usearch's index"


def tables(options: Options) -> list[Table]:
    rows, dim = SMALL if options.smoke else LARGE
    return [
        Table(
            "words near to words",
            [
                Case({"questions": count, "rows": rows, "dim": dim}, partial(build, options, count))
                for count in QUESTIONS
            ],
            ["gensim", "usearch"],
        )
    ]


def run(options: Options) -> Report:
    """The times, and how much the index finds."""
    report = jobs.timed(tables(options), options)
    if peers.find("usearch") is None:
        return report
    found = recall(options)
    told = f"{INDEX} finds {found:.1%} of the {TOP} nearest words"
    return replace(
        report,
        notes=[*report.notes, f"{told}, of {ASKED:,} frequent ones."],
        summary=[*report.summary, told],
        records=[*report.records, {"recall": found}],
    )


@cache
def word_vectors(smoke: bool) -> WordVectors:
    """Words are the numbers of their rows."""
    if smoke:
        rng = np.random.default_rng(SEED)
        matrix = rng.standard_normal(SMALL).astype(np.float32)
    else:
        matrix = np.ascontiguousarray(words.glove())
    return WordVectors(map(str, range(len(matrix))), matrix)


@cache
def index(smoke: bool) -> Any:
    return word_vectors(smoke).index(approximate=True)


@cache
def gensim_vectors(smoke: bool) -> Any:
    from gensim.models import KeyedVectors

    wv = word_vectors(smoke)
    keyed = KeyedVectors(wv.dim)
    keyed.add_vectors(list(wv.words), wv.matrix)
    keyed.fill_norms()
    return keyed


def asked(smoke: bool, count: int) -> list[str]:
    """Frequent words, in no order."""
    frequent = min(FREQUENT, len(word_vectors(smoke)))
    return [str(row) for row in np.random.default_rng(SEED).integers(0, frequent, count)]


def recall(options: Options) -> float:
    """The share of the exact answers that the index has too."""
    names = asked(options.smoke, 50 if options.smoke else ASKED)
    exact = word_vectors(options.smoke).most_similar_batch(names, TOP)
    near = index(options.smoke).most_similar_batch(names, TOP)
    pairs = zip(exact, near, strict=True)
    return sum(len(set(one) & set(other)) for one, other in pairs) / (TOP * len(names))


def build(options: Options, count: int) -> Match:
    wv = word_vectors(options.smoke)
    flat = asked(options.smoke, BATCHES * count)
    batches = [flat[start : start + count] for start in range(0, len(flat), count)]

    def contestants() -> Iterator[Contestant]:
        yield Contestant("pyembed", over(batches, partial(ask, wv)), answers)
        if peers.find("gensim") is not None:
            keyed = gensim_vectors(options.smoke)
            yield Contestant("gensim", over(batches, partial(ask_each, keyed)), answers)
        if peers.find("usearch") is not None:
            near = partial(ask, index(options.smoke))
            yield Contestant(INDEX, over(batches, near), answers, compared=False)

    size = wv.matrix.nbytes
    found = list(contestants())
    # gensim's cosines are computed in float32.
    return Match(found, BATCHES, count * len(wv), size, atol=3e-6, memory=size, warm_runs=2)


def ask(wv: Any, names: Sequence[str]) -> Any:
    if len(names) == 1:
        return [wv.most_similar(names[0], topn=TOP)]
    return wv.most_similar_batch(names, topn=TOP)


def ask_each(keyed: Any, names: Sequence[str]) -> Any:
    return [keyed.most_similar(name, topn=TOP) for name in names]


def answers(found: Any) -> Array:
    """Rows and cosines, (questions * TOP, 2)."""
    return np.array([[int(word), cosine] for one in found for word, cosine in one])
