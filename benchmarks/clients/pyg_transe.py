"""TransE of PyTorch Geometric, with its own loader, loss and negative samples."""

from __future__ import annotations

import torch

import graph
from client import Client, Program


def make(tiny: bool) -> Program:
    from torch_geometric.nn import TransE

    entities, relations, triples = graph.triples(tiny)
    dim, batch, steps = (8, 50, 4) if tiny else (50, 1000, 40)
    model = TransE(entities, relations, hidden_channels=dim, p_norm=2.0, sparse=True)
    loader = model.loader(*triples[: steps * batch].t(), batch_size=batch, shuffle=True)
    optimizer = torch.optim.SparseAdam(model.parameters(), lr=0.01)

    def train() -> list[float]:
        losses = []
        for head, relation, tail in loader:
            optimizer.zero_grad()
            loss = model.loss(head, relation, tail)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    return Program(model, type(optimizer), train)


CLIENT = Client(
    "PyTorch Geometric's TransE",
    "sparse",
    "14,541 entities and 237 relations of 50, `SparseAdam`; its loader, 1,000 triples",
    make,
    needs="torch_geometric",
)
