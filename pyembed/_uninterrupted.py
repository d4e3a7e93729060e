"""Calls that no signal breaks off in the middle."""

from __future__ import annotations

import _thread
import contextvars
import functools
import threading
from collections.abc import Callable
from typing import TypeVar

from pyembed import _core

_Result = TypeVar("_Result")


def uninterrupted(function: Callable[[], _Result]) -> _Result:
    """Return ``function()``; what a signal handler raises meanwhile is raised once it is whole.

    Handlers run in the main thread alone, so the function runs in another one, where they cannot
    break in, and the main thread waits for it. It must not need locks that the caller holds.
    """
    if threading.current_thread() is not threading.main_thread():
        return function()
    here = contextvars.copy_context()  # numpy.errstate is part of it
    return _core.call_apart(_thread.start_new_thread, functools.partial(here.run, function))
