"""What pyembed is to reach, and how each figure is read off what the jobs measured.

A figure is read for each distribution of ids, and the worst case counts. Where nothing was
measured, as when a peer is not installed, there is no figure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness import Measurement
from report import Report, ratios
from report.ratios import Figures, worst

Reader = Callable[[Report], Figures]
Goal = float | Mapping[str, float]  # one for all distributions, or one for each

MEMORY = {"dim": 64, "ids": 1 << 18, "table": "memory"}  # 4 Mi rows: 1 GiB
TRAINING = {"dim": 64, "ids": 1 << 18, "table": 4_000_000}
LARGEST = 20_000_000  # rows of the job growth
TABLES = {"dim": 32, "ids": 4096, "table": 100_000, "tables": 20}
ADAM, ADAM_KERAS = ({**TRAINING, "optimizer": name} for name in ("adam", "adam_keras"))
STEP_ALONE, ALL = ({**TRAINING, "timed": what} for what in ("optimizer's step", "all"))
BAG = {**TRAINING, "mode": "sum", "bag": 32}


@dataclass(frozen=True)
class Target:
    """``what`` beside ``beside``: ``read`` off the report of ``job``, to be ``goal`` at least.

    Or at most, if ``at_most``; ``style`` formats a figure.
    """

    what: str
    beside: str
    job: str
    read: Reader
    goal: Goal
    stretch: Goal | None = None
    at_most: bool = False
    style: str = "{:.2f}x"

    @property
    def name(self) -> str:
        """How ``notes.md`` refers to it."""
        return f"{self.what}: {self.beside}"

    def reached(self, figures: Figures, goal: Goal | None) -> bool:
        """Whether there are figures, and all of them keep to a goal."""
        if goal is None or not figures:
            return False
        return all(self._keeps(figure, at(goal, kind)) for kind, figure in figures.items())

    def _keeps(self, figure: float, goal: float) -> bool:
        return figure <= goal if self.at_most else figure >= goal


def at(goal: Goal, distribution: str) -> float:
    """The goal for one distribution."""
    return goal[distribution] if isinstance(goal, Mapping) else goal


def times(*others: str, ours: str | None = None, **where: object) -> Reader:
    """The time of other contestants over that of ours, where the labels have these values."""

    def fastest(one: Measurement) -> float | None:
        found = (one.ratio(other, ours) for other in others)
        return min((ratio for ratio in found if ratio is not None), default=None)

    return lambda report: worst(_chosen(report, where), fastest)


def over(other: str, **where: object) -> Reader:
    """Our time over that of another contestant."""

    def inverse(one: Measurement) -> float | None:
        ratio = one.ratio(other)
        return ratio and 1 / ratio

    return lambda report: worst(_chosen(report, where), inverse, max)


def share_of_copy(**where: object) -> Reader:
    """The bytes that ours moves in a second over those of a streaming copy."""
    return lambda report: worst(_chosen(report, where), lambda one: one.of_copy)


def share_of_row_reads(**where: object) -> Reader:
    """The keys found in a second over prefetched reads of lines of the cache."""
    return lambda report: worst(_chosen(report, where), lambda one: one.of_row_reads)


def flatness(work: str) -> Reader:
    """That of the tables out of the cache; no figure if the largest table was skipped."""

    def read(report: Report) -> Figures:
        grown = _chosen(report, {"work": work})
        out = [one for one in grown if one.roof is None or not one.roof.in_cache]
        complete = any(one.labels["table"] == LARGEST for one in grown)
        return ratios.flatness(out) if complete else {}

    return read


def memory_in_batches(report: Report) -> Figures:
    """What a step needs besides table and state, at the table that asks for most, over its rows."""
    found = [one["extra_bytes"]["pyembed"] / one["batch_bytes"] for one in report.records]
    return {"uniform": max(found)} if found else {}


def recall(report: Report) -> Figures:
    """The share of exact answers that an approximate index finds."""
    return next(({"uniform": one["recall"]} for one in report.records if "recall" in one), {})


def words_a_second(model: str, other: str) -> Reader:
    """Our mean speed of training over that of another trainer."""

    def read(report: Report) -> Figures:
        ours, theirs = (_trainings(report, model, who, "speed") for who in ("pyembed", other))
        return {"uniform": float(ours.mean() / theirs.mean())} if ours.size and theirs.size else {}

    return read


def quality(model: str, other: str) -> Reader:
    """By how many deviations our mean score is above another's, in the test where it is worst.

    Deviations are those between seeds, the larger of both sides'.
    """

    def read(report: Report) -> Figures:
        ours, theirs = (_trainings(report, model, who, "scores") for who in ("pyembed", other))
        if min(len(ours), len(theirs)) < 2:
            return {}
        deviation = np.maximum(ours.std(axis=0, ddof=1), theirs.std(axis=0, ddof=1))
        return {"uniform": float(np.min((ours.mean(axis=0) - theirs.mean(axis=0)) / deviation))}

    return read


def _trainings(report: Report, model: str, trainer: str, what: str) -> NDArray[np.float64]:
    """What each training of a model by a trainer came to; nothing where it was not asked."""
    chosen = {"model": model, "trainer": trainer}.items()
    found = [one["outcomes"] for one in report.records if chosen <= one.items()]
    values = [outcome[what] for outcomes in found for outcome in outcomes]
    return np.array([value for value in values if value is not None], np.float64)


def _chosen(report: Report, labels: Mapping[str, object]) -> list[Measurement]:
    return [one for one in report.measurements if labels.items() <= one.labels.items()]


# Names of contestants are those of the jobs.
TAKE, SELECT, COPY = "np.take", "torch", "streaming copy"
SPARSE, ROWWISE = "torch SparseAdam", "FBGEMM row-wise Adagrad"
GROWN = f"itself, 100,000 to {LARGEST:,} rows, out of the cache"
PERCENT, PLUS = "{:.0%}", "{:+.2f}"
STEP, EXACT = "forward + backward + SparseAdam.step", "the same, update='exact'"
BAG_STEP, BAG_FORWARD = "forward + backward + row-wise Adagrad", "bag forward, sums of 32"
IN_TORCH, OUR_OPTIMIZER = "in PyTorch: forward + backward + step", "pyembed.torch optimizer"
OURS_OVER_TAKE = "np.take(out=, mode='clip'), ours over theirs"
TORCH_BAG, FBGEMM_BAGS = "torch embedding_bag", ("FBGEMM TBE", "FBGEMM inference TBE")
LAZY = over("lazy", **TRAINING)
ONE, TWO = "1 thread", "2 threads"
FIND, ENCODE = {"work": "find", "keys": 20_000_000}, {"work": "encode"}
TEXT = {"file": "txt"}
STEP_MEMORY = "memory of a step besides table and state"
SEEDS = "gensim's mean, in deviations between seeds"
NEAREST = "the 10 nearest words by usearch's index"
BATCH = "rows of its batch, at any table up to 3 GB"

TARGETS = (
    Target("gather(out=)", "np.take(out=, mode='clip')", "gather", times(TAKE, **MEMORY), 2, 2.5),
    Target("gather(out=)", "torch.index_select(out=)", "gather", times(SELECT, **MEMORY), 1.5, 2.5),
    Target("gather(out=), worst cell of all", "either", "gather", times(TAKE, SELECT), 0.95),
    *(
        Target(what, COPY, "gather", share_of_copy(**where), goal, stretch, style=PERCENT)
        for what, where, goal, stretch in (
            ("gather(out=), rows of 256 bytes", MEMORY, 0.55, 0.70),
            ("gather(out=), rows of 1,024 bytes", {**MEMORY, "dim": 256}, 0.80, 0.90),
        )
    ),
    Target("emb(ids), fresh output", "F.embedding", "lookup", times("F.embedding"), 2.5, 5),
    Target("emb(ids), fresh output", "np.take", "lookup", times("np.take"), 2, 5),
    Target("one id, emb(ids)", "nn.Embedding", "one_id", times("nn.Embedding"), 2),
    Target("one id, gather(out=)", OURS_OVER_TAKE, "one_id", over(TAKE), 1.2, at_most=True),
    *(
        Target("scatter_add, dense", peer, "scatter_add", times(peer, **TRAINING), goal, stretch)
        for peer, goal, stretch in (
            ("np.add.at", 15, 20),
            ("torch index_add_", {"uniform": 1.5, "zipf": 1.6}, {"uniform": 2, "zipf": 2}),
        )
    ),
    Target(STEP, SPARSE, "step", times(SPARSE, **ADAM), 12, 16),
    Target(STEP, "Keras Adam", "step", times("Keras Adam", **ADAM_KERAS), 15, 20),
    Target(STEP, "Keras Adam, tuned", "step", times("Keras Adam, tuned", **ADAM), 15, 20),
    Target(STEP, f"{ROWWISE}, which is cheaper", "step", times(ROWWISE, **ADAM), 2, 2.5),
    Target(
        EXACT, "our lazy step, ours over it", "exact", over("lazy", **TRAINING), 2, at_most=True
    ),
    Target(EXACT, "torch dense Adam, fused", "exact", times("torch dense Adam", **TRAINING), 6),
    Target(EXACT, GROWN, "growth", flatness("exact step"), 1.5, at_most=True),
    *(
        Target(f"{BAG_STEP}, bags of {bag}", ROWWISE, "bag_step", read, goal, stretch)
        for bag, read, goal, stretch in (
            (1, times(ROWWISE, **TRAINING, bag=1), 4, 5),
            (32, times(ROWWISE, **TRAINING, bag=32), 2, 3),
        )
    ),
    Target(f"{BAG_STEP}, 20 tables in one step", ROWWISE, "tables", times(ROWWISE, **TABLES), 2),
    *(
        Target(what, SPARSE, "torch_step", read, goal, stretch)
        for what, read, goal, stretch in (
            ("in PyTorch: the optimizer's step", times(SPARSE, **STEP_ALONE), 10, 15),
            (f"{IN_TORCH}, torch's embedding", times(SPARSE, ours=OUR_OPTIMIZER, **ALL), 5, None),
            (f"{IN_TORCH}, our embedding", times(SPARSE, **ALL), 10, None),
        )
    ),
    Target(BAG_FORWARD, TORCH_BAG, "bag", times(TORCH_BAG, **BAG), {"uniform": 2, "zipf": 1.3}),
    Target(BAG_FORWARD, "FBGEMM, its faster one", "bag", times(*FBGEMM_BAGS, **BAG), 2),
    *(
        Target(what, GROWN, "growth", flatness(work), 1.5, at_most=True)
        for what, work in (
            ("time a touched row, lazy step", "lazy step"),
            ("time a row, gather", "gather"),
        )
    ),
    *(
        Target(f"2 threads, {work}", ONE, "threads", times(ONE, ours=TWO, work=work), 1.7)
        for work in ("gather", "scatter_add", "bag", "step")
    ),
    Target(
        "integer keys found, 20 M of them",
        "random lines of the cache",
        "keys",
        share_of_row_reads(**FIND),
        0.7,
        style=PERCENT,
    ),
    *(
        Target(what, peer, job, times(peer, **where), goal)
        for what, peer, job, where, goal in (
            ("integer keys found, 20 M of them", "pandas", "keys", FIND, 15),
            ("words encoded", "dict loop", "keys", ENCODE, 5),
            ("words encoded", "pandas", "keys", ENCODE, 5),
            ("word vectors read from text", "pandas", "vectors", TEXT, 1),
            ("word vectors read from text", "gensim", "vectors", TEXT, 25),
        )
    ),
    Target(
        "word vectors read from text, ours over theirs",
        "reading the bytes",
        "vectors",
        over("reading the bytes", **TEXT),
        3,
        at_most=True,
    ),
    *(
        Target(f"{what}, of 400,000", "gensim", "similar", times("gensim", **where), goal)
        for what, where, goal in (
            ("words near to a word", {"questions": 1}, 3),
            ("words near to 100 words at once", {"questions": 100}, 10),
        )
    ),
    Target(NEAREST, "the exact ones", "similar", recall, 0.9, style=PERCENT),
    Target(
        "2 ranks, a step with Adam, ours over theirs",
        "one process, 2 threads",
        "sharding",
        over("one process, 2 threads", **TRAINING, work="step, Adam"),
        1.5,
        at_most=True,
    ),
    Target(
        "a lookup's exchange, ours over theirs",
        "memcpy of its bytes",
        "sharding",
        over("memcpy", **TRAINING, work="a lookup's exchange"),
        3,
        at_most=True,
    ),
    Target(
        "2 ranks, a step with row-wise Adagrad",
        "TorchRec row-wise",
        "sharding",
        times("TorchRec row-wise", **TRAINING, work="step, row-wise Adagrad"),
        12,
    ),
    Target("texts as vectors, worst size", "Model2Vec", "sentences", times("model2vec"), 1),
    *(
        Target(f"{what}, words a second", peer, "word2vec", words_a_second(*who), goal, stretch)
        for what, peer, who, goal, stretch in (
            ("skip-gram", "gensim", ("skipgram", "gensim"), 4, 6),
            ("CBOW", "gensim", ("cbow", "gensim"), 3, 4),
            ("skip-gram of n-grams", "fastText", ("n-grams", "fastText"), 2, None),
        )
    ),
    *(
        Target(f"{what}, the worst of its scores", SEEDS, "word2vec", quality(*who), -1, style=PLUS)
        for what, who in (
            ("skip-gram", ("skipgram", "gensim")),
            ("CBOW", ("cbow", "gensim")),
        )
    ),
    Target(STEP_MEMORY, BATCH, "memory", memory_in_batches, 1.5, at_most=True),
    Target("lookup", "one-hot matrix product", "onehot", times("one-hot matrix"), 1),
)
