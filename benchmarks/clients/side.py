"""One side, in a process of its own: torch as it is, or with pyembed's classes in its place."""

from __future__ import annotations

import os
import random
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from torch.nn.modules import sparse
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from client import Program, client

SIDES = ("torch", "pyembed")


@dataclass(frozen=True)
class Round:
    """What one round of training took, and its losses; ``steps`` are those of the optimizer."""

    losses: list[float]
    seconds: float
    steps: list[float]


@dataclass
class _Running:
    program: Program
    steps: list[float]
    timing: list[Any]


_side = ""
_running: dict[str, _Running] = {}


class Side:
    """A process that has torch's classes, or ours: a library binds them when it is imported."""

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        self._process = ProcessPoolExecutor(
            1, mp_context=get_context("spawn"), initializer=_start, initargs=(name, threads)
        )

    def train(self, name: str, tiny: bool) -> Round:
        """A further round of a client, which is made before the first one."""
        return self._process.submit(_train, name, tiny).result()

    def forget(self, name: str) -> None:
        """Give the memory of a client back."""
        self._process.submit(_forget, name).result()

    def close(self) -> None:
        self._process.shutdown()


def _start(name: str, threads: int) -> None:
    global _side
    _side = name
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what libraries print
    warnings.simplefilter("ignore")
    torch.set_num_threads(threads)
    if name == "pyembed":
        import pyembed.torch

        pyembed.torch.patch()


def _train(name: str, tiny: bool) -> Round:
    running = _running.get(name)
    if running is None:
        running = _running[name] = _made(name, tiny)
    running.steps.clear()
    started = time.perf_counter()
    losses = running.program.train()
    return Round(losses, time.perf_counter() - started, list(running.steps))


def _made(name: str, tiny: bool) -> _Running:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 -- which libraries draw from
    torch.manual_seed(0)
    program, steps = client(name).make(tiny), []
    _check_modules(program.model)
    return _Running(program, steps, _timing(program.optimizer, steps))


def _check_modules(model: torch.nn.Module) -> None:
    """Raise RuntimeError where a library has bound the other side's classes."""
    libraries = {
        type(module).__module__.partition(".")[0]
        for module in model.modules()
        if isinstance(module, (sparse.Embedding, sparse.EmbeddingBag))
    }
    if libraries != {_side}:
        raise RuntimeError(f"the embeddings of this model are of {libraries}, not of {_side}")


def _timing(kind: type[torch.optim.Optimizer], seconds: list[float]) -> list[Any]:
    """Note how long each step of a kind of optimizer takes; the handles end it."""

    def began(optimizer: torch.optim.Optimizer, *_: object) -> None:
        if type(optimizer) is kind:
            seconds.append(-time.perf_counter())

    def ended(optimizer: torch.optim.Optimizer, *_: object) -> None:
        if type(optimizer) is kind:
            seconds[-1] += time.perf_counter()

    return [register_optimizer_step_pre_hook(began), register_optimizer_step_post_hook(ended)]


def _forget(name: str) -> None:
    for handle in _running.pop(name).timing:
        handle.remove()
