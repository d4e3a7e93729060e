"""TorchRec's row-wise sharding on the CPU, over gloo: two processes, as `ranks.py` starts them.

The first starts the second. Its rows are updated in the backward pass, by row-wise Adagrad.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))

import data
from start_rows import start_rows

SIZE = 2


class Rank:
    """What one process has of a table."""

    def __init__(
        self,
        files: Path,
        *,
        rows: int,
        dim: int,
        ids: int,
        optimizer: str,
        settings: dict[str, Any],
    ) -> None:
        import torch
        import torch.distributed as dist
        from fbgemm_gpu.split_embedding_configs import EmbOptimType
        from torchrec import EmbeddingCollection, EmbeddingConfig
        from torchrec.distributed.embedding import EmbeddingCollectionSharder
        from torchrec.distributed.sharding_plan import construct_module_sharding_plan, row_wise
        from torchrec.distributed.types import ShardingEnv

        self._rank = dist.get_rank()
        config = EmbeddingConfig(
            name="table", embedding_dim=dim, num_embeddings=rows, feature_names=["ids"]
        )
        module = EmbeddingCollection(tables=[config], device=torch.device("meta"))
        fused = {"optimizer": getattr(EmbOptimType, optimizer), **settings}
        sharder = EmbeddingCollectionSharder(fused_params=fused)
        plan = construct_module_sharding_plan(
            module,
            {"table": row_wise(compute_kernel="fused")},
            sharder=sharder,
            local_size=SIZE,
            world_size=SIZE,
            device_type="cpu",
        )
        env = ShardingEnv.from_process_group(dist.group.WORLD)
        self._module = sharder.shard(module, plan, env, torch.device("cpu"))
        (weight,) = self._module.state_dict().values()
        (shard,) = weight.local_shards()
        first = shard.metadata.shard_offsets[0]
        numbers = np.arange(first, first + len(shard.tensor))
        shard.tensor.copy_(torch.from_numpy(start_rows(numbers, dim)))
        self._files, self._dim = files, dim
        self._ids = np.fromfile(files / "ids", np.int64).reshape(-1, ids)
        self._share = slice(ids * self._rank // SIZE, ids * (self._rank + 1) // SIZE)
        dy = data.whole_numbers((ids, dim), "float32")[self._share]
        self._dy = torch.from_numpy(dy.copy())

    def step(self, batch: int) -> float:
        """A whole step; the seconds from when both begin to when both have ended."""
        import torch.distributed as dist

        keyed = self._keyed(batch)
        dist.barrier()
        started = time.perf_counter()
        self._looked_up(keyed).backward(self._dy)
        dist.barrier()
        return time.perf_counter() - started

    def rows(self, batch: int) -> None:
        """Write what the ids of a batch read now."""
        import torch
        import torch.distributed as dist

        with torch.no_grad():
            found = self._looked_up(self._keyed(batch)).numpy()
        place, shape = self._files / "found", (self._ids.shape[1], self._dim)
        if self._rank == 0:
            np.zeros(shape, np.float32).tofile(place)
        dist.barrier()
        whole = np.memmap(place, np.float32, "r+", shape=shape)
        whole[self._share] = found
        whole.flush()
        dist.barrier()

    def _keyed(self, batch: int) -> Any:
        import torch
        from torchrec import KeyedJaggedTensor

        ids = torch.from_numpy(self._ids[batch][self._share])
        lengths = torch.ones(len(ids), dtype=torch.int64)
        return KeyedJaggedTensor(keys=["ids"], values=ids, lengths=lengths)

    def _looked_up(self, keyed: Any) -> Any:
        return self._module(keyed).wait()["ids"].values()


def main(files: Path, threads: int, rank: int) -> None:
    """Do what the lines say that the first process reads."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the libraries print is no answer
    if rank == 0:
        subprocess.Popen([sys.executable, __file__, str(files), str(threads), "1"])
    warnings.simplefilter("ignore")
    import torch
    import torch.distributed as dist

    torch.set_num_threads(threads)
    store = f"file://{files / 'store'}"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=SIZE)
    made: Any = None
    while True:
        lines = [sys.stdin.readline() if rank == 0 else None]
        dist.broadcast_object_list(lines)
        if not lines[0]:
            break
        order = json.loads(lines[0])
        what, answer = order.pop("what"), None
        if what == "make":
            made = None
            made = Rank(files, **order)
        else:
            answer = getattr(made, what)(**order)
        if rank == 0:
            print(json.dumps(answer), file=answers, flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
