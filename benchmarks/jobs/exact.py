"""Exact Adam: first its weights beside dense Adam's, then what a step costs.

Each side gets the same gradients, of random rows, at a learning rate that changes with the step.
Exact Adam is asked in between too, by lookups, which must see rows as they would be. A row of the
table is the worst of the settings with and without weight decay. The times are of exact Adam, of
lazy Adam, which does less, and of PyTorch's and Keras's dense Adam, whose weights must be those of
exact Adam.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import product

import numpy as np

import jobs
import pyembed as pe
import sides
import training
from data import Array
from grid import Axes
from harness import Disagreement
from jobs import Table
from options import DTYPES, Options
from report import Report
from training import Contest

ROWS, DIM = 200, 8
LOOKUP_EVERY = 97
BETAS = ((0.9, 0.999), (0.9, 0.99), (0.99, 0.999), (0.0, 0.999))
TOUCHED = (0.5, 0.1, 0.02)
SCALES = (1.0, 1e-4, 1e-8)
DECAYS = (0.0, 0.1)
STEPS, SMOKE_STEPS = 2000, 50

# What an error may be: the series is cut where the rest is below 1e-10; float32 rounds, and dense
# Adam in float32 is as far from dense Adam in float64.
ALLOWED = {"float64": 1e-10, "float32": 1e-5}

FULL = Axes(dims=(64,), ids=(1 << 14, 1 << 18), rows=(4_000_000,), distributions=("uniform",))
SMOKE = Axes(dims=(3,), ids=(30,), rows=(97,), distributions=("uniform",))
CONTEST = Contest(
    {
        "pyembed exact": sides.EXACT_ADAM,
        "lazy": sides.other_work(sides.LAZY_ADAM),
        "torch dense Adam": sides.TORCH_DENSE_ADAM,
        "Keras Adam, tuned": sides.KERAS_ADAM_TUNED,
    },
    state_arrays=2,  # first and second moment
)


@dataclass(frozen=True)
class Setting:
    """One way to train: ``touched`` is the share of the rows that a step has gradients of."""

    betas: tuple[float, float]
    scale: float  # of the gradients
    touched: float
    decay: float


Errors = dict[str, float]  # largest of a weight, by side and dtype, as in "exact float64"


def tables(options: Options) -> list[Table]:
    return [training.table("exact Adam's step", CONTEST, options, FULL, SMOKE)]


def run(options: Options) -> Report:
    """The errors as the table, the times below it."""
    steps = SMOKE_STEPS if options.smoke else STEPS
    found = {
        setting: drift(setting, steps)
        for setting in (Setting(*values) for values in product(BETAS, SCALES, TOUCHED, DECAYS))
    }
    verify(found)
    clock = jobs.timed(tables(options), options)
    return Report(
        header=["betas", "gradients", "dtype", *_columns()],
        rows=[_row(found, *line) for line in product(BETAS, SCALES, DTYPES)],
        notes=[
            f"Largest difference of a weight from dense Adam in float64, over {steps:,} steps at a "
            "learning rate around 0.01,",
            "the worse of weight decays 0 and 0.1; exact at each share of the rows in a step, "
            "dense and lazy at the worst.",
            "",
            *clock.text().splitlines(),
        ],
        summary=[
            f"exact Adam: within {_worst(found.values(), 'exact float64')} of dense Adam in "
            f"float64, lazy within {_worst(found.values(), 'lazy float64')}",
            *clock.summary,
        ],
        records=[
            *({**asdict(setting), **errors} for setting, errors in found.items()),
            *clock.records,
        ],
    )


def verify(found: dict[Setting, Errors]) -> None:
    """Raise ``Disagreement`` if exact Adam is further from dense Adam than it may be."""
    for setting, errors in found.items():
        for dtype, allowed in ALLOWED.items():
            if not (error := errors[f"exact {dtype}"]) <= allowed:
                raise Disagreement(
                    f"{setting}: {dtype} weights are {error:.1e} from dense Adam's, "
                    f"more than {allowed:g}"
                )


def rate(t: int) -> float:
    """The learning rate of step t: half up and half down about 0.01."""
    return 0.01 * (1 + 0.5 * math.sin(t / 50))


def drift(setting: Setting, steps: int) -> Errors:
    """Train all sides side by side; the truth is dense Adam in float64."""
    rng = np.random.default_rng(0)
    start = (0.05 * rng.standard_normal((ROWS, DIM))).astype(np.float32)
    trained = {
        f"{name} {dtype}": _Dense(setting, start, dtype)
        if name == "dense"
        else _Sparse(setting, start, dtype, name)
        for name, dtype in product(("dense", "exact", "lazy"), DTYPES)
    }
    truth = trained["dense float64"].weights
    errors = dict.fromkeys(trained, 0.0)
    count = max(1, round(setting.touched * ROWS))
    for t in range(1, steps + 1):
        ids = rng.integers(0, ROWS, count)
        dy = (setting.scale * rng.standard_normal((count, DIM))).astype(np.float32)
        for side in trained.values():
            side.step(ids, dy)
        if t % LOOKUP_EVERY == 0:
            for name in (f"exact {dtype}" for dtype in DTYPES):
                rows = trained[name].table(np.arange(ROWS))
                errors[name] = max(errors[name], _farthest(rows, truth))
    return {
        name: max(errors[name], _farthest(side.weights, truth)) for name, side in trained.items()
    }


class _Sparse:
    def __init__(self, setting: Setting, start: Array, dtype: str, update: str) -> None:
        self.table = pe.Embedding(ROWS, DIM, weights=start, dtype=dtype)
        self._adam = pe.SparseAdam(
            self.table, rate, *setting.betas, weight_decay=setting.decay, update=update
        )

    @property
    def weights(self) -> Array:
        return self.table.embeddings

    def step(self, ids: Array, dy: Array) -> None:
        self._adam.step(self.table.backward(ids, dy.astype(self.table.dtype)))


class _Dense:
    def __init__(self, setting: Setting, start: Array, dtype: str) -> None:
        self.weights = start.astype(dtype)
        beta_1, beta_2 = setting.betas
        self._adam = pe.baseline.Adam(self.weights, 0.0, beta_1, beta_2, weight_decay=setting.decay)

    def step(self, ids: Array, dy: Array) -> None:
        gradient = np.zeros_like(self.weights)
        np.add.at(gradient, ids, dy.astype(gradient.dtype))
        self._adam.learning_rate = rate(self._adam.t + 1)
        self._adam.step(gradient)


def _farthest(weights: Array, truth: Array) -> float:
    return float(np.abs(weights - truth).max())


def _columns() -> list[str]:
    return [*(f"exact {share:.0%}" for share in TOUCHED), "dense", "lazy"]


def _row(
    found: dict[Setting, Errors], betas: tuple[float, float], scale: float, dtype: str
) -> list[str]:
    def worst(side: str, shares: Sequence[float] = TOUCHED) -> str:
        here = (Setting(betas, scale, *rest) for rest in product(shares, DECAYS))
        return _worst((found[setting] for setting in here), f"{side} {dtype}")

    exact = (worst("exact", [share]) for share in TOUCHED)
    names = f"{betas[0]:g}, {betas[1]:g}", f"{scale:g}", dtype
    return [*names, *exact, worst("dense"), worst("lazy")]


def _worst(errors: Iterable[Errors], side: str) -> str:
    return f"{max(one[side] for one in errors):.1e}"
