"""Locks that a forked child finds free."""

import os
import threading
import weakref


class Mutex:
    """A reentrant lock, `held`: renewed in a forked child, where its holder may not exist.

    Reentrant, since functions of the user's that are called under it, such as a learning rate, may
    come back to the object that it guards.
    """

    __slots__ = ("__weakref__", "held")

    def __init__(self) -> None:
        self.held = threading.RLock()
        _living.add(self)


_living: weakref.WeakSet[Mutex] = weakref.WeakSet()


def _renew() -> None:
    for mutex in list(_living):
        mutex.held = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
