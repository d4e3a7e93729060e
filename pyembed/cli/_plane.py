"""Vectors on a plane, near to each other where they were."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyembed.cli._errors import UnusableError

METHODS = ("auto", "pca", "tsne")
_FEWEST = 10  # words that t-SNE is worth its while for
_EXACT = 500  # words up to which nothing is gained by approximation
_NEIGHBOURS = 30.0  # its perplexity, or a third of the words


def on_plane(vectors: NDArray[Any], method: str, seed: int) -> tuple[NDArray[np.float64], str]:
    """Return a place for each vector by its direction, (words, 2), and the method's name.

    Parameters
    ----------
    vectors : ndarray, shape (words, dim)
    method : {'auto', 'pca', 'tsne'}
        t-SNE needs scikit-learn, and is taken where that is and there are words enough.
    seed : int
        Of t-SNE.

    Raises
    ------
    UnusableError
        If t-SNE is asked for and cannot be had.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions = vectors.astype(np.float64) / np.maximum(lengths, 1e-30)
    has_sklearn = importlib.util.find_spec("sklearn") is not None
    if method == "tsne" and not has_sklearn:
        raise UnusableError("t-SNE needs scikit-learn: pip install scikit-learn")
    if method == "tsne" and len(vectors) < _FEWEST:
        raise UnusableError(f"t-SNE needs {_FEWEST} words at least: there are {len(vectors)}")
    if method == "pca" or not has_sklearn or len(vectors) < _FEWEST:
        return _principal(directions), "PCA"
    return _stochastic(directions, seed), "t-SNE"


def _principal(directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return coordinates along the two directions that the vectors differ most in."""
    centred = directions - directions.mean(axis=0)
    left, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2]
    # Either sign would do: the largest number of an axis is positive.
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
    places = np.zeros((len(directions), 2))
    places[:, : len(axes)] = left[:, :2] * sizes[:2] * signs
    return places


def _stochastic(directions: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    from sklearn.manifold import TSNE

    perplexity = min(_NEIGHBOURS, (len(directions) - 1) / 3)
    method = "exact" if len(directions) <= _EXACT else "barnes_hut"
    made = TSNE(init="pca", perplexity=perplexity, random_state=seed, method=method)
    return np.asarray(made.fit_transform(directions), np.float64)
