"""Learning rates that change with the step, to be given to an optimizer.

A schedule is called with the step count t, which an optimizer counts from 1, and returns the rate
of that step. It keeps nothing between calls, pickles, and goes into an optimizer's configuration.
Any other callable of t serves an optimizer as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from pyembed import _checks
from pyembed._registry import Configured, Registry

__all__ = ["CosineDecay", "LearningRateSchedule", "Warmup", "get", "serialize"]

LearningRate: TypeAlias = float | Callable[[int], float]

_MOST_NESTED = 64


class LearningRateSchedule(Configured):
    """Base of all: a subclass has `_rate`."""

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step.

        Parameters
        ----------
        step : int
            At least 0, though optimizers begin with 1.

        Raises
        ------
        ValueError
            If `step` is no such number.
        """
        return self._rate(_checks.integer(step, "step", 0))

    def _rate(self, step: int) -> float:
        raise NotImplementedError


class CosineDecay(LearningRateSchedule):
    """Half a period of a cosine, from a rate down to `alpha` times it (Loshchilov & Hutter 2017).

    With a `warmup_target`, the rate first rises in a line from `initial_learning_rate`, which may
    be 0, to the target, and decays from there; without, it decays from the start::

        warm-up:  initial + (target - initial) * t / warmup_steps
        after it: target * ((1 - alpha) * (1 + cos(pi * s / decay_steps)) / 2 + alpha)

    with s the steps since the warm-up, and the last rate kept after `decay_steps` of them. This is
    the function of t that Keras has; an optimizer's first step asks for t = 1 here, and 0 there.

    Parameters
    ----------
    initial_learning_rate : float
        At least 0.
    decay_steps : int
        How long the decay takes, without the warm-up.
    alpha : float
        The share of the rate that is left at the end.
    warmup_target : float, optional
        The rate at the end of the warm-up.
    warmup_steps : int
        How long the warm-up takes.
    name : str
        Keras's label, kept for the configuration.

    Raises
    ------
    ValueError
        If a value is not allowed, or there are `warmup_steps` and no `warmup_target`.
    """

    _arguments = (
        "initial_learning_rate",
        "decay_steps",
        "alpha",
        "warmup_target",
        "warmup_steps",
        "name",
    )

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        warmup_target: float | None = None,
        warmup_steps: int = 0,
        *,
        name: str = "CosineDecay",
    ) -> None:
        self.initial_learning_rate = _checks.real(
            initial_learning_rate, "initial_learning_rate", 0.0
        )
        self.decay_steps = _checks.integer(decay_steps, "decay_steps", 1)
        self.alpha = _checks.real(alpha, "alpha", 0.0)
        self.warmup_steps = _checks.integer(warmup_steps, "warmup_steps", 0)
        self.warmup_target = warmup_target
        if warmup_target is not None:
            self.warmup_target = _checks.real(warmup_target, "warmup_target", 0.0)
        elif self.warmup_steps > 0:
            raise ValueError(f"warmup_steps={warmup_steps!r} needs a warmup_target")
        self.name = name

    def _rate(self, step: int) -> float:
        if step < self.warmup_steps and self.warmup_target is not None:
            rise = self.warmup_target - self.initial_learning_rate
            return self.initial_learning_rate + rise * (step / self.warmup_steps)
        start = self.initial_learning_rate if self.warmup_target is None else self.warmup_target
        done = min((step - self.warmup_steps) / self.decay_steps, 1.0)
        cosine = 0.5 * (1.0 + math.cos(math.pi * done))
        return start * ((1.0 - self.alpha) * cosine + self.alpha)


class Warmup(LearningRateSchedule):
    """A line from 0 up to a learning rate, and that rate from there on.

    The rate of step t is ``learning_rate * min(1, t / steps)``. A schedule starts where the line
    ends: its own step 1 is step number `steps` here, so that ``Warmup(schedule, 1)`` is the
    schedule itself.

    Parameters
    ----------
    learning_rate : float, callable or dict
        A number, a schedule or other callable of the step, or what `serialize` returned. No more
        than 64 schedules may be nested.
    steps : int
        How many steps it takes to reach the rate; at least 1.

    Raises
    ------
    ValueError
        If a value is not allowed.
    """

    def __init__(self, learning_rate: LearningRate | dict[str, Any], steps: int) -> None:
        rate = get(learning_rate)
        self.learning_rate = rate if callable(rate) else _checks.real(rate, "learning_rate", 0.0)
        self.steps = _checks.integer(steps, "steps", 1)
        _check_nesting(self)

    def _rate(self, step: int) -> float:
        own_step = max(1, step - self.steps + 1)
        rate = self.learning_rate
        return (rate(own_step) if callable(rate) else rate) * min(1.0, step / self.steps)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this schedule again."""
        _check_nesting(self)
        return {"learning_rate": serialize(self.learning_rate), "steps": self.steps}


_REGISTRY = Registry[LearningRateSchedule]([CosineDecay, Warmup], "learning_rate")
serialize = _REGISTRY.serialize


def get(identifier: Any, name: str = "learning_rate") -> Any:
    """Return the learning rate that `identifier` stands for.

    Parameters
    ----------
    identifier : dict or object
        What `serialize` or Keras's returned; anything else is returned as it is.
    name : str
        The argument that errors name.

    Raises
    ------
    ValueError
        If it is a dict of no known schedule, or a schedule's class, or nested too deeply.
    """
    if isinstance(identifier, type):
        raise ValueError(f"{name}={identifier!r} must be a schedule, not the class of one")
    _check_nesting(identifier)
    return _REGISTRY.made(identifier, name) if isinstance(identifier, dict) else identifier


def _check_nesting(rate: Any) -> None:
    """Refuse schedules, or their configurations, that are nested too deeply, or without end."""
    for _ in range(_MOST_NESTED + 1):
        if isinstance(rate, Warmup):
            rate = rate.learning_rate
        elif isinstance(rate, dict) and isinstance(rate.get("config"), dict):
            rate = rate["config"].get("learning_rate")
        else:
            return
    raise ValueError(f"learning_rate has more than {_MOST_NESTED} schedules, one in another")
