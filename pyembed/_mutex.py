"""Locks that a forked child finds free."""

import os
import threading
import weakref
from collections.abc import Callable
from typing import TypeVar

from pyembed._uninterrupted import uninterrupted

_Result = TypeVar("_Result")


class Mutex:
    """A reentrant lock, `held`: renewed in a forked child, where its holder may not exist.

    Reentrant, since functions of the user's that are called under it, such as a learning rate, may
    come back to the object that it guards.
    """

    __slots__ = ("__weakref__", "held")

    def __init__(self) -> None:
        self.held = threading.RLock()
        _living.add(self)

    @property
    def is_held_here(self) -> bool:
        """Whether the calling thread holds it."""
        held: bool = self.held._is_owned()  # type: ignore[attr-defined]
        return held

    def run_whole(self, body: Callable[[], _Result]) -> _Result:
        """Return ``body()``, called with the lock; a signal is raised once that is whole."""
        if self.is_held_here:
            return body()  # by a function of the user's, called under the lock: nobody else could

        def run() -> _Result:
            with self.held:
                return body()

        return uninterrupted(run)


_living: weakref.WeakSet[Mutex] = weakref.WeakSet()


def _renew() -> None:
    for mutex in list(_living):
        mutex.held = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
