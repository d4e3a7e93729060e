"""A classifier of texts by the mean of their words: one EmbeddingBag and one linear layer."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from client import Client, Program, zipf

CLASSES = 4


class Classifier(torch.nn.Module):
    def __init__(self, words: int, dim: int) -> None:
        super().__init__()
        self.bag = torch.nn.EmbeddingBag(words, dim, sparse=True)
        self.out = torch.nn.Linear(dim, CLASSES)

    def forward(self, text: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        """The scores (batch, CLASSES) of texts, one after the other in ``text``."""
        scores: torch.Tensor = self.out(self.bag(text, offsets))
        return scores


def make(tiny: bool) -> Program:
    words, dim, batch, steps = (500, 8, 16, 4) if tiny else (100_000, 64, 64, 60)
    model = Classifier(words, dim)
    optimizer = torch.optim.SparseAdam(model.bag.parameters(), lr=1e-2)
    rest = torch.optim.Adam(model.out.parameters(), lr=1e-3)

    def train() -> list[float]:
        losses = []
        for _ in range(steps):
            lengths = torch.randint(20, 60, (batch,))
            text = zipf(words, (int(lengths.sum()),))
            offsets = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)[:-1]])
            labels = text[offsets] % CLASSES
            loss = F.cross_entropy(model(text, offsets), labels)
            for one in (optimizer, rest):
                one.zero_grad()
            loss.backward()
            for one in (optimizer, rest):
                one.step()
            losses.append(loss.item())
        return losses

    return Program(model, type(optimizer), train)


CLIENT = Client(
    "text classifier",
    "sparse",
    "`nn.EmbeddingBag(100_000, 64)` and a linear layer, `SparseAdam`; 64 texts of 20 to 59 words",
    make,
)
