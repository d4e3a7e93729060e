"""DeepFM of DeepCTR-Torch, by its own `fit`: dense gradients, and Adam of all rows."""

from __future__ import annotations

import numpy as np

from client import Client, Program, zipf

CATEGORIES = 26


def make(tiny: bool) -> Program:
    from deepctr_torch.inputs import DenseFeat, SparseFeat
    from deepctr_torch.models import DeepFM

    rows, dim, samples, batch = (50, 4, 64, 32) if tiny else (10_000, 8, 10_240, 1024)
    names = [f"C{at}" for at in range(CATEGORIES)]
    columns = [SparseFeat(name, rows, embedding_dim=dim) for name in names]
    columns.append(DenseFeat("I", 13))
    data: dict[str, np.ndarray] = {name: zipf(rows, (samples,)).numpy() for name in names}
    data["I"] = np.random.default_rng(0).standard_normal((samples, 13)).astype(np.float32)
    labels = (data["C0"] % 3 == 0).astype(np.float32)
    model = DeepFM(columns, columns, dnn_hidden_units=(64, 64), device="cpu", seed=0)
    model.compile("adam", "binary_crossentropy")

    def train() -> list[float]:
        history = model.fit(data, labels, batch_size=batch, epochs=1, verbose=0, shuffle=True)
        return [float(loss) for loss in history.history["loss"]]

    return Program(model, type(model.optim), train)


CLIENT = Client(
    "DeepCTR's DeepFM",
    "dense",
    "26 tables of 10,000 rows of 8 and as many of 1, torch's `Adam`; its `fit`, 1,024 clicks",
    make,
    needs="deepctr_torch",
)
