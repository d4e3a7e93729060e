"""What every sparse optimizer does around its rule."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pyembed import _checks, _claims, _core, schedules
from pyembed._core import BackwardCall, SortedGradient, Table
from pyembed._fixed import Fixed
from pyembed._regularization import Regularization
from pyembed.layer import TableLayer
from pyembed.schedules import LearningRate
from pyembed.sparse_grad import SparseGrad

_living: weakref.WeakSet[SparseOptimizer] = weakref.WeakSet()


def _renew_locks() -> None:
    """Forget who held a lock in the parent of a forked child: that thread does not exist here."""
    for optimizer in list(_living):
        optimizer._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)


def writeable(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array, or a copy of one that became read-only, as pickled out of band."""
    return array if array.flags.writeable else array.copy()


class TableState:
    """One table's share of an optimizer: its state array and its step count t.

    Parameters
    ----------
    layer : TableLayer
    arrays : int
        How many arrays of state there are.
    dim : int
        The length of their rows.
    initial : float
        What they start from.
    """

    def __init__(self, layer: TableLayer, arrays: int, dim: int, initial: float) -> None:
        self.layer = layer
        self.table = layer._table
        self.t = 0
        self._initial = initial
        # (V, arrays, dim): a row's state lies side by side; zeros take memory once touched.
        self.array = self._made((layer.input_dim, arrays, dim))

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.array = writeable(self.array)

    def grown(self, rows: int) -> NDArray[Any]:
        """Return the state array of a table of so many rows; the new ones are as they start."""
        array = self._made((rows, *self.array.shape[1:]))
        array[: len(self.array)] = self.array
        return array

    def _made(self, shape: tuple[int, ...]) -> NDArray[Any]:
        array = _core.zeros(shape, self.layer.dtype)
        if self._initial != 0.0:
            array.fill(self._initial)
        return array


class SparseOptimizer(Fixed):
    """Base of the optimizers. A subclass has `_state_names` and `_apply`.

    Parameters
    ----------
    tables : layer or sequence of layers
    learning_rate : float or callable
        A callable gets the table's step count t, from 1.
    weight_decay : float
        Decoupled: touched rows are multiplied by ``1 - learning_rate * weight_decay`` first.
    """

    _state_names: tuple[str, ...]  # of the arrays of state, (V, D) each
    _derived_names: ClassVar[frozenset[str]] = frozenset()  # of those that follow from the rest
    _fixed: ClassVar[frozenset[str]] = frozenset({"weight_decay"})  # and so part of the config

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
        for layer in layers:
            self._check_layer(layer)
        with self._lock:  # no table grows meanwhile
            _claims.claim(layers, self)
            try:
                self._states = {layer._table: self._new_state(layer) for layer in layers}
                for state in self._states.values():
                    self._attach(state)
            except BaseException:
                _claims.release([layer._table for layer in layers], self)
                raise

    @property
    def tables(self) -> tuple[TableLayer, ...]:
        """The layers whose tables this optimizer updates; none after `release`."""
        return tuple(state.layer for state in self._states.values())

    @property
    def learning_rate(self) -> LearningRate:
        """A number, or a callable of the step count t; settable, by a configuration too."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: LearningRate | dict[str, Any]) -> None:
        self._learning_rate = self._checked_learning_rate(value)

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
            If one is no `SparseGrad`, or a table's regularizer has no ``gradient``.
        IndexError
            If an id is outside its table.
        RuntimeError
            After `release`.

        Notes
        -----
        Whatever is raised, nothing has been written, unless a constraint of the caller's own
        raises: it comes last, when all tables are updated. Lookups wait while their table is
        updated.
        """
        with self._lock:
            regularized = []
            for state, calls in self._by_table(grads):
                rate = self._learning_rate
                rate = self._checked_rate(rate(state.t + 1)) if callable(rate) else rate
                regularization = Regularization.of(state.layer)
                calls = regularization.with_gradient(state.table, calls)
                regularized.append((state, regularization, calls, rate))
            # Only now: the caller's own functions may have frozen rows or released the tables.
            self._held_states()
            updates = [
                (state, regularization.sorted_gradient(state.table, calls), rate)
                for state, regularization, calls, rate in regularized
            ]
            # From here on nothing can be refused.
            for state, gradient, rate in updates:
                state.t += 1
                self._apply(state, gradient, rate, 1.0 - rate * self.weight_decay)
            for state, regularization, *_ in regularized:
                regularization.constrain(state.table)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of this optimizer, but for its tables."""
        fixed = {name: getattr(self, name) for name in sorted(self._fixed)}
        learning_rate = schedules.serialize(self.learning_rate)
        return {"class_name": type(self).__name__, "learning_rate": learning_rate, **fixed}

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` resumes from.

        Returns
        -------
        dict
            ``config``: as `get_config`. ``tables``: for each table a dict with its step count ``t``
            and its arrays of state, each a view (V, D) of the live one: copy what must not change
            with the next step.
        """
        with self._lock:
            self.flush()
            tables = [
                {"t": state.t, **self._arrays(state)} for state in self._held_states().values()
            ]
            return {"config": self.get_config(), "tables": tables}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned, perhaps of another optimizer on other tables.

        Its learning rate is taken over.

        Parameters
        ----------
        state_dict : dict

        Raises
        ------
        KeyError
            If it lacks something.
        TypeError
            If an array has another dtype.
        ValueError
            If its configuration, its number of tables, or a shape or value does not fit. Whatever
            is raised, nothing has changed.
        """
        with self._lock:
            tables = list(state_dict["tables"])
            checked = self._checked_state(state_dict["config"], tables)
            self._restore(checked, lambda number, name, live: np.copyto(live, tables[number][name]))

    def flush(self) -> None:
        """Bring every row up to date; rows are behind with ``SparseAdam(update="exact")`` alone."""
        with self._lock:
            for table in self._held_states():
                table.settle()

    def release(self) -> None:
        """Give the tables up for another optimizer to take; this one cannot step any more."""
        with self._lock:
            for table in self._states:
                table.detach_moments()
            _claims.release(self._states, self)
            self._states = {}

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            for table in self._states:
                table.settle()
            return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        states = state["_states"].values()
        _claims.claim([table.layer for table in states], self)
        self.__dict__.update(state, _lock=threading.RLock())
        _living.add(self)
        for table in states:
            self._attach(table)

    def _grow(self, table: Table, array: NDArray[Any]) -> None:
        """Move a table into a larger array, and its state with it."""
        with self._lock:
            state = self._states[table]
            table.settle()  # which changes the state too
            grown = state.grown(len(array))
            try:
                table.grow(array, grown)
            finally:  # a Ctrl-C meanwhile is raised once the table has grown
                if len(table.array) == len(grown):
                    state.array = grown

    def _checked_state(
        self, config: dict[str, Any], tables: Sequence[dict[str, Any]]
    ) -> tuple[LearningRate, list[int]]:
        """Return the learning rate and the step counts of a state that fits this optimizer."""
        learning_rate = self._checked_learning_rate(config["learning_rate"])
        for name, value in self.get_config().items():
            if name != "learning_rate" and config[name] != value:
                raise ValueError(
                    f"the state is of an optimizer with {name}={config[name]!r}, but this one has "
                    f"{name}={value!r}"
                )
        states = list(self._held_states().values())
        if len(tables) != len(states):
            raise ValueError(
                f"the state is of {len(tables)} tables, but this optimizer has {len(states)}"
            )
        steps = [self._checked(*pair) for pair in zip(states, tables, strict=True)]
        return learning_rate, steps

    def _restore(
        self,
        checked: tuple[LearningRate, list[int]],
        write: Callable[[int, str, NDArray[Any]], None],
    ) -> None:
        """Take over a checked state; ``write(table number, name, live array)`` fills an array."""
        learning_rate, steps = checked
        self.flush()
        for number, (state, t) in enumerate(zip(self._held_states().values(), steps, strict=True)):
            state.t = t
            for name, live in self._arrays(state).items():
                if name not in self._derived_names:
                    write(number, name, live)
            self._attach(state)
        self._learning_rate = learning_rate

    def _apply(
        self, state: TableState, gradient: SortedGradient, learning_rate: float, decay: float
    ) -> None:
        raise NotImplementedError

    def _check_layer(self, layer: TableLayer) -> None:
        """Refuse a layer that this optimizer cannot train."""

    def _attach(self, state: TableState) -> None:
        """Tell the table of a new state what its lookups must know."""

    def _new_state(self, layer: TableLayer) -> TableState:
        return TableState(layer, len(self._state_names), layer.output_dim, 0.0)

    def _arrays(self, state: TableState) -> dict[str, NDArray[Any]]:
        """Return the live arrays of a table's state, by name."""
        return {name: state.array[:, at] for at, name in enumerate(self._state_names)}

    def _checked(self, state: TableState, given: dict[str, Any]) -> int:
        """Return the step count of `given`, whose arrays fit the table."""
        t = _checks.step_count(given["t"])
        for name, live in self._arrays(state).items():
            array = np.asarray(given[name])
            if array.dtype != live.dtype:
                raise TypeError(f"{name} must have dtype {live.dtype}, not {array.dtype}")
            if array.shape != live.shape:
                raise ValueError(
                    f"{name} has shape {array.shape}, but must have shape {live.shape}"
                )
        return t

    def _held_states(self) -> dict[Table, TableState]:
        if not self._states:
            raise RuntimeError("this optimizer gave its tables up in release()")
        return self._states

    def _by_table(self, grads: Sequence[SparseGrad]) -> list[tuple[TableState, list[BackwardCall]]]:
        states = self._held_states()
        if not grads:
            raise ValueError("step() needs at least one gradient")
        calls: dict[Table, list[BackwardCall]] = {}
        for number, grad in enumerate(grads):
            if not isinstance(grad, SparseGrad):
                raise TypeError(
                    f"gradient {number} must be a SparseGrad, not {type(grad).__name__}"
                )
            if grad._table not in states:
                raise ValueError(
                    f"gradient {number} is of a table that this optimizer does not update"
                )
            calls.setdefault(grad._table, []).extend(grad._calls)
        return [(states[table], table_calls) for table, table_calls in calls.items()]

    def _checked_learning_rate(self, value: Any) -> LearningRate:
        rate: LearningRate = schedules.get(value)
        return rate if callable(rate) else self._checked_rate(rate)

    def _checked_rate(self, value: Any) -> float:
        if self.weight_decay == 0.0:
            return _checks.real(value, "learning_rate", 0.0)
        why = f", as learning_rate * weight_decay (weight_decay={self.weight_decay:g}) must be < 1"
        return _checks.real(value, "learning_rate", 0.0, 1.0 / self.weight_decay, why=why)


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
            raise ValueError(f"the table of {layer.name} stands in tables twice: name it once")
        seen.add(layer._table)
    return layers
