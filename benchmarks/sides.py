"""Who trains a table: one way of one library, ready to be made at any size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import peers
import pyembed as pe
from peers import fbgemm
from peers.keras_parent import KerasAdam
from peers.ours import Pyembed
from peers.pytorch import Torch, TorchModule
from peers.trainer import Kind, Trainer

LEARNING_RATE = 1e-3
BETAS = (0.9, 0.999)
EPSILON = 1e-7


@dataclass(frozen=True)
class Side:
    """A kind of trainer; ``needs`` names its peer, None for ours.

    One that is not ``same`` does other work on purpose: it is timed, not compared.
    """

    make: Kind
    needs: str | None = None
    same: bool = True

    def can(self, dim: int, dtype: str) -> bool:
        """Whether its library is here and takes such rows."""
        if self.needs == "fbgemm_gpu":
            return fbgemm.can(dim, dtype)
        return self.needs is None or peers.version(self.needs) is not None


Sides = Mapping[str, Side]  # by the name they are reported under, ours first


def other_work(side: Side) -> Side:
    """The same side where its result is not ours."""
    return replace(side, same=False)


def ours(optimizer: Callable[..., Any], **settings: Any) -> Side:
    """``Embedding`` and one of our optimizers."""
    return Side(partial(Pyembed, optimizer=_set(optimizer, settings)))


def torch(optimizer: str, kind: Callable[..., Torch] = Torch, **settings: Any) -> Side:
    """``nn.Embedding(sparse=True)`` and one of PyTorch's optimizers."""
    return Side(partial(kind, optimizer=optimizer, lr=LEARNING_RATE, **settings), "torch")


def fbgemm_fused(optimizer: str, **settings: Any) -> Side:
    """FBGEMM's training in bags."""
    make = partial(fbgemm.Fbgemm, optimizer=optimizer, learning_rate=LEARNING_RATE)
    return Side(partial(make, **settings), "fbgemm_gpu")


def row_wise_adagrad(kind: Callable[..., Trainer] = Pyembed, **shape: Any) -> Side:
    """Ours, from accumulators of 0 as FBGEMM's."""
    settings = {"initial_accumulator_value": 0.0, "epsilon": EPSILON}
    return Side(partial(kind, optimizer=_set(pe.SparseRowWiseAdagrad, settings), **shape))


def fbgemm_row_wise_adagrad(**shape: int) -> Side:
    return fbgemm_fused("EXACT_ROWWISE_ADAGRAD", eps=EPSILON, **shape)


def _set(optimizer: Callable[..., Any], settings: dict[str, Any]) -> Callable[..., Any]:
    return partial(optimizer, learning_rate=LEARNING_RATE, **settings)


_ADAM = {"beta_1": BETAS[0], "beta_2": BETAS[1], "epsilon": EPSILON}
_TORCH_ADAM = {"betas": BETAS, "eps": EPSILON}
_torch_adam = partial(torch, "SparseAdam", **_TORCH_ADAM)

LAZY_ADAM = ours(pe.SparseAdam, **_ADAM)
EXACT_ADAM = ours(pe.SparseAdam, **_ADAM, update="exact")
TORCH_SPARSE_ADAM, TORCH_SPARSE_ADAM_ALONE = (_torch_adam(alone=alone) for alone in (False, True))
OUR_ADAM_IN_TORCH, OUR_ADAM_IN_TORCH_ALONE = (
    _torch_adam(optimizers="pyembed.torch", alone=alone) for alone in (False, True)
)
OUR_MODULE_IN_TORCH, OUR_FUSED_MODULE_IN_TORCH = (
    _torch_adam(TorchModule, fused=fused) for fused in (False, True)
)
TORCH_DENSE_ADAM = torch("Adam", sparse=False, fused=True, **_TORCH_ADAM)
KERAS_ADAM, KERAS_ADAM_TUNED = (
    Side(partial(KerasAdam, tuned=tuned, learning_rate=LEARNING_RATE, **_ADAM), "keras")
    for tuned in (False, True)
)
