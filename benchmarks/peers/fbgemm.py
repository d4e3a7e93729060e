"""FBGEMM's tables on the CPU, which are PyTorch modules: lookups in bags, and training in bags.

They take float32 rows of a multiple of 4 numbers only.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

import peers
from data import Array, Ids
from peers.trainer import Live

OPS = "fbgemm_gpu.split_table_batched_embeddings_ops"


def can(dim: int, dtype: str) -> bool:
    """Whether FBGEMM is here and takes such rows."""
    here = peers.torch() and peers.find("fbgemm_gpu")
    return here is not None and dtype == "float32" and dim % 4 == 0


class Fbgemm(Live):
    """``SplitTableBatchedEmbeddingBagsCodegen``: ``backward`` updates the table straight away.

    ``optimizer`` is one of FBGEMM's names. Row ``b`` of dy belongs to the b-th ``bag`` of ids. Of
    more than one table, ids are (tables, N) and dy is (N, tables, dim), all in one call.
    """

    def __init__(
        self,
        rows: int,
        dim: int,
        dtype: str,
        optimizer: str,
        bag: int = 1,
        tables: int = 1,
        **settings: Any,
    ) -> None:
        assert can(dim, dtype)
        self.bag = bag
        shapes = [(rows, dim)] * tables
        self.module = _module(shapes, optimizer, stochastic_rounding=False, **settings)

    def start(self, weights: Array) -> None:
        tables = _live(self.module)
        for table, its in zip(tables, weights.reshape(len(tables), *tables[0].shape), strict=True):
            np.copyto(table, its)

    def step(self, ids: Ids, dy: Array) -> None:
        torch = peers.torch()
        output = self.module(torch.from_numpy(ids.ravel()), _offsets(ids.size, self.bag))
        output.backward(torch.from_numpy(dy.reshape(len(dy), -1)))

    def weights(self) -> Array:
        """A copy if there are several tables."""
        first, *others = _live(self.module)
        return np.stack([first, *others]) if others else first


def forward(table: Array, bag: int, ids: int, mode: str) -> Any:
    """A function of a tensor of ids: the training class, which has nothing to train here."""
    torch = peers.torch()
    module = _module([table.shape], "EXACT_SGD", mode)
    np.copyto(_live(module)[0], table)
    starts = _offsets(ids, bag)
    return torch.no_grad()(lambda batch: module(batch, starts))


def inference(table: Array, bag: int, ids: int, mode: str) -> Any:
    """A function of a tensor of ids: the class that serves lookups, here with whole floats."""
    torch, library = peers.torch(), peers.find(f"{OPS}_inference")
    float32 = library.SparseType.FP32
    module = library.IntNBitTableBatchedEmbeddingBagsCodegen(
        [("table", *table.shape, float32, library.EmbeddingLocation.HOST)],
        device="cpu",
        output_dtype=float32,
        pooling_mode=library.PoolingMode[mode.upper()],
        bounds_check_mode=library.BoundsCheckMode.NONE,
    )
    module.initialize_weights()
    module.split_embedding_weights()[0][0].view(torch.float32).copy_(torch.from_numpy(table))
    starts = _offsets(ids, bag)
    return torch.inference_mode()(lambda batch: module(batch, starts))


def _module(
    shapes: Sequence[tuple[int, ...]], optimizer: str, mode: str = "sum", **settings: Any
) -> Any:
    library = peers.find(f"{OPS}_training")
    place = library.EmbeddingLocation.HOST, library.ComputeDevice.CPU
    return library.SplitTableBatchedEmbeddingBagsCodegen(
        [(*shape, *place) for shape in shapes],
        optimizer=library.OptimType[optimizer],
        pooling_mode=library.PoolingMode[mode.upper()],
        bounds_check_mode=library.BoundsCheckMode.NONE,
        **settings,
    )


def _live(module: Any) -> list[Array]:
    return [weights.detach().numpy() for weights in module.split_embedding_weights()]


@lru_cache(maxsize=4)
def _offsets(ids: int, bag: int) -> Any:
    """Where bags of ``bag`` ids start, and where the last one ends, which may be shorter."""
    return peers.torch().from_numpy(np.append(np.arange(0, ids, bag), ids))
