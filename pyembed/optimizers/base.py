"""What every sparse optimizer does around its rule."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeAlias

from numpy.typing import NDArray

from pyembed import _checks, _core
from pyembed._core import BackwardCall, SortedGradient, Table
from pyembed._fixed import Fixed
from pyembed.layer import TableLayer
from pyembed.sparse_grad import SparseGrad

LearningRate: TypeAlias = float | Callable[[int], float]

# Which live optimizer updates a table: two would each hold half of the truth about its state.
_owners: weakref.WeakKeyDictionary[Table, weakref.ref[SparseOptimizer]] = (
    weakref.WeakKeyDictionary()
)
_owners_lock = threading.Lock()

_living: weakref.WeakSet[SparseOptimizer] = weakref.WeakSet()


def _renew_locks() -> None:
    """Forget who held a lock in the parent of a forked child: that thread does not exist here."""
    global _owners_lock
    _owners_lock = threading.Lock()
    for optimizer in list(_living):
        optimizer._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)


class TableState:
    """One table's share of an optimizer: its state array and its step count t."""

    def __init__(self, layer: TableLayer, state_rows: int) -> None:
        self.layer = layer
        self.table = layer._table
        self.t = 0
        # (V, state_rows, D): a row's state lies side by side, zeroed when first touched.
        shape = (layer.input_dim, state_rows, layer.output_dim)
        self.array: NDArray[Any] = _core.zeros(shape, layer.dtype)


class SparseOptimizer(Fixed):
    """Base of the optimizers. A subclass has `_state_rows` and `_apply`.

    Parameters
    ----------
    tables : layer or sequence of layers
    learning_rate : float or callable
        A callable gets the table's step count t, from 1.
    weight_decay : float
        Decoupled: touched rows are multiplied by ``1 - learning_rate * weight_decay`` first.
    """

    _state_rows: int
    _fixed: ClassVar[frozenset[str]] = frozenset({"weight_decay"})

    def __init__(
        self,
        tables: TableLayer | Sequence[TableLayer],
        learning_rate: LearningRate,
        weight_decay: float,
    ) -> None:
        self.weight_decay = _checks.real(weight_decay, "weight_decay", 0.0)
        self.learning_rate = learning_rate
        # Reentrant: a callable learning rate may call release().
        self._lock = threading.RLock()
        _living.add(self)
        layers = _layers(tables)
        self._claim(layers)
        try:
            self._states = {layer._table: TableState(layer, self._state_rows) for layer in layers}
        except BaseException:
            self._release(layer._table for layer in layers)
            raise

    @property
    def learning_rate(self) -> LearningRate:
        """A number, or a callable of the step count t; settable."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: LearningRate) -> None:
        self._learning_rate = value if callable(value) else self._checked_rate(value)

    def step(self, *grads: SparseGrad) -> None:
        """Update the rows that the gradients touch.

        Parameters
        ----------
        *grads : SparseGrad
            Of this optimizer's tables, in any number: those of one table count as their sum, in
            the order given. Each table given a gradient, even an empty one, advances its step
            count; the others do not.

        Raises
        ------
        ValueError
            If there are no gradients, or one of another optimizer's table.
        TypeError
            If one is no `SparseGrad`.
        IndexError
            If an id is outside its table.
        RuntimeError
            After `release`.

        Notes
        -----
        Whatever is raised, nothing has been written. Lookups wait while their table is updated.
        """
        with self._lock:
            updates = []
            for state, calls in self._by_table(grads):
                rate = self._learning_rate
                rate = self._checked_rate(rate(state.t + 1)) if callable(rate) else rate
                gradient = SortedGradient(state.table, tuple(calls), for_step=True)
                updates.append((state, gradient, rate))
            # From here on nothing can be refused.
            for state, gradient, rate in updates:
                state.t += 1
                self._apply(state, gradient, rate, 1.0 - rate * self.weight_decay)

    def release(self) -> None:
        """Give the tables up for another optimizer to take; this one cannot step any more."""
        with self._lock:
            self._release(self._states)
            self._states = {}

    def _apply(
        self, state: TableState, gradient: SortedGradient, learning_rate: float, decay: float
    ) -> None:
        raise NotImplementedError

    def _by_table(self, grads: Sequence[SparseGrad]) -> list[tuple[TableState, list[BackwardCall]]]:
        if not self._states:
            raise RuntimeError("this optimizer gave its tables up in release()")
        if not grads:
            raise ValueError("step() needs at least one gradient")
        calls: dict[Table, list[BackwardCall]] = {}
        for number, grad in enumerate(grads):
            if not isinstance(grad, SparseGrad):
                raise TypeError(
                    f"gradient {number} must be a SparseGrad, not {type(grad).__name__}"
                )
            if grad._table not in self._states:
                raise ValueError(
                    f"gradient {number} is of a table that this optimizer does not update"
                )
            calls.setdefault(grad._table, []).extend(grad._calls)
        return [(self._states[table], table_calls) for table, table_calls in calls.items()]

    def _checked_rate(self, value: Any) -> float:
        if self.weight_decay == 0.0:
            return _checks.real(value, "learning_rate", 0.0)
        why = f", as learning_rate * weight_decay (weight_decay={self.weight_decay:g}) must be < 1"
        return _checks.real(value, "learning_rate", 0.0, 1.0 / self.weight_decay, why=why)

    def _claim(self, layers: Sequence[TableLayer]) -> None:
        with _owners_lock:
            for layer in layers:
                owner = _owners.get(layer._table)
                if owner is not None and owner() is not None:
                    raise ValueError(
                        f"{layer.name} is updated by another optimizer already: call its "
                        "opt.release() first"
                    )
            for layer in layers:
                _owners[layer._table] = weakref.ref(self)

    def _release(self, tables: Any) -> None:
        with _owners_lock:
            for table in tables:
                owner = _owners.get(table)
                if owner is not None and owner() is self:
                    del _owners[table]


def _layers(tables: TableLayer | Sequence[TableLayer]) -> list[TableLayer]:
    """Return the layers as a list: at least one, all trainable, no table twice."""
    layers = [tables] if isinstance(tables, TableLayer) else list(tables)
    if not layers:
        raise ValueError("tables is empty: an optimizer needs at least one layer")
    seen: set[Table] = set()
    for layer in layers:
        if not isinstance(layer, TableLayer):
            raise TypeError(
                f"tables must be layers (Embedding, EmbeddingBag), not {type(layer).__name__}"
            )
        if not layer.trainable:
            raise ValueError(f"{layer.name} is not trainable (trainable=False)")
        if layer._table in seen:
            raise ValueError(f"{layer.name} stands in tables twice")
        seen.add(layer._table)
    return layers
