"""Trains a sharded model in one of two processes, as `test_torch_memory` runs it."""

import sys

import torch
import torch.distributed as dist

import pyembed.torch as pt

STEPS = 3


def model(module):
    torch.manual_seed(0)
    emb = module.Embedding(16, 4, _weight=torch.randn(16, 4))
    bag = module.EmbeddingBag(16, 4, mode="max", _weight=torch.randn(16, 4))
    return torch.nn.ModuleDict({"emb": emb, "bag": bag, "out": torch.nn.Linear(8, 1)})


class Net(torch.nn.Module):
    def __init__(self, module):
        super().__init__()
        self.parts = model(module)

    def forward(self, ids):
        parts = self.parts
        rows = torch.cat([parts["emb"](ids).sum(1), parts["bag"](ids)], 1)
        return parts["out"](rows).pow(2).mean()


def trained(net):
    """The losses of some steps."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    generator = torch.Generator().manual_seed(dist.get_rank())
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = net(torch.randint(0, 16, (5, 3), generator=generator))
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses)


def by_first(net):
    from torch.distributed.fsdp import FullyShardedDataParallel

    return FullyShardedDataParallel(net, device_id=torch.device("cpu"), use_orig_params=True)


def by_second(net):
    from torch.distributed.fsdp import fully_shard

    mesh = dist.init_device_mesh("cpu", (2,))
    fully_shard(net, mesh=mesh)
    return net


def main(store, rank):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=int(rank), world_size=2)
    try:
        for shard in (by_first, by_second):
            ours = trained(shard(Net(pt)))
            theirs = trained(shard(Net(torch.nn)))
            torch.testing.assert_close(ours, theirs)
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
