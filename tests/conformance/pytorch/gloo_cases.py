"""One of several processes with a group of torch's: all cases, and modules beside DDP.

python gloo_cases.py STORE RANK SIZE
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
import torch.distributed as dist

import pyembed as pe
import pyembed.torch as pt
from pyembed.sharding.communicator import adapted
from sharded_cases import CASES


def modules(rank, size):
    """A table of all ranks in a model whose other weights DDP averages, beside one process."""
    torch.manual_seed(0)
    start, head = torch.randn(20, 4), torch.nn.Linear(4, 1)
    ids = torch.randint(0, 20, (12, 3))

    alone = pt.Embedding(20, 4, _weight=start.clone(), sparse=True)
    alone_head = torch.nn.Linear(4, 1)
    alone_head.load_state_dict(head.state_dict())
    shared = pt.Embedding(20, 4, _weight=start.clone(), sparse=True, comm=dist.group.WORLD)
    ddp = torch.nn.parallel.DistributedDataParallel(head)
    for emb, out, own in ((alone, alone_head, ids), (shared, ddp, ids[rank::size])):
        # DDP averages; a table sums, and so its ranks' gradients are divided.
        scale = 1.0 if emb is alone else 1.0 / size
        emb.register_forward_hook(lambda _, __, y, scale=scale: _scaled(y, scale))
        dense = torch.optim.Adam(out.parameters(), lr=0.1)
        sparse = pt.SparseAdam(emb.parameters(), lr=0.1)
        for _ in range(3):
            loss = out(emb(own).sum(1)).pow(2).mean()
            loss.backward()
            for optimizer in (sparse, dense):
                optimizer.step()
                optimizer.zero_grad()
    torch.testing.assert_close(shared.weight, alone.weight[rank::size], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(head.weight, alone_head.weight, rtol=1e-4, atol=1e-5)


def _scaled(rows, scale):
    rows.register_hook(lambda grad: grad * scale)
    return rows


def groups(rank, size):
    """A group of some ranks has a table of its own."""
    few = dist.new_group([0, size - 1])
    if rank in (0, size - 1):
        emb = pe.Embedding(5, 2, "ones", comm=few)
        assert len(emb.local) == (3 if rank == 0 else 2)
        assert emb([4, 0]).tolist() == [[1, 1], [1, 1]]
    assert adapted(dist.group.WORLD) is adapted(dist.group.WORLD)


def main(store, rank, size):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=size)
    for name, case in CASES.items():
        case(adapted(dist.group.WORLD))
        if rank == 0:
            print(name, flush=True)
    for case in (modules, groups):
        case(rank, size)
        if rank == 0:
            print(case.__name__, flush=True)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
