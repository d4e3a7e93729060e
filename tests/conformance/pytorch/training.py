"""What the tests of pyembed.torch share."""

import copy

from conformance.pytorch.peer import torch

STATE = ("exp_avg", "exp_avg_sq")


def batches(seed, steps, rows=40, shape=(6, 4)):
    """Ids with duplicates, some rows never among them; now and then none."""
    generator = torch.Generator().manual_seed(seed)
    for step in range(steps):
        ids = torch.randint(0, rows // 2, shape, generator=generator)
        yield ids[:0] if step % 10 == 3 else ids


def model(seed=0, dtype=torch.float32, module=torch.nn.Embedding, **options):
    torch.manual_seed(seed)
    return module(40, 6, sparse=True, dtype=dtype, **options)


def train(emb, optimizer, ids_of_steps, schedulers=()):
    """Train on a loss with a minimum; return its values."""
    losses = []
    for ids in ids_of_steps:
        optimizer.zero_grad()
        loss = ((emb(ids) - 0.3) ** 2).sum()
        loss.backward()
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
        losses.append(loss.item())
    return losses


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def close_state(ours, theirs):
    """Compare optimizers' states, in the order of their parameters."""
    ours, theirs = copy.deepcopy(ours.state_dict()), copy.deepcopy(theirs.state_dict())
    for number, expected in theirs["state"].items():
        expected = {name: value for name, value in expected.items() if value is not None}
        found = ours["state"].get(number, {})
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            if isinstance(value, torch.Tensor):
                assert found[name].shape == value.shape
                assert found[name].dtype == value.dtype
                close(found[name], value)
            else:
                assert found[name] == value
                assert type(found[name]) is type(value)
