"""Texts as vectors, beside Model2Vec, by the same tables, weights and tokenizers.

Texts are made here: words by Zipf's law, of which the tokenizer has the more frequent ones whole
and parts of the others, as BERT's has. Taking them apart is most of the work, and done by the same
library on both sides. Above 10,000 texts Model2Vec starts threads of its own, and has the
tokenizers work in one each: for good, so that it is taken back before our turn.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import numpy as np

import peers
from data import Array
from harness import Case, Contestant, Match
from jobs import Table
from options import Options
from pyembed.vectors import SentenceVectors

WORDS, WHOLE, DIM = 60_000, 25_000, 256
LETTERS = "abcdefghijklmnopqrstuvwxyz"
LENGTH = 25  # words of a text, about
SIZES = (1, 32, 1024, 12_000)  # texts
BATCHES = 4
SEED = 6


def tables(options: Options) -> list[Table]:
    sizes = (1, 5) if options.smoke else SIZES
    words, whole, dim = (300, 100, 3) if options.smoke else (WORDS, WHOLE, DIM)
    can_tokenize = peers.find("tokenizers") is not None
    return [
        Table(
            f"texts as vectors, {what}",
            [_case(size, weighted, words, whole, dim) for size in sizes if can_tokenize],
            ["tokenizers", "model2vec"],
        )
        for what, weighted in (("plain", False), ("weighted", True))
    ]


def _case(texts: int, weighted: bool, words: int, whole: int, dim: int) -> Case:
    labels: dict[str, int | str] = {"texts": texts, "whole words": whole, "dim": dim}
    return Case(labels, partial(_match, texts, weighted, words, whole, dim))


def _match(texts: int, weighted: bool, words: int, whole: int, dim: int) -> Match:
    batches = _texts(texts, words)
    contestants = list(_contestants(batches, weighted, words, whole, dim))
    tokens = texts * LENGTH
    return Match(contestants, BATCHES, tokens, 4 * dim * tokens, warm_runs=2)


def _contestants(
    batches: list[list[str]], weighted: bool, words: int, whole: int, dim: int
) -> Iterator[Contestant]:
    tokenizer = _tokenizer(peers.find("tokenizers"), words, whole)
    rng = np.random.default_rng(SEED)
    count = tokenizer.get_vocab_size()
    matrix = rng.standard_normal((count, dim)).astype(np.float32)
    weights = rng.uniform(0.1, 2, count).astype(np.float32) if weighted else None
    ours = SentenceVectors(matrix, tokenizer, weights=weights)

    def encode(batch: int) -> Array:
        os.environ["TOKENIZERS_PARALLELISM"] = "true"
        return ours.encode(batches[batch])

    yield Contestant("pyembed", encode)
    if (model2vec := peers.find("model2vec")) is not None:
        theirs = model2vec.StaticModel(matrix, tokenizer, weights=weights)
        yield Contestant("model2vec", lambda batch: theirs.encode(batches[batch]))


@cache
def _words(count: int) -> list[str]:
    """Distinct words, the most frequent first and shortest."""
    rng = np.random.default_rng(SEED)
    found: dict[str, None] = {}
    for length in range(3, 13):
        while len(found) < count * (length - 2) // 10:
            found["".join(rng.choice(list(LETTERS), length))] = None
    return list(found)


@cache
def _texts(count: int, words: int) -> list[list[str]]:
    rng = np.random.default_rng([SEED, count])
    below = np.cumsum(1 / (np.arange(words) + 2.7))
    known = _words(words)

    def text(length: int) -> str:
        drawn = np.searchsorted(below, rng.uniform(0, below[-1], length))
        return " ".join(known[word] for word in drawn) + "."

    return [
        [text(length) for length in rng.integers(LENGTH // 2, 3 * LENGTH // 2, count)]
        for _ in range(BATCHES)
    ]


def _tokenizer(tokenizers: Any, words: int, whole: int) -> Any:
    """One like BERT's: frequent words whole, all others by parts."""
    parts = (letter + rest for letter in LETTERS for rest in ["", *LETTERS])
    tokens = ["[PAD]", "[UNK]", ".", *LETTERS, *(f"##{part}" for part in parts)]
    tokens += _words(words)[:whole]
    ids = {token: place for place, token in enumerate(dict.fromkeys(tokens))}
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(ids, unk_token="[UNK]"))
    made.normalizer = tokenizers.normalizers.BertNormalizer()
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    return made
