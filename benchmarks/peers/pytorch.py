"""PyTorch's layer and optimizers in training, and ours for PyTorch in their place."""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

import peers
from data import Array, Ids
from peers.trainer import Live


class Torch(Live):
    """``nn.Embedding`` and an optimizer, by name: PyTorch's own, or those of ``optimizers``.

    Where ``alone``, only the optimizer's step is timed.
    """

    fused = False

    def __init__(
        self,
        rows: int,
        dim: int,
        dtype: str,
        optimizer: str,
        sparse: bool = True,
        optimizers: str = "torch.optim",
        alone: bool = False,
        **settings: Any,
    ) -> None:
        self.torch = peers.torch()
        self.torch.sparse.check_sparse_tensor_invariants.disable()  # as ever; unsaid, it warns
        self.times_itself = alone
        self.table = self._layer(rows, dim, sparse, getattr(self.torch, dtype))
        make = getattr(import_module(optimizers), optimizer)
        self.optimizer = make(self.table.parameters(), **settings)

    def _layer(self, rows: int, dim: int, sparse: bool, dtype: Any) -> Any:
        nn = self.torch.nn  # whose random numbers would take seconds
        layer = nn.utils.skip_init(nn.Embedding, rows, dim, sparse=sparse, dtype=dtype)
        nn.init.zeros_(layer.weight)
        return layer

    def step(self, ids: Ids, dy: Array) -> float:
        self.optimizer.zero_grad(set_to_none=True)
        output = self.table(self.torch.from_numpy(ids))
        output.backward(self.torch.from_numpy(dy))
        started = time.perf_counter()
        if not self.fused:
            self.optimizer.step()
        return time.perf_counter() - started

    def weights(self) -> Array:
        weights: Array = self.table.weight.detach().numpy()
        return weights


class TorchModule(Torch):
    """``pyembed.torch.Embedding`` in the place of ``nn.Embedding``, and an optimizer of there.

    Where it is ``fused``, rows are updated in the backward pass.
    """

    def __init__(
        self, rows: int, dim: int, dtype: str, optimizer: str, fused: bool, **settings: Any
    ) -> None:
        super().__init__(rows, dim, dtype, optimizer, optimizers="pyembed.torch", **settings)
        self.fused = fused
        if fused:
            self.table.fuse(self.optimizer)

    def _layer(self, rows: int, dim: int, sparse: bool, dtype: Any) -> Any:
        return import_module("pyembed.torch").Embedding(rows, dim, sparse=sparse, dtype=dtype)
