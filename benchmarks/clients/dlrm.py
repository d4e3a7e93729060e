"""A model of clicks of DLRM's shape: bags of categories, numbers, and products of their vectors."""

from __future__ import annotations

import itertools

import torch
from torch.nn import functional as F

from client import Client, Program, zipf

NUMBERS = 13
CATEGORIES = 26


def perceptron(*widths: int) -> torch.nn.Sequential:
    layers: list[torch.nn.Module] = []
    for before, after in itertools.pairwise(widths):
        layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


class DLRM(torch.nn.Module):
    def __init__(self, rows: list[int], dim: int) -> None:
        super().__init__()
        self.tables = torch.nn.ModuleList(
            torch.nn.EmbeddingBag(count, dim, mode="sum", sparse=True) for count in rows
        )
        self.below = perceptron(NUMBERS, 64, dim)
        pairs = (len(rows) + 1) * len(rows) // 2
        self.above = perceptron(dim + pairs, 64, 1)
        self.register_buffer("pairs", torch.tril_indices(len(rows) + 1, len(rows) + 1, -1))

    def forward(self, numbers: torch.Tensor, bags: list[torch.Tensor]) -> torch.Tensor:
        """The scores (batch,) of numbers (batch, NUMBERS) and ids (batch, ids), a table each."""
        dense = self.below(numbers)
        vectors = torch.stack(
            [dense, *(table(ids) for table, ids in zip(self.tables, bags, strict=True))], 1
        )
        products = torch.bmm(vectors, vectors.transpose(1, 2))[:, self.pairs[0], self.pairs[1]]
        scores: torch.Tensor = self.above(torch.cat([dense, products], 1)).squeeze(1)
        return scores


def make(tiny: bool) -> Program:
    largest, dim, batch, steps = (1000, 4, 32, 3) if tiny else (500_000, 16, 2048, 5)
    # From 10 rows to the largest, each so many times the one before.
    rows = [round(10 * (largest / 10) ** (i / (CATEGORIES - 1))) for i in range(CATEGORIES)]
    model = DLRM(rows, dim)
    optimizer = torch.optim.SparseAdam(model.tables.parameters(), lr=1e-3)
    rest = torch.optim.Adam([*model.below.parameters(), *model.above.parameters()], lr=1e-3)

    def train() -> list[float]:
        losses = []
        for _ in range(steps):
            numbers = torch.randn(batch, NUMBERS)
            bags = [zipf(count, (batch, 1 + at % 3)) for at, count in enumerate(rows)]
            labels = ((bags[-1][:, 0] + bags[-2][:, 0]) % 3 == 0).float()
            loss = F.binary_cross_entropy_with_logits(model(numbers, bags), labels)
            for one in (optimizer, rest):
                one.zero_grad()
            loss.backward()
            for one in (optimizer, rest):
                one.step()
            losses.append(loss.item())
        return losses

    return Program(model, type(optimizer), train)


CLIENT = Client(
    "DLRM",
    "sparse",
    "26 `nn.EmbeddingBag` of 10 to 500,000 rows of 16, `SparseAdam`, and two perceptrons; 2,048 "
    "clicks, 1 to 3 ids a bag",
    make,
)
