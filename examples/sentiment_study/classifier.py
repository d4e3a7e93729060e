"""The model: the mean of a snippet's word vectors, and a logistic regression on it."""

from __future__ import annotations

from itertools import islice

import numpy as np
import numpy.typing as npt

import pyembed as pe

from .snippets import Snippets

FloatArray = npt.NDArray[np.float32]


def logistic_loss(logits: FloatArray, labels: FloatArray) -> tuple[float, FloatArray]:
    """Return the mean cross-entropy, and its gradient with respect to the logits."""
    loss = np.logaddexp(0, logits) - labels * logits
    # This form of the sigmoid cannot overflow, however sure the model is.
    probability = 0.5 + 0.5 * np.tanh(0.5 * logits)
    return float(loss.mean()), (probability - labels) / np.float32(len(labels))


class BagClassifier:
    """Estimate how likely a snippet is to be favourable, by its words in any order.

    Parameters
    ----------
    bag
        Pools the word vectors of a snippet; trained along if it is trainable.
    seed
        Decides the first weights of the logistic regression.
    table_rate, dense_rate
        Adam's learning rates for the word vectors and for the logistic regression.
    """

    def __init__(
        self,
        bag: pe.EmbeddingBag,
        *,
        seed: int,
        table_rate: float,
        dense_rate: float,
    ) -> None:
        dim = bag.embeddings.shape[1]
        weights = np.random.default_rng(seed).normal(0, dim**-0.5, dim)
        self.bag = bag
        self.weights: FloatArray = weights.astype(np.float32)
        self.bias: FloatArray = np.zeros(1, np.float32)
        self._table_optimizer = pe.SparseAdam(bag, table_rate) if bag.trainable else None
        self._dense_optimizer = pe.baseline.Adam([self.weights, self.bias], dense_rate)

    def logits(self, means: FloatArray) -> FloatArray:
        """Score pooled snippets, (snippets, dim): above 0 is favourable."""
        # Not means @ weights: BLAS may add in another order with another number of threads.
        return np.einsum("bd,d->b", means, self.weights) + self.bias

    def accuracy(self, snippets: Snippets) -> float:
        """Return the share of the snippets that are judged right."""
        logits = self.logits(self.bag(snippets.ids, snippets.offsets))
        return float(np.mean((logits > 0) == (snippets.labels > 0)))

    def train_step(self, batch: Snippets) -> float:
        """Learn from one batch; return its loss before."""
        means = self.bag(batch.ids, batch.offsets)
        loss, error = logistic_loss(self.logits(means), batch.labels)
        if self._table_optimizer is not None:
            grad_means = np.outer(error, self.weights)
            self._table_optimizer.step(self.bag.backward(batch.ids, grad_means, batch.offsets))
        grad_weights = np.einsum("b,bd->d", error, means)
        self._dense_optimizer.step(grad_weights, error.sum(keepdims=True))
        return loss

    def _trained_arrays(self) -> list[FloatArray]:
        table = [self.bag.embeddings] if self.bag.trainable else []
        return [*table, self.weights, self.bias]

    def fit(
        self,
        training: Snippets,
        validation: Snippets,
        *,
        steps: int,
        seed: int,
        batch_size: int = 32,
        check_every: int = 50,
    ) -> None:
        """Train, and go back to wherever validation accuracy was highest.

        So every start gets the length of training that suits it, and no test film has a say.
        """
        highest = -1.0
        best: list[FloatArray] = []
        batches = training.batches(batch_size, np.random.default_rng(seed))
        for step, batch in enumerate(islice(batches, steps), start=1):
            self.train_step(batch)
            if step % check_every == 0 and (accuracy := self.accuracy(validation)) > highest:
                highest = accuracy
                best = [array.copy() for array in self._trained_arrays()]
        for array, value in zip(self._trained_arrays(), best, strict=True):
            array[...] = value
