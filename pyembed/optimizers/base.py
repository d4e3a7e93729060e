"""What every sparse optimizer does around its rule."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyembed import _arrays, _checks, _core, schedules, sharding
from pyembed._core import BackwardCall, Rule, State, Update
from pyembed._mutex import Mutex
from pyembed.layers.base import TableLayer
from pyembed.optimizers._regularization import Regularization
from pyembed.schedules import LearningRate
from pyembed.sparse_grad import SparseGrad
from pyembed.table import Table, at_rest

_Share: TypeAlias = tuple[Update, float, Regularization]
Tables: TypeAlias = TableLayer | Sequence[TableLayer]


class SparseOptimizer:
    """Base of the optimizers. A subclass has `_state_names`, `_set_own` and `_rule`.

    Parameters
    ----------
    tables : layer or sequence of layers
    learning_rate : float or callable
        A callable gets the table's step count t, from 1.
    weight_decay : float
        Decoupled: touched rows are multiplied by ``1 - learning_rate * weight_decay`` first.
    *own
        What `_set_own` takes.
    """

    _state_names: tuple[str, ...]  # of the arrays of state, (V, D) each
    _derived_names: ClassVar[frozenset[str]] = frozenset()  # of those that follow from the rest
    _fixed: ClassVar[frozenset[str]] = frozenset({"weight_decay"})  # and so part of the config
    _initial_values: tuple[float, ...] = ()  # of the arrays of state; zeros where there is none
    _counts_rows: bool = False  # whether t counts for each row by itself too
    _layers: tuple[TableLayer, ...]
    _ranks: sharding.Ranks
    _rules: dict[Table, Rule]
    _states: dict[Table, State]
    _set_own: Callable[..., None]  # checks and sets the arguments that not all optimizers have

    def __init__(
        self, tables: Tables, learning_rate: LearningRate, weight_decay: float, *own: Any
    ) -> None:
        layers = [tables] if isinstance(tables, TableLayer) else list(tables)
        ranks = sharding.ranks_of_tables(
            layer._table for layer in layers if isinstance(layer, TableLayer)
        )
        self._mutex = Mutex()

        def set_all() -> None:
            self._set_own(*own)
            self.weight_decay = _checks.real(weight_decay, "weight_decay", 0.0)
            self.learning_rate = learning_rate
            _check_layers(layers)

        def told() -> dict[str, Any]:
            return {**self.get_config(), "tables": [layer._table.shape for layer in layers]}

        ranks.agreed(set_all)
        ranks.agree_on(type(self).__name__, told)

        def claim() -> None:
            for layer in layers:
                self._check_layer(layer)
            self._claim(layers, lambda table: self._new_state(table, table.rows))

        try:
            ranks.agreed(claim)
        except BaseException:  # perhaps on another rank
            for layer in layers:
                if layer._table.owner is self:
                    layer._table.part.let_go()
            raise

    def __setattr__(self, name: str, value: Any) -> None:
        # They were checked together, and a rule has its own copy: a new value would be half heard.
        if name in self._fixed and hasattr(self, name):
            raise AttributeError(f"{name} cannot be changed once the {type(self).__name__} is made")
        super().__setattr__(name, value)

    @property
    def tables(self) -> tuple[TableLayer, ...]:
        """The layers whose tables this optimizer updates; none after `release`."""
        return self._layers

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
            count; the others do not. Where tables have a `comm`, a step is collective: each rank
            passes its own gradients, perhaps none, and a table that any rank has one of is stepped.

        Raises
        ------
        ValueError
            If there are no gradients, or one of another optimizer's table; or if ranks have
            different learning rates.
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
        with self._mutex.held:
            rules, states = self._rules, self._states
            calls = self._ranks.received(self._by_table, grads, self._layers)
            for _, _, regularization in self._ranks.write(self._update, calls, rules, states):
                regularization.constrain()

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
            with the next step. With a `comm`, of the rank's own rows.
        """
        with self._mutex.held:
            self.flush()
            tables = [
                {"t": state.t, **self._arrays(table)} for table, state in self._states.items()
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

        def load() -> None:
            tables = [self._apart(table) for table in state_dict["tables"]]
            checked = self._checked_state(state_dict["config"], tables)
            for arrays, given in zip(self._live_arrays(), tables, strict=True):
                for name, live in arrays.items():
                    np.copyto(live, given[name])
            self._go_on_from(*checked)

        self._mutex.run_whole(load)

    def flush(self) -> None:
        """Bring every row up to date; rows are behind with ``SparseAdam(update="exact")`` alone."""
        with self._mutex.held:
            for table in self._held_states():
                table.settle()

    def release(self) -> None:
        """Give the tables up for another optimizer to take; this one cannot step any more."""

        def give_up() -> None:
            for table in self._states:
                table.let_go()
            self._states, self._rules, self._layers = {}, {}, ()

        # Not by `run_whole`: a finalizer may call this, within the start of a thread.
        with self._mutex.held:
            try:
                give_up()
            except BaseException:  # by a signal, with half of the tables given up
                give_up()
                raise

    def __getstate__(self) -> dict[str, Any]:
        with self._mutex.held:
            for table in self._states:
                table.settle()
            states = {
                table: (state.array, state.t, state.row_steps)
                for table, state in self._states.items()
            }
            left_out = {"_mutex", "_ranks", "_rules"}
            own = {name: value for name, value in self.__dict__.items() if name not in left_out}
            return own | {"_states": states}

    def __deepcopy__(self, memo: dict[int, Any]) -> SparseOptimizer:
        """Return a copy on copies of the tables, all as they are between two steps.

        Of ``copy.deepcopy((emb, opt))`` the table is copied first, by itself: where another thread
        steps, the pair is of one step only if none comes between. ``copy.deepcopy((opt, emb))`` and
        ``copy.deepcopy(opt)`` always are.
        """
        copied = memo[id(self)] = type(self).__new__(type(self))
        with self._mutex.held:
            copied.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return copied

    def __setstate__(self, pickled: dict[str, Any]) -> None:
        def state_of(table: Table) -> State:
            array, t, row_steps = pickled["_states"][table]
            if row_steps is not None:
                row_steps = _arrays.writeable(row_steps)
            return State(_arrays.writeable(array), t, row_steps)

        self.__dict__.update(pickled, _mutex=Mutex())
        self._claim(pickled["_layers"], state_of)

    def _claim(self, layers: Sequence[TableLayer], state_of: Callable[[Table], State]) -> None:
        """Take the tables of all layers, or of none."""
        _refuse_overlaps(layers)
        tables = [layer._table.part for layer in layers]

        def take() -> None:
            for layer in layers:
                if layer._table.owner is not None:
                    raise ValueError(
                        f"{layer.name} is updated by another optimizer: call opt.release() on that "
                        "one first"
                    )
            try:
                for table in tables:
                    table.take(self, self._mutex)
                self._layers = tuple(layers)
                self._ranks = sharding.ranks_of_tables(layer._table for layer in layers)
                self._rules = {table: self._rule(table.dtype) for table in tables}
                self._states = {table: state_of(table) for table in tables}
                for table in tables:
                    self._rules[table].attach(table, self._states[table])
            except BaseException:
                for table in tables:
                    table.let_go()
                raise

        with self._mutex.held:
            at_rest(tables, take)  # no table grows before it has its state

    def _grow(self, table: Table, array: NDArray[Any], share: tuple[int, int, int]) -> None:
        """Move a table into a larger array, and its state with it."""
        table.grow(array, self._states[table], self._new_state(table, len(array)), share)

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
        states = self._held_states()
        if len(tables) != len(states):
            raise ValueError(
                f"the state is of {len(tables)} tables, but this optimizer has {len(states)}"
            )
        steps = [self._checked(*pair) for pair in zip(states, tables, strict=True)]
        return learning_rate, steps

    def _apart(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return a table's given state, with copies in the place of views of our own."""
        live = [array for table in self._states for array in self._arrays(table).values()]

        def apart(value: Any) -> Any:
            own = isinstance(value, np.ndarray) and any(
                _arrays.share_memory(value, array) for array in live
            )
            return value.copy() if own else value

        return {name: apart(value) for name, value in given.items()}

    def _live_arrays(self) -> list[dict[str, NDArray[Any]]]:
        """Return each table's arrays of state for a checked one to be written, rows up to date."""
        self.flush()
        return [
            {
                name: live
                for name, live in self._arrays(table).items()
                if name not in self._derived_names
            }
            for table in self._states
        ]

    def _go_on_from(self, learning_rate: LearningRate, steps: Sequence[int]) -> None:
        """Take over what was checked, once the live arrays are written. Cannot fail."""
        for (table, state), t in zip(self._states.items(), steps, strict=True):
            state.t = t
            table.restart(t)
        self._learning_rate = learning_rate

    def _rule(self, dtype: str) -> Rule:
        """Return the rule that updates tables of a dtype."""
        raise NotImplementedError

    def _check_layer(self, layer: TableLayer) -> None:
        """Refuse a layer that this optimizer cannot train."""

    def _new_state(self, table: Table, rows: int) -> State:
        """Return the state that a table of so many rows starts from."""
        # A row's state lies side by side; zeros take memory once touched.
        array = _core.zeros((rows, *self._rules[table].state_shape(table.dim)), table.dtype)
        for at, value in enumerate(self._initial_values):
            if value != 0.0:
                array[:, at] = value
        return State(array, 0, np.zeros(rows, np.int64) if self._counts_rows else None)

    def _arrays(self, table: Table) -> dict[str, NDArray[Any]]:
        """Return the live arrays of a table's state, by name."""
        array = self._states[table].array
        return {name: array[:, at] for at, name in enumerate(self._state_names)}

    def _checked(self, table: Table, given: dict[str, Any]) -> int:
        """Return the step count of `given`, whose arrays fit the table."""
        t = _checks.step_count(given["t"])
        for name, live in self._arrays(table).items():
            array = np.asarray(given[name])
            if array.dtype != live.dtype:
                raise TypeError(f"{name} must have dtype {live.dtype}, not {array.dtype}")
            if array.shape != live.shape:
                raise ValueError(
                    f"{name} has shape {array.shape}, but must have shape {live.shape}"
                )
        return t

    def _held_states(self) -> dict[Table, State]:
        if not self._states:
            raise RuntimeError("this optimizer gave its tables up in release()")
        return self._states

    def _by_table(self, grads: Sequence[SparseGrad]) -> sharding.Calls:
        calls: sharding.Calls = {}
        states = self._held_states()
        for number, grad in enumerate(grads):
            if not isinstance(grad, SparseGrad):
                raise TypeError(
                    f"gradient {number} must be a SparseGrad, not {type(grad).__name__}"
                )
            if grad._table.part not in states:
                raise ValueError(
                    f"gradient {number} is of a table that this optimizer does not update"
                )
            calls.setdefault(grad._table, []).extend(grad._calls)
        return calls

    def _update(
        self,
        ask: sharding.Ask | None,
        calls: sharding.Calls,
        rules: dict[Table, Rule],
        states: dict[Table, State],
    ) -> list[_Share]:
        """Update all tables, and return their shares; `ask` is called before it writes."""
        if not calls:
            raise ValueError("step() needs at least one gradient")
        shares = []
        for table, given in calls.items():
            part = table.part
            shares.append(self._share(part, given, rules[part], states[part]))
        # Only now: the caller's own functions may have frozen rows or released the tables.
        self._held_states()
        before_writing = None
        if ask is not None:
            rates = {table: rate for table, (_, rate, _) in zip(calls, shares, strict=True)}
            before_writing = functools.partial(ask, rates)
        _core.step([update for update, _, _ in shares], before_writing)
        return shares

    def _share(
        self, table: Table, calls: Sequence[BackwardCall], rule: Rule, state: State
    ) -> _Share:
        """Return a table's share of a step, its learning rate, and what comes after it."""
        rate = self._learning_rate
        rate = self._checked_rate(rate(state.t + 1)) if callable(rate) else rate
        regularization = Regularization(table)
        calls = regularization.with_gradient(calls)
        decay = 1.0 - rate * self.weight_decay
        update = Update(table, calls, rule, state, rate, decay, **regularization.fused)
        return update, rate, regularization

    def _checked_learning_rate(self, value: Any) -> LearningRate:
        rate: LearningRate = schedules.get(value)
        return rate if callable(rate) else self._checked_rate(rate)

    def _checked_rate(self, value: Any) -> float:
        if self.weight_decay == 0.0:
            return _checks.real(value, "learning_rate", 0.0)
        why = f", as learning_rate * weight_decay (weight_decay={self.weight_decay:g}) must be < 1"
        return _checks.real(value, "learning_rate", 0.0, 1.0 / self.weight_decay, why=why)


registry: dict[str, type[SparseOptimizer]] = {}  # by class name, as in a checkpoint
_Optimizer = TypeVar("_Optimizer", bound=type[SparseOptimizer])


def registered(cls: _Optimizer) -> _Optimizer:
    """Let checkpoints know a class by its name."""
    registry[cls.__name__] = cls
    return cls


def _check_layers(layers: Sequence[TableLayer]) -> None:
    """Refuse layers unless there are some, all are trainable, and no table is there twice."""
    if not layers:
        raise ValueError("tables is empty: an optimizer needs at least one layer")
    seen: set[sharding.AnyTable] = set()
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


def _refuse_overlaps(layers: Sequence[TableLayer]) -> None:
    """Refuse tables that have memory in common: a step of one would change the other."""
    by_address = sorted(layers, key=lambda layer: _arrays.bounds(layer._table.part.array))
    for at, layer in enumerate(by_address):
        array = layer._table.part.array
        _, end = _arrays.bounds(array)
        for other in by_address[at + 1 :]:
            if _arrays.bounds(other._table.part.array)[0] >= end:
                break
            if _arrays.share_memory(array, other._table.part.array):
                raise ValueError(
                    f"the tables of {layer.name} and {other.name} overlap in memory: each needs "
                    "its own"
                )
