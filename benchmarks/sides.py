"""Who trains a table: one way of one library, ready to be made at any size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import fbgemm
import peers
import pyembed as pe
from keras_parent import KerasAdam
from trainers import Kind, Pyembed, PyembedBag, Torch, TorchModule, TorchStepAlone

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


def needs(sides: Sides) -> list[str]:
    """The peers of these sides, each once."""
    return list(dict.fromkeys(side.needs for side in sides.values() if side.needs))


def ours(optimizer: Callable[..., Any], **settings: Any) -> Side:
    """``Embedding`` and one of our optimizers."""
    return Side(partial(Pyembed, optimizer=_made(optimizer, settings)))


def our_bag(bag: int, optimizer: Callable[..., Any], **settings: Any) -> Side:
    """``EmbeddingBag`` and one of our optimizers."""
    return Side(partial(PyembedBag, bag=bag, optimizer=_made(optimizer, settings)))


def torch(optimizer: str, **settings: Any) -> Side:
    """``nn.Embedding(sparse=True)`` and one of PyTorch's optimizers."""
    return Side(partial(Torch, optimizer=optimizer, lr=LEARNING_RATE, **settings), "torch")


def torch_dense(optimizer: str, **settings: Any) -> Side:
    """``nn.Embedding`` with a dense gradient: one pass over all rows."""
    return torch(optimizer, sparse=False, **settings)


def fbgemm_fused(optimizer: str, bag: int = 1, **settings: float) -> Side:
    """FBGEMM's training in bags."""
    make = partial(
        fbgemm.Fbgemm, optimizer=optimizer, bag=bag, learning_rate=LEARNING_RATE, **settings
    )
    return Side(make, "fbgemm_gpu")


def _made(optimizer: Callable[..., Any], settings: dict[str, Any]) -> Callable[..., Any]:
    return partial(optimizer, learning_rate=LEARNING_RATE, **settings)


_ADAM = {"beta_1": BETAS[0], "beta_2": BETAS[1], "epsilon": EPSILON}
_FROM_ZERO = {"initial_accumulator_value": 0.0, "epsilon": EPSILON}  # as FBGEMM's start

LAZY_ADAM = ours(pe.SparseAdam, **_ADAM)
EXACT_ADAM = ours(pe.SparseAdam, **_ADAM, update="exact")
_TORCH_ADAM = {"optimizer": "SparseAdam", "lr": LEARNING_RATE, "betas": BETAS, "eps": EPSILON}
_IN_TORCH = {**_TORCH_ADAM, "optimizers": "pyembed.torch"}
TORCH_SPARSE_ADAM = Side(partial(Torch, **_TORCH_ADAM), "torch")
TORCH_SPARSE_ADAM_ALONE = Side(partial(TorchStepAlone, **_TORCH_ADAM), "torch")
OUR_ADAM_IN_TORCH = Side(partial(Torch, **_IN_TORCH), "torch")
OUR_ADAM_IN_TORCH_ALONE = Side(partial(TorchStepAlone, **_IN_TORCH), "torch")
OUR_MODULE_IN_TORCH, OUR_FUSED_MODULE_IN_TORCH = (
    Side(partial(TorchModule, **_TORCH_ADAM, fused=fused), "torch") for fused in (False, True)
)
TORCH_DENSE_ADAM = torch_dense("Adam", betas=BETAS, eps=EPSILON, fused=True)
KERAS_ADAM, KERAS_ADAM_TUNED = (
    Side(partial(KerasAdam, tuned=tuned, learning_rate=LEARNING_RATE, **_ADAM), "keras")
    for tuned in (False, True)
)
ROW_WISE_ADAGRAD = ours(pe.SparseRowWiseAdagrad, **_FROM_ZERO)


def row_wise_adagrad_of_bags(bag: int) -> Side:
    return our_bag(bag, pe.SparseRowWiseAdagrad, **_FROM_ZERO)


def fbgemm_row_wise_adagrad(bag: int = 1) -> Side:
    return fbgemm_fused("EXACT_ROWWISE_ADAGRAD", bag, eps=EPSILON)
