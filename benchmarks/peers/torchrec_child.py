"""TorchRec's row-wise sharding on the CPU, over gloo: two processes, as `ranks.py` starts them.

The first starts the second. Its rows are updated in the backward pass, by row-wise Adagrad.
"""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))

from shares import Share, obey, start_rows

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
        self._share = Share(files, ids, dim, rank=dist.get_rank(), size=SIZE, barrier=dist.barrier)
        self._dy = torch.from_numpy(self._share.dy)

    def step(self, batch: int) -> float:
        """A whole step."""
        keyed = self._keyed(batch)
        return self._share.timed(lambda: self._looked_up(keyed).backward(self._dy))

    def rows(self, batch: int) -> None:
        """Write what the ids of a batch read now."""
        import torch

        with torch.no_grad():
            self._share.write(self._looked_up(self._keyed(batch)).numpy())

    def _keyed(self, batch: int) -> Any:
        import torch
        from torchrec import KeyedJaggedTensor

        ids = torch.from_numpy(self._share.ids(batch))
        lengths = torch.ones(len(ids), dtype=torch.int64)
        return KeyedJaggedTensor(keys=["ids"], values=ids, lengths=lengths)

    def _looked_up(self, keyed: Any) -> Any:
        return self._module(keyed).wait()["ids"].values()


def main(files: Path, threads: int, rank: int) -> None:
    """Do what the lines say that the first process reads."""
    answers = os.fdopen(os.dup(1), "w") if rank == 0 else None
    os.dup2(2, 1)  # what the libraries print is no answer
    if rank == 0:
        subprocess.Popen([sys.executable, __file__, str(files), str(threads), "1"])
    warnings.simplefilter("ignore")
    import torch
    import torch.distributed as dist

    torch.set_num_threads(threads)
    store = f"file://{files / 'store'}"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=SIZE)

    def next_line() -> str:
        lines = [sys.stdin.readline() if rank == 0 else None]
        dist.broadcast_object_list(lines)
        return lines[0]

    obey(next_line, partial(Rank, files), answers)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
