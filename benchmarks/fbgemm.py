"""FBGEMM's tables on the CPU, which are PyTorch modules: lookups in bags, and training in bags.

They take float32 rows of a multiple of 4 numbers only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import peers
from data import Array
from streams import Ids


def can(dim: int, dtype: str) -> bool:
    """Whether FBGEMM is here and takes such rows."""
    return peers.fbgemm() is not None and dtype == "float32" and dim % 4 == 0


class Fbgemm:
    """``SplitTableBatchedEmbeddingBagsCodegen``: ``backward`` updates the table straight away.

    ``optimizer`` is one of FBGEMM's names. Row ``b`` of dy belongs to the b-th ``bag`` of ids.
    """

    times_itself = False

    def __init__(
        self, rows: int, dim: int, dtype: str, optimizer: str, bag: int = 1, **settings: float
    ) -> None:
        assert can(dim, dtype)
        self.torch = peers.torch()
        self.bag = bag
        library = peers.find("fbgemm_gpu.split_table_batched_embeddings_ops_training")
        place = library.EmbeddingLocation.HOST, library.ComputeDevice.CPU
        self.table = library.SplitTableBatchedEmbeddingBagsCodegen(
            [(rows, dim, *place)],
            optimizer=library.OptimType[optimizer],
            bounds_check_mode=library.BoundsCheckMode.NONE,
            stochastic_rounding=False,
            **settings,
        )
        self._offsets: dict[int, Any] = {}

    def start(self, weights: Array) -> None:
        np.copyto(self.weights(), weights)

    def step(self, ids: Ids, dy: Array) -> None:
        if len(ids) not in self._offsets:
            self._offsets[len(ids)] = offsets(len(ids), self.bag)
        output = self.table(self.torch.from_numpy(ids), self._offsets[len(ids)])
        output.backward(self.torch.from_numpy(dy))

    def weights(self) -> Array:
        weights: Array = self.table.split_embedding_weights()[0].detach().numpy()
        return weights


def offsets(ids: int, bag: int) -> Any:
    """Where bags of ``bag`` ids start, and where the last one ends, which may be shorter."""
    return peers.torch().from_numpy(np.append(np.arange(0, ids, bag), ids))


def forward(table: Array, bag: int, ids: int, mode: str) -> Any:
    """A function of a tensor of ids: the training class, which has nothing to train here."""
    torch = peers.torch()
    library = peers.find("fbgemm_gpu.split_table_batched_embeddings_ops_training")
    module = library.SplitTableBatchedEmbeddingBagsCodegen(
        [(*table.shape, library.EmbeddingLocation.HOST, library.ComputeDevice.CPU)],
        optimizer=library.OptimType.EXACT_SGD,
        pooling_mode=library.PoolingMode[mode.upper()],
        bounds_check_mode=library.BoundsCheckMode.NONE,
    )
    module.split_embedding_weights()[0].copy_(torch.from_numpy(table))
    starts = offsets(ids, bag)
    return torch.no_grad()(lambda batch: module(batch, starts))


def inference(table: Array, bag: int, ids: int, mode: str) -> Any:
    """A function of a tensor of ids: the class that serves lookups, here with whole floats."""
    torch = peers.torch()
    library = peers.find("fbgemm_gpu.split_table_batched_embeddings_ops_inference")
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
    starts = offsets(ids, bag)
    return torch.inference_mode()(lambda batch: module(batch, starts))
