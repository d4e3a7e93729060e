"""A table of four rows, a step of it, and a regularizer of a user's own."""

import numpy as np

import pyembed as pe

MATRIX = np.array([[1.0, -2.0], [-3.0, 4.0], [0.5, 0.0], [-6.0, -8.0]])


def table(cls=pe.Embedding, **options):
    return cls(4, 2, weights=MATRIX, dtype="float64", **options)


def step(emb, ids, grad=0.0, **options):
    """One step of SGD at a learning rate of 1, with the same gradient for every id."""
    opt = pe.SparseSGD(emb, 1.0, **options)
    shape = emb(ids).shape
    opt.step(emb.backward(ids, np.full(shape, grad)))
    opt.release()


class Cubes:
    """A user's own: the sum of w³."""

    def __init__(self):
        self.seen = []

    def __call__(self, w):
        return (w**3).sum()

    def gradient(self, w):
        self.seen.append(w.copy())
        return 3 * w**2
