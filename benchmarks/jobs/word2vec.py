"""Word vectors, trained beside gensim and fastText: words a second, and how good they are.

Each trains the same text with the same arguments from its own seeds, in a process of its own, with
the vocabulary counted in its time; gensim by ``corpus_file``, the fastest of its ways. No two have
the same vectors: WordSim-353, SimLex-999 and the analogies of word2vec tell whether they are as
good. Below, our speed alone, as one argument after the other grows.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

import jobs
import peers
import report
import words
from data import Array
from harness import Case, Contestant, Match
from jobs import Table
from jobs.threads import doublings, name
from machine import in_fresh_process
from options import Options
from pyembed import word2vec
from pyembed.vectors import WordVectors
from report import Report

DIM, SEEDS = 100, (1, 2, 3)
BUCKETS = 2_000_000
SLICE = 500_000  # words of a text whose training is timed alone
SAMPLE = 1e-3
MODELS = ("skipgram", "cbow")
SUBWORD = "n-grams"
EPOCHS = {**dict.fromkeys(MODELS, 5), SUBWORD: 1}  # which take long
_FOLDER = tempfile.TemporaryDirectory()
HEADER = ("model", "trainer", "words/s", "of gensim's", "WordSim-353", "SimLex-999", "analogies")


@dataclass(frozen=True)
class Outcome:
    """Of one training: words a second, and what the field's tests say, if they were asked."""

    speed: float
    scores: tuple[float, float, float] | None


def run(options: Options) -> Report:
    """Speed and quality; and how the speed depends on sizes, which a report has apart."""
    beside = _beside(_text(options.smoke), options)
    if options.report:
        return beside
    return report.stacked([beside, jobs.timed(tables(options), options)])


def tables(options: Options) -> list[Table]:
    """Our speed alone, by length of vectors, size of the vocabulary, window and threads."""
    sizes = {
        "dim": [5, 16] if options.smoke else [50, 100, 200, 300],
        "table": [10, 20] if options.smoke else [1000, 5000, 25_000],
        "window": [1, 5] if options.smoke else [2, 5, 10],
    }
    return [
        *(
            Table(f"{model} by {axis}", [_case(model, axis, size, options) for size in values])
            for axis, values in sizes.items()
            for model in MODELS
        ),
        *(
            Table(f"{model} by threads", [Case(labels, partial(_by_threads, model, options))])
            for model in MODELS
            for labels in [{"work": model, "swept": "threads"}]
        ),
    ]


def _beside(path: Path, options: Options) -> Report:
    rows: list[list[str]] = []
    records: list[dict[str, Any]] = []
    for model in (*MODELS, SUBWORD):
        seeds = SEEDS[:1] if options.smoke or model == SUBWORD else SEEDS
        found = {
            trainer: [in_fresh_process(train, path, seed, options) for seed in seeds]
            for trainer, train in _trainers(model).items()
        }
        yardstick = np.mean([one.speed for one in found["gensim"]]) if "gensim" in found else None
        for trainer, outcomes in found.items():
            rows.append([model, trainer, *_told(outcomes, yardstick)])
            told = [vars(one) for one in outcomes]
            records.append({"model": model, "trainer": trainer, "outcomes": told})
    note = (
        f"{EPOCHS[MODELS[0]]} epochs, means of {len(SEEDS)} seeds, behind ± the deviation between "
        f"them; with {SUBWORD} {EPOCHS[SUBWORD]} epoch by one seed."
    )
    return Report(HEADER, rows, [note, *peers.missing(["gensim", "fasttext"])], records=records)


def _told(outcomes: list[Outcome], yardstick: float | None) -> list[str]:
    speed = float(np.mean([one.speed for one in outcomes]))
    told = [f"{speed:,.0f}", "-" if yardstick is None else f"{speed / yardstick:.2f}x"]
    scores = [one.scores for one in outcomes]
    if None in scores:
        return [*told, "-", "-", "-"]
    values = np.array(scores)
    deviation = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(3)
    pairs = zip(values.mean(axis=0), deviation, strict=True)
    return [*told, *(f"{mean:.3f} ± {spread:.3f}" for mean, spread in pairs)]


def _trainers(model: str) -> dict[str, Callable[[Path, int, Options], Outcome]]:
    made: dict[str, Callable[[Path, int, Options], Outcome]] = {
        "pyembed": partial(_ours, model, False),
        "pyembed, deterministic": partial(_ours, model, True),
    }
    if peers.find("gensim") is not None:
        made["gensim"] = partial(_gensim, model)
    if peers.find("fasttext") is not None:
        made["fastText"] = partial(_fasttext, model)
    return made


def _ours(model: str, deterministic: bool, path: Path, seed: int, options: Options) -> Outcome:
    grams: dict[str, Any] = {"subword": (3, 6), "buckets": _buckets(options)}
    more = grams if model == SUBWORD else {"model": model}
    began = time.perf_counter()
    wv = word2vec.train(
        path,
        dim=DIM,
        sample=SAMPLE,
        epochs=EPOCHS[model],
        seed=seed,
        threads=options.threads,
        deterministic=deterministic,
        **more,
    )
    return _outcome(wv, EPOCHS[model], path, time.perf_counter() - began)


def _gensim(model: str, path: Path, seed: int, options: Options) -> Outcome:
    from gensim.models import FastText, Word2Vec

    grams: dict[str, Any] = {"min_n": 3, "max_n": 6, "bucket": _buckets(options)}
    began = time.perf_counter()
    trained = (FastText if model == SUBWORD else Word2Vec)(
        corpus_file=str(path),
        vector_size=DIM,
        sample=SAMPLE,
        epochs=EPOCHS[model],
        seed=seed,
        workers=options.threads,
        sg=int(model != "cbow"),
        **(grams if model == SUBWORD else {}),
    )
    seconds = time.perf_counter() - began
    keyed = trained.wv
    return _outcome(WordVectors(keyed.index_to_key, keyed.vectors), EPOCHS[model], path, seconds)


def _fasttext(model: str, path: Path, _seed: int, options: Options) -> Outcome:
    import fasttext  # which has no seed

    grams = {"minn": 3, "maxn": 6, "bucket": _buckets(options)}
    none = dict.fromkeys(grams, 0)
    began = time.perf_counter()
    with contextlib.redirect_stderr(io.StringIO()):
        trained = fasttext.train_unsupervised(
            str(path),
            model="cbow" if model == "cbow" else "skipgram",
            dim=DIM,
            t=SAMPLE,
            epoch=EPOCHS[model],
            lr=0.025,
            thread=options.threads,
            verbose=0,
            **(grams if model == SUBWORD else none),
        )
    seconds = time.perf_counter() - began
    found = trained.get_words()
    matrix = np.array([trained.get_word_vector(word) for word in found])
    return _outcome(WordVectors(found, matrix), EPOCHS[model], path, seconds)


def _buckets(options: Options) -> int:
    return 1000 if options.smoke else BUCKETS


def _outcome(wv: WordVectors, epochs: int, path: Path, seconds: float) -> Outcome:
    return Outcome(epochs * _count(path) / seconds, _scores(wv))


def _scores(wv: WordVectors) -> tuple[float, float, float] | None:
    """What gensim's files of the field's tests say; None without them, or for a small text."""
    gensim = peers.find("gensim")
    if gensim is None or len(wv) < 10_000:
        return None
    folder = Path(gensim.__file__).parent / "test" / "test_data"
    pairs = [
        wv.evaluate_word_pairs(folder / file).spearman
        for file in ("wordsim353.tsv", "simlex999.txt")
    ]
    analogies = wv.evaluate_analogies(folder / "questions-words.txt", restrict_vocab=30_000)
    return pairs[0], pairs[1], analogies.score


def _case(model: str, axis: str, size: int, options: Options) -> Case:
    labels: dict[str, int | str] = {"model": model, "swept": axis, axis: size}
    return Case(labels, partial(_by_size, model, axis, size, options))


def _by_size(model: str, axis: str, size: int, options: Options) -> Match:
    arguments = {"max_vocab" if axis == "table" else axis: size, "threads": options.threads}
    return _match(
        {
            "pyembed": partial(_train, model, arguments, False, options),
            "pyembed, deterministic": partial(_train, model, arguments, True, options),
        },
        options,
    )


def _by_threads(model: str, options: Options) -> Match:
    return _match(
        {
            name(count): partial(_train, model, {"threads": count}, False, options)
            for count in reversed(doublings(options.threads))
        },
        options,
    )


def _match(runs: dict[str, Callable[[int], Array]], options: Options) -> Match:
    contestants = [Contestant(who, run, compared=False) for who, run in runs.items()]
    return Match(contestants, 3, _count(_slice(options.smoke)), 0, warm_runs=1)


def _train(
    model: str, arguments: dict[str, Any], deterministic: bool, options: Options, batch: int
) -> Array:
    wv = word2vec.train(
        _slice(options.smoke),
        model=model,
        epochs=1,
        min_count=1,
        seed=batch,
        deterministic=deterministic,
        **arguments,
    )
    return wv.matrix


def _count(path: Path) -> int:
    with path.open(encoding="utf-8") as file:
        return sum(len(line.split()) for line in file)


@cache
def _text(smoke: bool) -> Path:
    return _written("small.txt", _small_text()) if smoke else words.corpus()


@cache
def _slice(smoke: bool) -> Path:
    return _text(smoke) if smoke else _written("slice.txt", _beginning(_text(smoke)))


def _small_text() -> Iterator[str]:
    rng = np.random.default_rng(0)
    yield from (" ".join(f"w{word}" for word in row) for row in rng.integers(0, 30, (200, 20)))


def _beginning(path: Path) -> Iterator[str]:
    left = SLICE
    with path.open(encoding="utf-8") as file:
        for line in file:
            left -= len(line.split())
            if left < 0:
                return
            yield line.rstrip("\n")


def _written(name: str, lines: Iterator[str]) -> Path:
    path = Path(_FOLDER.name) / name
    path.write_text("\n".join(lines), encoding="utf-8")
    return path
