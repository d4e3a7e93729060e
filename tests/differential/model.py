"""A table and its share of an optimizer in plain NumPy: functions of reference.py, applied."""

from dataclasses import dataclass, replace

import numpy as np

import reference


@dataclass(frozen=True)
class Call:
    """One backward call. Its ids are read, and frozen rows left out, when it is used."""

    ids: np.ndarray  # (n,) with offsets, else (bags, length)
    grad: np.ndarray  # (bags, D)
    offsets: np.ndarray | None = None
    mode: str = "sum"
    weights: np.ndarray | None = None
    by_frequency: bool = False
    rate: float = 0.0  # of dropout
    key: int = 0
    scale: float = 1.0
    seen: np.ndarray | None = None  # the table when max pooling found its winners

    def dropping(self, dropout=0.0, key=0):
        return replace(self, rate=dropout, key=key, scale=dropout_scale(dropout))

    def scaled(self, factor):
        return replace(self, scale=self.scale * float(factor))


def penalty_of(w, l1=0.0, l2=0.0):
    w = w.astype(np.float64)
    return (l1 and l1 * np.abs(w).sum()) + (l2 and l2 * (w * w).sum())


def dropout_scale(rate):
    return 1.0 / (1.0 - rate) if rate < 1.0 else 0.0


class Model:
    def __init__(self, table, settings):
        self.table = table.copy()
        self.settings = settings
        self.frozen = set()
        self.restart()

    def restart(self):
        """Start with the state of a new optimizer."""
        self.t = 0
        self.state = np.zeros((2, *self.table.shape), self.table.dtype)
        self.row_steps = np.zeros(len(self.table), np.int64)

    def is_raised(self, ids):
        """Return whether an id among these is an error."""
        flat = np.asarray(ids).reshape(-1).tolist()
        policy = self.settings.out_of_range
        return policy == "raise" and any(not 0 <= id < len(self.table) for id in flat)

    def rows(self, ids, padding):
        return reference.resolve(ids, len(self.table), self.settings.out_of_range, padding)

    def renormalise(self, ids):
        if self.settings.max_norm is None:
            return
        rows = self.rows(ids, self.settings.padding)
        rows = rows[(rows >= 0) & ~np.isin(rows, list(self.frozen))]
        reference.renormalise(self.table, rows, self.settings.max_norm, self.settings.norm_type)

    def gather(self, ids, rate=0.0, key=0):
        out = reference.gather(self.table, ids, self.settings.out_of_range)
        if rate > 0.0:
            out *= out.dtype.type(dropout_scale(rate))
            dropped = self._dropped(self.rows(ids, None), rate, key)
            out[dropped.reshape(np.shape(ids))] = 0.0
        return out

    def gather_bag(self, ids, offsets, mode, weights):
        return reference.gather_bag(self.table, ids, offsets, mode, weights, **self._bag_rule())

    def weight_gradient(self, ids, grad, offsets, mode, weights):
        rule = self._bag_rule()
        return reference.weight_gradient(self.table, ids, grad, offsets, mode, weights, **rule)

    def summands(self, calls):
        """Return (rows, values) of the calls' gradient, in order of position."""
        parts = [self._summands(call) for call in calls]
        return tuple(np.concatenate(part) for part in zip(*parts, strict=True))

    def coalesced(self, calls):
        return reference.coalesce(*self.summands(calls))

    def dense(self, calls):
        return reference.scatter_add(np.zeros_like(self.table), *self.summands(calls))

    def step(self, calls, training):
        settings = self.settings
        rows, g = self.coalesced(calls)
        self.t += 1
        self.row_steps[rows] += 1
        w, state = self.table[rows], self.state[:, rows]
        g = reference.penalised(w, g, **settings.penalty)
        if settings.regularizer is not None:
            g = g + settings.regularizer.gradient(w)
        training.update(w, state, g, self.t, self.row_steps[rows])
        reference.constrain(w, **settings.constraint)
        self.table[rows], self.state[:, rows] = w, state
        if settings.whole_constraint is not None:
            kept = sorted(self.frozen | {settings.padding} - {None})
            before = self.table[kept]
            self.table = settings.whole_constraint(self.table)
            self.table[kept] = before

    def grow(self, rows):
        more = rows - len(self.table)
        made = self.settings.new_rows(len(self.table), rows, self.table.shape[1])
        self.table = np.concatenate([self.table, made])
        self.state = np.pad(self.state, ((0, 0), (0, more), (0, 0)))
        self.row_steps = np.pad(self.row_steps, (0, more))

    def loss(self, rows):
        """Return the regularizer's loss over these rows."""
        if self.settings.regularizer is not None:
            return self.settings.regularizer(self.table[rows])
        return penalty_of(self.table[rows], **self.settings.penalty)

    def _bag_rule(self):
        return {"padding": self.settings.padding, "out_of_range": self.settings.out_of_range}

    def _dropped(self, rows, rate, key):
        unique, places = np.unique(rows, return_inverse=True)
        return reference.dropped(unique, rate, key)[places.reshape(-1)]

    def _summands(self, call):
        rows = self.rows(call.ids, self.settings.padding)
        if call.rate > 0.0:
            rows[self._dropped(rows, call.rate, call.key)] = -1
        return reference.bag_gradient(
            self.table if call.seen is None else call.seen,
            rows.reshape(call.ids.shape),
            call.grad,
            call.offsets,
            call.mode,
            call.weights,
            out_of_range="zero",
            frozen=sorted(self.frozen),
            by_frequency=call.by_frequency,
            scale=call.scale,
        )
