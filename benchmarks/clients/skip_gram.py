"""Word vectors by skip-gram with negative sampling, as it is usually written in PyTorch."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from client import Client, Program, zipf

NEGATIVES = 5


class SkipGram(torch.nn.Module):
    def __init__(self, words: int, dim: int) -> None:
        super().__init__()
        self.centers = torch.nn.Embedding(words, dim, sparse=True)
        self.contexts = torch.nn.Embedding(words, dim, sparse=True)
        torch.nn.init.uniform_(self.centers.weight, -0.5 / dim, 0.5 / dim)
        torch.nn.init.zeros_(self.contexts.weight)

    def forward(
        self, center: torch.Tensor, context: torch.Tensor, others: torch.Tensor
    ) -> torch.Tensor:
        """The loss of pairs (batch,), with words (batch, NEGATIVES) that were not there."""
        vector = self.centers(center)
        true = (vector * self.contexts(context)).sum(1)
        false = torch.bmm(self.contexts(others), vector[:, :, None]).squeeze(2)
        return -(F.logsigmoid(true).mean() + F.logsigmoid(-false).sum(1).mean())


def make(tiny: bool) -> Program:
    words, dim, batch, steps = (500, 8, 64, 4) if tiny else (100_000, 100, 4096, 8)
    model = SkipGram(words, dim)
    optimizer = torch.optim.SparseAdam(model.parameters(), lr=1e-3)

    def train() -> list[float]:
        losses = []
        for _ in range(steps):
            center = zipf(words, (batch,))
            context, others = (center * 7 + 1) % words, zipf(words, (batch, NEGATIVES))
            optimizer.zero_grad()
            loss = model(center, context, others)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    return Program(model, type(optimizer), train)


CLIENT = Client(
    "skip-gram",
    "sparse",
    "two `nn.Embedding(100_000, 100)`, `SparseAdam`; 4,096 pairs and 5 negatives each",
    make,
)
