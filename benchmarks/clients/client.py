"""What a client is: a program that trains with PyTorch, and knows nothing of pyembed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module

import torch

# In the order in which they run; each is the module of that name beside this one.
CLIENTS = (
    "skip_gram",
    "text_classifier",
    "dlrm",
    "pyg_transe",
    "pykeen_transe",
    "pykeen_distmult",
    "deepctr_deepfm",
)


@dataclass(frozen=True)
class Program:
    """One training, ready to go. ``train()`` goes on for a round, and tells the losses on the way.

    ``optimizer`` is the class of the tables' optimizer, whose steps are timed.
    """

    model: torch.nn.Module
    optimizer: type[torch.optim.Optimizer]
    train: Callable[[], list[float]]


@dataclass(frozen=True)
class Client:
    """``make(tiny)`` builds the model; torch's generator is seeded before it is called.

    Losses of the two sides are equal within ``rtol``: sums of many numbers are rounded otherwise,
    and what that makes of a weight grows with each step.
    """

    title: str
    gradients: str  # "sparse" or "dense"
    about: str
    make: Callable[[bool], Program]
    needs: str | None = None  # a package
    rtol: float = 1e-4

    def is_here(self) -> bool:
        """Whether the package that it needs is installed."""
        return self.needs is None or importlib.util.find_spec(self.needs) is not None


def client(name: str) -> Client:
    """The client of a name."""
    found: Client = import_module(name).CLIENT
    return found


def zipf(rows: int, shape: tuple[int, ...], exponent: float = 1.05) -> torch.Tensor:
    """Ids below ``rows``, low ones often: as words, users and items come."""
    shares = _shares_below(rows, exponent)
    return torch.searchsorted(shares, torch.rand(shape, dtype=torch.float64)).clamp_(max=rows - 1)


@cache
def _shares_below(rows: int, exponent: float) -> torch.Tensor:
    weights = torch.arange(1, rows + 1, dtype=torch.float64).pow_(-exponent).cumsum_(0)
    return weights / weights[-1]
