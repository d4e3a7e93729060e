"""DistMult of pykeen with sparse gradients: it has no argument for them, but its modules have."""

from __future__ import annotations

import torch

import graph
from client import Client, Program
from pykeen_loop import program


def make(tiny: bool) -> Program:
    from pykeen.models import DistMult
    from pykeen.triples import CoreTriplesFactory

    entities, relations, found = graph.triples(tiny)
    triples = CoreTriplesFactory(found[:20_000], num_entities=entities, num_relations=relations)
    model = DistMult(
        triples_factory=triples,
        embedding_dim=8 if tiny else 64,
        entity_constrainer=None,
        regularizer=None,
        random_seed=0,
    )
    for module in model.modules():
        if isinstance(module, torch.nn.Embedding):
            module.sparse = True
    optimizer = torch.optim.SparseAdam(model.parameters(), lr=0.01)
    return program(model, triples, optimizer, batch=50 if tiny else 1000)


CLIENT = Client(
    "pykeen's DistMult",
    "sparse",
    "14,541 entities and 237 relations of 64, `sparse` set on its modules, `SparseAdam`; its "
    "loop, 1,000 triples",
    make,
    needs="pykeen",
)
