"""Callbacks for tables with an optimizer of their own."""

from __future__ import annotations

from typing import Any

import keras

from pyembed.keras.embedding import Embedding


class FollowLearningRate(keras.callbacks.Callback):
    """Let the learning rates of tables follow that of the model's optimizer.

    Callbacks such as `ReduceLROnPlateau` and `LearningRateScheduler` change the learning rate of
    `compile`'s optimizer. With this one beside them, in any order, each table's rate changes by the
    same factor: the ratio of the two stays what it was when training began.

    Notes
    -----
    A table whose learning rate is a schedule or another callable has none to be multiplied: it is
    left alone.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ratios: list[tuple[Any, float]] = []

    def on_train_begin(self, logs: Any = None) -> None:
        """Remember how each table's rate stands to the model's."""
        rate = self._rate()
        if rate == 0.0:
            raise ValueError("FollowLearningRate cannot follow a learning rate that begins with 0")
        self._ratios = []
        for layer in self.model._flatten_layers():
            if isinstance(layer, Embedding) and layer.optimizer is not None:
                own = layer.optimizer.learning_rate
                if isinstance(own, (int, float)):
                    self._ratios.append((layer.optimizer, own / rate))

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Take over what other callbacks did before the epoch's first batch."""
        if batch == 0:
            self._follow()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Take over what other callbacks did after the epoch."""
        self._follow()

    def on_train_end(self, logs: Any = None) -> None:
        """Take over what other callbacks did last."""
        self._follow()

    def _follow(self) -> None:
        rate = self._rate()
        for optimizer, ratio in self._ratios:
            optimizer.learning_rate = ratio * rate

    def _rate(self) -> float:
        return float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
