"""pykeen's own loop of training, a round of which is an epoch."""

from __future__ import annotations

from typing import Any

import torch

from client import Program


def program(model: Any, triples: Any, optimizer: torch.optim.Optimizer, batch: int) -> Program:
    from pykeen.training import SLCWATrainingLoop

    loop = SLCWATrainingLoop(model=model, triples_factory=triples, optimizer=optimizer)
    epochs: list[float] = []

    def train() -> list[float]:
        losses = loop.train(
            triples,
            num_epochs=len(epochs) + 1,
            batch_size=batch,
            continue_training=bool(epochs),
            use_tqdm=False,
            pin_memory=False,
        )
        epochs.append(losses[-1])
        return [losses[-1]]

    return Program(model, type(optimizer), train)  # it makes another one of the class
