"""What a process of MPI does where others would wait for it for ever."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from typing import Any

from mpi4py import MPI

_installed = False


def install(comm: MPI.Intracomm) -> None:
    """End the job when an exception ends this process, and warn of forks; once, for all.

    The hooks that there were before are called first. Neither acts in a forked child, nor at an
    interactive prompt.
    """
    global _installed
    if _installed:
        return
    _installed = True
    process = os.getpid()

    def end_job() -> None:
        interactive = hasattr(sys, "ps1")
        if os.getpid() != process or interactive or MPI.Is_finalized():
            return
        sys.stdout.flush()
        sys.stderr.flush()
        comm.Abort(1)

    hook, thread_hook = sys.excepthook, threading.excepthook

    def main_failed(*raised: Any) -> None:
        try:
            hook(*raised)
        finally:
            end_job()

    def thread_failed(arguments: threading.ExceptHookArgs) -> None:
        try:
            thread_hook(arguments)
        finally:
            if not issubclass(arguments.exc_type, SystemExit):
                end_job()

    sys.excepthook, threading.excepthook = main_failed, thread_failed
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_warn_of_fork)


def _warn_of_fork() -> None:
    if not MPI.Is_finalized():
        warnings.warn(
            "this process of MPI is forked: the child must not use layers with a comm, and some "
            "networks do not allow it at all; start other processes before the first of them, or "
            "by spawn or forkserver",
            RuntimeWarning,
            stacklevel=3,
        )
