"""TransE of pykeen on UMLS, the real graph that comes with it: dense gradients, and small calls."""

from __future__ import annotations

from client import Client, Program
from pykeen_loop import program


def make(tiny: bool) -> Program:
    import torch
    from pykeen.datasets import UMLS
    from pykeen.models import TransE

    triples = UMLS().training
    model = TransE(triples_factory=triples, embedding_dim=8 if tiny else 50, random_seed=0)
    return program(model, triples, torch.optim.Adam(model.parameters(), lr=0.01), batch=256)


CLIENT = Client(
    "pykeen's TransE",
    "dense",
    "UMLS: 135 entities and 46 relations of 50, torch's `Adam`; its loop, 256 triples",
    make,
    needs="pykeen",
)
