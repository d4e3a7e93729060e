"""PyTorch's process groups, by gloo: the CPU's."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from pyembed.sharding.communicator import check_process, row_bytes


class TorchCommunicator:
    """The processes of a group of `torch.distributed`, with messages apart from its other ones."""

    def __init__(self, group: Any) -> None:
        ranks = dist.get_process_group_ranks(group)
        self._group = dist.new_group(ranks, backend="gloo", use_local_synchronization=True)
        self._process = os.getpid()
        self.rank: int = dist.get_rank(group)
        self.size: int = len(ranks)

    def counts(self, sent: NDArray[np.int64]) -> NDArray[np.int64]:
        """Exchange one number with each rank."""
        check_process(self._process, self.rank)
        received = np.empty_like(sent)
        dist.all_to_all_single(_tensor(received), _tensor(sent), group=self._group)
        return received

    def alltoallv(
        self,
        rows: NDArray[Any],
        counts: NDArray[np.int64],
        out: NDArray[Any],
        received: NDArray[np.int64],
    ) -> None:
        """Exchange rows with each rank."""
        self.start_alltoallv(rows, counts, out, received)()

    def start_alltoallv(
        self,
        rows: NDArray[Any],
        counts: NDArray[np.int64],
        out: NDArray[Any],
        received: NDArray[np.int64],
    ) -> Callable[[], object]:
        """Begin to exchange rows; return what waits for the end."""
        check_process(self._process, self.rank)
        tensors = _tensor(out), _tensor(rows)  # which the work keeps
        splits = received.tolist(), counts.tolist()
        work: Any = dist.all_to_all_single(*tensors, *splits, self._group, async_op=True)
        wait: Callable[[], object] = work.wait
        return wait


@functools.cache
def adapted(group: Any) -> TorchCommunicator:
    """Return the one adapter that a group has."""
    return TorchCommunicator(group)


def _tensor(array: NDArray[Any]) -> torch.Tensor:
    """Return the memory of rows as bytes, which every dtype has."""
    if not array.flags.writeable:  # of which torch warns
        array = array.copy()
    flat = array.reshape(-1).view(np.uint8)
    return torch.from_numpy(flat).view(len(array), row_bytes(array))
