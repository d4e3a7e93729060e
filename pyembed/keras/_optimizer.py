"""The optimizer of a table, as a layer is given it and as it shows it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from pyembed import schedules
from pyembed.layers.base import TableLayer
from pyembed.layers.embedding import Embedding
from pyembed.optimizers.base import SparseOptimizer, registry

_Schedule = keras.optimizers.schedules.LearningRateSchedule


class KerasRate:
    """A schedule of Keras's, which counts steps from 0, as ours are called, with t from 1."""

    def __init__(self, schedule: Any) -> None:
        self.schedule = schedule
        self.given: float | None = None

    def __call__(self, t: int) -> float:
        """Return the rate of step t."""
        if self.given is not None:
            return self.given
        return float(keras.ops.convert_to_numpy(self.schedule(t - 1)))


def _ours(rate: Any) -> Any:
    """Return a learning rate as our optimizers take it."""
    if isinstance(rate, dict) and "module" in rate:  # as Keras serializes
        rate = keras.saving.deserialize_keras_object(rate)
    return KerasRate(rate) if isinstance(rate, _Schedule) else rate


def _shown(rate: Any) -> Any:
    """Return a learning rate as it was given."""
    return rate.schedule if isinstance(rate, KerasRate) else rate


def _serialized(rate: Any) -> Any:
    rate = _shown(rate)
    if isinstance(rate, _Schedule):
        return keras.saving.serialize_keras_object(rate)
    return schedules.serialize(rate)


class Choice:
    """An optimizer's class and arguments, for a table that is yet to come.

    Parameters
    ----------
    given : functools.partial, type or dict
        A partial of one of pyembed's optimizer classes, such a class, or a configuration:
        ``{"class_name": "SparseAdam", "learning_rate": 0.01}``, other arguments likewise.

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If it is an optimizer that has a table already, or an argument's value is not allowed.
    """

    def __init__(self, given: Any) -> None:
        if isinstance(given, Choice):
            given = given.config()
        if isinstance(given, SparseOptimizer):
            name = type(given).__name__
            raise ValueError(
                f"optimizer={given!r} belongs to another table: give functools.partial("
                f"pyembed.{name}, …) instead, and the layer makes its own"
            )
        if isinstance(given, dict):
            self.cls, self.arguments = _parsed(given)
        elif isinstance(given, functools.partial) and not given.args:
            self.cls, self.arguments = given.func, dict(given.keywords)
        else:
            self.cls, self.arguments = given, {}
        if not (isinstance(self.cls, type) and self.cls in registry.values()):
            names = ", ".join(sorted(registry))
            raise TypeError(
                f"optimizer={given!r} must be a functools.partial of one of pyembed's optimizers "
                f"with arguments by name, or its configuration: {names}"
            )
        if "tables" in self.arguments:
            raise ValueError(f"optimizer={given!r} must not have tables: the layer's is its table")
        self._check(given)
        if "learning_rate" in self.arguments:
            self.arguments["learning_rate"] = _ours(self.arguments["learning_rate"])
        self.make(Embedding(1, 1))  # or the error that says what is not allowed

    def _check(self, given: Any) -> None:
        known = inspect.signature(self.cls).parameters
        unknown = sorted(set(self.arguments) - set(known))
        if unknown:
            raise TypeError(
                f"optimizer={given!r} has {unknown[0]!r}, which {self.cls.__name__} does not: it "
                f"takes {', '.join(list(known)[1:])}"
            )

    def make(self, layer: TableLayer) -> SparseOptimizer:
        """Return the optimizer of a table."""
        made: SparseOptimizer = self.cls(layer, **self.arguments)
        return made

    def config(self) -> dict[str, Any]:
        """Return the configuration that makes the same choice."""
        arguments = dict(self.arguments)
        if "learning_rate" in arguments:
            arguments["learning_rate"] = _serialized(arguments["learning_rate"])
        return {"class_name": self.cls.__name__, **arguments}


def _parsed(config: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the class and the arguments of a configuration, flat or with a 'config' of its own."""
    arguments = {name: value for name, value in config.items() if name != "class_name"}
    if isinstance(arguments.get("config"), dict):
        arguments = dict(arguments["config"])
    name = config.get("class_name")
    if name not in registry:
        names = ", ".join(sorted(registry))
        raise ValueError(f"optimizer={config!r} has a 'class_name' that is none of {names}")
    return registry[name], arguments


class TableOptimizer:
    """The optimizer of a layer's table; what it does not have itself, `sparse` has.

    Attributes
    ----------
    sparse : pyembed.optimizers.base.SparseOptimizer
        The optimizer itself.
    """

    def __init__(self, sparse: SparseOptimizer) -> None:
        self.sparse = sparse

    @property
    def learning_rate(self) -> Any:
        """A number, a schedule of Keras's or ours, or a callable of the step count; settable."""
        return _shown(self.sparse.learning_rate)

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.sparse.learning_rate = _ours(_number(value))

    @property
    def iterations(self) -> int:
        """How many steps the table has made."""
        t: int = self.sparse._held_states()[self.sparse.tables[0]._table.part].t
        return t

    @property
    def keras_rate(self) -> KerasRate | None:
        """The schedule of Keras's that the learning rate follows, or None."""
        rate = self.sparse.learning_rate
        return rate if isinstance(rate, KerasRate) else None

    @contextmanager
    def at_rate(self, rate: float) -> Iterator[None]:
        """Have the schedule of Keras's return this rate."""
        follows = self.keras_rate
        if follows is None:  # replaced by another rate meanwhile
            yield
            return
        follows.given = rate
        try:
            yield
        finally:
            follows.given = None

    def get_config(self) -> dict[str, Any]:
        """Return the configuration that a layer takes as ``optimizer=``."""
        return {
            **self.sparse.get_config(),
            "learning_rate": _serialized(self.sparse.learning_rate),
        }

    def state(self) -> dict[str, Any]:
        """Return the state's arrays and numbers by name, as a file keeps them: copies."""
        [table] = self.sparse.state_dict()["tables"]
        state = {name: np.array(value) for name, value in table.items()}
        if not callable(self.sparse.learning_rate):
            state["learning_rate"] = np.array(self.sparse.learning_rate)
        return state

    def load(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned.

        Raises
        ------
        ValueError
            If it is that of another optimizer or table; nothing has changed then.
        """
        state = dict(state)
        rate = state.pop("learning_rate", None)
        names = set(self.state()) - {"learning_rate"}
        if set(state) != names:
            raise ValueError(
                f"the state has {', '.join(sorted(state))}, but {type(self.sparse).__name__} has "
                f"{', '.join(sorted(names))}"
            )
        table = {**state, "t": int(state["t"])}
        config = self.sparse.get_config()
        config["learning_rate"] = self.sparse.learning_rate
        if rate is not None and not callable(self.sparse.learning_rate):
            config["learning_rate"] = float(rate)
        self.sparse.load_state_dict({"config": config, "tables": [table]})

    def __getattr__(self, name: str) -> Any:
        if name == "sparse":  # of a half-made copy
            raise AttributeError(name)
        return getattr(self.sparse, name)

    def __repr__(self) -> str:
        config = self.sparse.get_config()
        arguments = ", ".join(f"{key}={value!r}" for key, value in config.items())
        return f"{type(self).__name__}({arguments})"


def _number(value: Any) -> Any:
    """Return a learning rate that a callback has, perhaps a tensor or a variable, as a number."""
    if callable(value) or isinstance(value, (dict, float, int)):
        return value
    if getattr(value, "shape", None) == ():
        return float(keras.ops.convert_to_numpy(value))
    return value
