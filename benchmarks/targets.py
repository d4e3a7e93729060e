"""What pyembed is to reach, and how each figure is read off what the jobs measured.

A figure is read for each distribution of ids, and the worst case counts. Where nothing was
measured, as when a peer is not installed, there is no figure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness import Measurement
from report import Report

Figures = dict[str, float]  # by distribution
Reader = Callable[[Report], Figures]
Goal = float | Mapping[str, float]  # one for all distributions, or one for each

MEMORY = {"dim": 64, "ids": 1 << 18, "table": "memory"}  # 4 Mi rows: 1 GiB
TRAINING = {"dim": 64, "ids": 1 << 18, "table": 4_000_000}
LARGEST = 20_000_000  # rows of the job growth
ADAM = {**TRAINING, "optimizer": "adam"}
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
    return _worst(lambda one: [_ratio(one, other, ours) for other in others], min, where)


def over(other: str, **where: object) -> Reader:
    """Our time over that of another contestant."""

    def inverse(one: Measurement) -> list[float | None]:
        ratio = _ratio(one, other, None)
        return [ratio and 1 / ratio]

    return _worst(inverse, max, where)


def share_of_copy(**where: object) -> Reader:
    """The bytes that ours moves in a second over those of a streaming copy."""
    return _worst(lambda one: [one.of_copy], min, where)


def flatness(work: str) -> Reader:
    """The longest time a touched row over the shortest, among the tables out of the cache.

    No figure if the largest table was skipped.
    """

    def read(report: Report) -> Figures:
        kinds: dict[str, list[float]] = {}
        grown = _chosen(report, {"work": work})
        if not any(one.labels["table"] == LARGEST for one in grown):
            return {}
        for one in grown:
            if one.roof is None or not one.roof.in_cache:
                kinds.setdefault(_kind(one), []).append(1 / one.rows_per_second)
        return {kind: max(found) / min(found) for kind, found in kinds.items()}

    return read


def memory_in_batches(report: Report) -> Figures:
    """What a step needs besides table and state, at the table that asks for most, over its rows."""
    found = [one["extra_bytes"]["pyembed"] / one["batch_bytes"] for one in report.records]
    return {"uniform": max(found)} if found else {}


def _ratio(one: Measurement, other: str, ours: str | None) -> float | None:
    """Their time over that of our contestant of that name, or of the first one."""
    theirs, mine = one.of(other), one.ours if ours is None else one.of(ours)
    return None if theirs is None or mine is None else theirs.median / mine.median


def _worst(
    figures_of: Callable[[Measurement], Sequence[float | None]],
    worst: Callable[[list[float]], float],
    where: Mapping[str, object],
) -> Reader:
    def read(report: Report) -> Figures:
        kinds: dict[str, list[float]] = {}
        for one in _chosen(report, where):
            found = [figure for figure in figures_of(one) if figure is not None]
            kinds.setdefault(_kind(one), []).extend(found)
        return {kind: worst(found) for kind, found in kinds.items() if found}

    return read


def _chosen(report: Report, labels: Mapping[str, object]) -> list[Measurement]:
    return [
        one
        for one in report.measurements
        if all(one.labels.get(name) == value for name, value in labels.items())
    ]


def _kind(one: Measurement) -> str:
    return str(one.labels.get("distribution", "uniform"))


# Names of contestants are those of the jobs.
TAKE, SELECT = "np.take", "torch"
ROWWISE = "FBGEMM row-wise Adagrad"
GROWN = f"itself, 100,000 to {LARGEST:,} rows, out of the cache"
PERCENT = "{:.0%}"

TARGETS = (
    Target("gather(out=)", "np.take(out=, mode='clip')", "gather", times(TAKE, **MEMORY), 2, 2.5),
    Target("gather(out=)", "torch.index_select(out=)", "gather", times(SELECT, **MEMORY), 1.5, 2.5),
    Target("gather(out=), worst cell of all", "either", "gather", times(TAKE, SELECT), 0.95),
    Target(
        "gather(out=), rows of 256 bytes",
        "streaming copy",
        "gather",
        share_of_copy(**MEMORY),
        0.55,
        0.70,
        style=PERCENT,
    ),
    Target(
        "gather(out=), rows of 1,024 bytes",
        "streaming copy",
        "gather",
        share_of_copy(**{**MEMORY, "dim": 256}),
        0.80,
        0.90,
        style=PERCENT,
    ),
    Target("emb(ids), fresh output", "F.embedding", "lookup", times("F.embedding"), 2.5, 5),
    Target("emb(ids), fresh output", "np.take", "lookup", times("np.take"), 2, 5),
    Target("one id, emb(ids)", "nn.Embedding", "one_id", times("nn.Embedding"), 2),
    Target(
        "one id, gather(out=)",
        "np.take(out=, mode='clip'), ours over theirs",
        "one_id",
        over("np.take"),
        1.2,
        at_most=True,
    ),
    Target(
        "scatter_add, dense", "np.add.at", "scatter_add", times("np.add.at", **TRAINING), 15, 20
    ),
    Target(
        "scatter_add, dense",
        "torch index_add_",
        "scatter_add",
        times("torch index_add_", **TRAINING),
        {"uniform": 1.5, "zipf": 4},
        {"uniform": 2, "zipf": 5},
    ),
    Target(
        "forward + backward + SparseAdam.step",
        "torch SparseAdam",
        "step",
        times("torch SparseAdam", **ADAM),
        12,
        16,
    ),
    Target(
        "forward + backward + SparseAdam.step",
        "Keras Adam",
        "step",
        times("Keras Adam", **{**ADAM, "optimizer": "adam_keras"}),
        15,
        20,
    ),
    Target(
        "forward + backward + SparseAdam.step",
        "Keras Adam, tuned",
        "step",
        times("Keras Adam, tuned", **ADAM),
        15,
        20,
    ),
    Target(
        "forward + backward + SparseAdam.step",
        f"{ROWWISE}, which is cheaper",
        "step",
        times(ROWWISE, **ADAM),
        2,
        2.5,
    ),
    Target(
        "the same, update='exact'",
        "our lazy step, ours over it",
        "exact",
        over("lazy", **TRAINING),
        2,
        at_most=True,
    ),
    Target(
        "the same, update='exact'",
        "torch dense Adam, fused",
        "exact",
        times("torch dense Adam", **TRAINING),
        6,
    ),
    Target(
        "the same, update='exact'",
        GROWN,
        "growth",
        flatness("exact step"),
        1.5,
        at_most=True,
    ),
    Target(
        "forward + backward + row-wise Adagrad, bags of 1",
        ROWWISE,
        "bag_step",
        times(ROWWISE, **{**TRAINING, "bag": 1}),
        4,
        5,
    ),
    Target(
        "forward + backward + row-wise Adagrad, bags of 32",
        ROWWISE,
        "bag_step",
        times(ROWWISE, **{**TRAINING, "bag": 32}),
        2,
        3,
    ),
    Target(
        "in PyTorch: the optimizer's step",
        "torch SparseAdam",
        "torch_step",
        times("torch SparseAdam", **TRAINING, timed="optimizer's step"),
        10,
        15,
    ),
    Target(
        "in PyTorch: forward + backward + step, torch's embedding",
        "torch SparseAdam",
        "torch_step",
        times("torch SparseAdam", ours="pyembed.torch optimizer", **TRAINING, timed="all"),
        5,
    ),
    Target(
        "in PyTorch: forward + backward + step, our embedding",
        "torch SparseAdam",
        "torch_step",
        times("torch SparseAdam", **TRAINING, timed="all"),
        10,
    ),
    Target(
        "bag forward, sums of 32",
        "torch embedding_bag",
        "bag",
        times("torch embedding_bag", **BAG),
        {"uniform": 2, "zipf": 1.3},
    ),
    Target(
        "bag forward, sums of 32",
        "FBGEMM, its faster one",
        "bag",
        times("FBGEMM TBE", "FBGEMM inference TBE", **BAG),
        2,
    ),
    Target(
        "time a touched row, lazy step",
        GROWN,
        "growth",
        flatness("lazy step"),
        1.5,
        at_most=True,
    ),
    Target(
        "time a row, gather",
        GROWN,
        "growth",
        flatness("gather"),
        1.5,
        at_most=True,
    ),
    *(
        Target(
            f"2 threads, {work}",
            "1 thread",
            "threads",
            times("1 thread", ours="2 threads", work=work),
            1.7,
        )
        for work in ("gather", "scatter_add", "bag", "step")
    ),
    Target(
        "memory of a step besides table and state",
        "rows of its batch, at any table up to 3 GB",
        "memory",
        memory_in_batches,
        1.5,
        at_most=True,
    ),
    Target("lookup", "one-hot matrix product", "onehot", times("one-hot matrix"), 1),
)
