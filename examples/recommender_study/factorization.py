"""The model: matrix factorisation with biases (Koren, Bell & Volinsky 2009).

The rating of film i by user u is estimated as ``mean + b_u + b_i + p_u . q_i``: four tables, one
row a user or a film in each.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

import pyembed as pe
from datasets import Ratings

FloatArray = npt.NDArray[np.float32]
DIM = 32
SCALE = 0.05  # standard deviation of the first vectors
PENALTY = 0.1  # of squared vectors and biases, beside half the squared error of one rating


class Factorization:
    """Vectors and biases of users and films; ``mean`` is that of the ratings to learn from.

    With a ``comm``, its ranks share the tables, and compute together.
    """

    def __init__(self, ratings: Ratings, *, seed: int, comm: Any = None) -> None:
        shared = partial(pe.Embedding, comm=comm, sum_by="position")

        def vectors(rows: int, seed: int) -> pe.Embedding:
            start = pe.initializers.RandomNormal(stddev=SCALE, seed=seed)
            return shared(rows, DIM, start)

        films = len(ratings.titles)
        self.mean = ratings.stars.mean()
        self.user_vectors = vectors(ratings.user_count, 2 * seed)
        self.film_vectors = vectors(films, 2 * seed + 1)
        self.user_biases = shared(ratings.user_count, 1, "zeros")
        self.film_biases = shared(films, 1, "zeros")

    @property
    def tables(self) -> list[pe.Embedding]:
        """All that is trained, in the order of ``gradients``."""
        return [self.user_vectors, self.film_vectors, self.user_biases, self.film_biases]

    def gradients(self, batch: Ratings, size: int | None = None) -> list[pe.SparseGrad]:
        """Differentiate the mean loss of a batch, or what ratings add to that of a larger ``size``.

        That of one rating is half of ``error**2 + PENALTY * (p**2 + q**2 + b_u**2 + b_i**2)``,
        where only rows of the user and the film of the rating stand.
        """
        rows = [batch.users, batch.films, batch.users, batch.films]
        p, q, b_u, b_i = values = [table(ids) for table, ids in zip(self.tables, rows, strict=True)]
        error = (self._estimate(p, q, b_u, b_i) - batch.stars)[:, None]  # (batch, 1)
        pushes = [error * q, error * p, error, error]
        return [
            table.backward(ids, (push + PENALTY * value) / np.float32(size or len(batch)))
            for table, ids, push, value in zip(self.tables, rows, pushes, values, strict=True)
        ]

    def rmse(self, ratings: Ratings) -> float:
        """Return the root of the mean squared error; estimates are kept between 1 and 5 stars."""
        users, films = ratings.users, ratings.films
        estimate = self._estimate(
            self.user_vectors(users),
            self.film_vectors(films),
            self.user_biases(users),
            self.film_biases(films),
        )
        return float(np.sqrt(np.mean((np.clip(estimate, 1, 5) - ratings.stars) ** 2)))

    def _estimate(
        self, p: FloatArray, q: FloatArray, b_u: FloatArray, b_i: FloatArray
    ) -> FloatArray:
        return self.mean + b_u[:, 0] + b_i[:, 0] + np.einsum("nd,nd->n", p, q)
