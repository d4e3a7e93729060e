"""What a table and an optimizer are made with, for the library and for the model."""

from dataclasses import dataclass, field, replace

import numpy as np

import pyembed as pe
import reference


class Cubic:
    """A regularizer of a user's own: factor times the sum of |w| cubed."""

    def __init__(self, factor):
        self.factor = factor
        self.fails = False

    def __call__(self, w):
        return self.factor * float(np.sum(np.abs(w, dtype=np.float64) ** 3))

    def gradient(self, w):
        if self.fails:
            raise ArithmeticError("a regularizer of a user's own that raises")
        return w.dtype.type(3 * self.factor) * w * np.abs(w)


ACTIVITY = {"l1": 0.01, "l2": 0.3}  # of the lookup's result, where a layer has that


def at_most_one(w):
    """Return the values within [-1, 1]: a constraint of a user's own."""
    return np.clip(w, -1, 1)


@dataclass
class Settings:
    """Of one table; `layer` holds the arguments that say the same to a layer."""

    dtype: str
    out_of_range: str
    padding: int | None
    max_norm: float | None = None
    norm_type: float = 2.0
    initial: str = "zeros"
    seed: int = 0
    penalty: dict = field(default_factory=dict)  # of reference.penalised
    regularizer: Cubic | None = None
    constraint: dict = field(default_factory=dict)  # of reference.constrain
    whole_constraint: object = None
    layer: dict = field(default_factory=dict)

    def new_rows(self, begin, end, dim):
        """Return the rows that the initializer makes when the table grows."""
        shape = end - begin, dim
        if self.initial == "zeros":
            return np.zeros(shape, self.dtype)
        units = reference.uniform_rows(shape, self.seed, begin)
        return (-0.05 + (0.05 + 0.05) * units).astype(self.dtype)


def draw_settings(draw, rows):
    settings = Settings(
        dtype=draw.one_of(["float32", "float64"]),
        out_of_range=draw.one_of(["raise", "raise", "clip", "zero", "wrap"]),
        padding=draw.integer(0, rows - 1) if draw.chance(0.4) else None,
        initial=draw.one_of(["zeros", "uniform"]),
        seed=draw.integer(0, 2**40),
    )
    if draw.chance(0.3):
        settings.max_norm = draw.one_of([0.5, 1.0, 3.0])
        settings.norm_type = draw.one_of([1.0, 2.0, np.inf])
    settings.layer = {
        "dtype": settings.dtype,
        "out_of_range": settings.out_of_range,
        "padding_idx": _counted(draw, settings.padding, rows),
        "max_norm": settings.max_norm,
        "norm_type": settings.norm_type,
        "embeddings_initializer": settings.initial,
        "seed": settings.seed,
    }
    if draw.chance(0.4):
        _draw_regularizer(draw, settings)
    if draw.chance(0.4):
        _draw_constraint(draw, settings)
    return settings


def _counted(draw, row, rows):
    """Return a row counted from the start or from the end."""
    return row if row is None or draw.chance(0.5) else row - rows


def _draw_regularizer(draw, settings):
    l1, l2 = draw.one_of([0.0, 0.01, 0.3]), draw.one_of([0.0, 0.02, 0.5])
    settings.penalty, settings.layer["embeddings_regularizer"] = draw.one_of(
        [
            ({"l1": l1}, pe.regularizers.L1(l1)),
            ({"l2": l2}, pe.regularizers.L2(l2)),
            ({"l1": l1, "l2": l2}, pe.regularizers.L1L2(l1, l2)),
            ({}, Cubic(0.05)),
        ]
    )
    if not settings.penalty:
        settings.regularizer = Cubic(0.05)


def _draw_constraint(draw, settings):
    constraints = pe.constraints
    settings.constraint, settings.layer["embeddings_constraint"] = draw.one_of(
        [
            ({"non_negative": True}, constraints.NonNeg()),
            ({"norm": (0.0, 0.7, 1.0)}, constraints.MaxNorm(0.7, axis=1)),
            ({"norm": (1.0, 1.0, 1.0)}, constraints.UnitNorm(axis=-1)),
            ({"norm": (0.5, 0.8, 0.6)}, constraints.MinMaxNorm(0.5, 0.8, 0.6, axis=(1,))),
            ({}, constraints.MaxNorm(0.7, axis=0)),
            ({}, constraints.UnitNorm((0, 1))),
            ({}, at_most_one),
        ]
    )
    if not settings.constraint:
        settings.whole_constraint = settings.layer["embeddings_constraint"]


@dataclass(frozen=True)
class Schedule:
    """A learning rate that is a callable of the step."""

    first: float

    def __call__(self, t):
        return self.first / t


def _adam(w, state, g, rate, t, row_steps, *, step_bias, weight_decay, **arguments):
    t = row_steps if step_bias == "row" else t
    reference.adam(w, *state, g, t, rate, decay=weight_decay, **arguments)


def _sgd(w, state, g, rate, t, row_steps, *, weight_decay, **arguments):
    reference.sgd(w, state[0], g, rate, decay=weight_decay, **arguments)


def _lion(w, state, g, rate, t, row_steps, *, weight_decay, **arguments):
    reference.lion(w, state[0], g, rate, decay=weight_decay, **arguments)


def _ftrl(w, state, g, rate, t, row_steps, *, initial_accumulator_value, **arguments):
    short = {"l2_shrinkage_regularization_strength": "shrinkage", "beta": "beta"}
    short |= {f"{name}_regularization_strength": name for name in ("l1", "l2")}
    reference.ftrl(w, *state, g, rate, **{short[name]: arguments[name] for name in arguments})


UPDATES = {"SparseAdam": _adam, "SparseSGD": _sgd, "SparseFTRL": _ftrl, "SparseLion": _lion}


@dataclass(frozen=True)
class Training:
    """An optimizer's arguments, and its update of rows in plain NumPy."""

    kind: str
    learning_rate: float | Schedule
    arguments: dict

    def make(self, layers):
        return getattr(pe, self.kind)(layers, self.learning_rate, **self.arguments)

    def update(self, w, state, g, t, row_steps):
        """Update rows w and their state (2, n, D) in place."""
        rate = self.learning_rate(t) if callable(self.learning_rate) else self.learning_rate
        UPDATES[self.kind](w, state, g, rate, t, row_steps, **self.arguments)

    def with_rate(self, learning_rate):
        return replace(self, learning_rate=learning_rate)


def draw_rate(draw, kind):
    rate = draw.one_of([0.0, 0.001, 0.1, 0.5][kind == "SparseFTRL" :])  # whose rate is above 0
    return Schedule(rate) if draw.chance(0.3) else rate


def _draw_adam(draw):
    return {
        "beta_1": draw.one_of([0.0, 0.1, 0.9]),
        "beta_2": draw.one_of([0.0, 0.2, 0.95, 0.999]),
        "epsilon": draw.one_of([1e-7, 1e-7, 0.01, 0.0]),
        "step_bias": draw.one_of(["global", "row"]),
    }


def _draw_sgd(draw):
    momentum = draw.one_of([0.0, 0.0, 0.5, 0.9])
    return {"momentum": momentum, "nesterov": momentum > 0 and draw.chance(0.5)}


def _draw_lion(draw):
    return {"beta_1": draw.one_of([0.1, 0.9]), "beta_2": draw.one_of([0.0, 0.2, 0.99])}


def _draw_ftrl(draw):
    return {
        "initial_accumulator_value": 0.0,  # as the model's state starts
        "l1_regularization_strength": draw.one_of([0.0, 0.01, 0.5]),
        "l2_regularization_strength": draw.one_of([0.0, 0.3]),
        "l2_shrinkage_regularization_strength": draw.one_of([0.0, 0.1]),
        "beta": draw.one_of([0.5, 1.0]),  # not 0: where a gradient is 0, so is the accumulator
    }


def draw_training(draw):
    kind = draw.one_of(["SparseAdam", "SparseAdam", "SparseSGD", "SparseFTRL", "SparseLion"])
    arguments = {
        "SparseAdam": _draw_adam,
        "SparseSGD": _draw_sgd,
        "SparseFTRL": _draw_ftrl,
        "SparseLion": _draw_lion,
    }[kind](draw)
    if kind != "SparseFTRL":
        arguments["weight_decay"] = draw.one_of([0.0, 0.0, 0.01, 0.9])
    return Training(kind, draw_rate(draw, kind), arguments)
