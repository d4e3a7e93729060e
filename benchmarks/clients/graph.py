"""Triples (head, relation, tail), made up, as many as FB15k-237 has."""

from __future__ import annotations

import torch

from client import zipf

ENTITIES, RELATIONS, TRIPLES = 14_541, 237, 272_115


def triples(tiny: bool) -> tuple[int, int, torch.Tensor]:
    """How many entities and relations there are, and triples (n, 3), as common as in real ones."""
    entities, relations, count = (60, 5, 300) if tiny else (ENTITIES, RELATIONS, TRIPLES)
    head = zipf(entities, (count,), 0.8)
    relation = zipf(relations, (count,), 0.8)
    tail = (head * 31 + relation * 17 + zipf(entities, (count,), 1.2)) % entities
    return entities, relations, torch.stack([head, relation, tail], 1)
