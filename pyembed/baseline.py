"""The dense one-hot layer and dense Adam: the truth for tests, the opponent for timing.

Plain NumPy and BLAS, with nothing clever: what a table lookup and a sparse step must equal.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from pyembed import _checks, initializers
from pyembed.sharding import Together, ranks_of
from pyembed.sharding.averaging import averaged

__all__ = ["Adam", "OneHotDense"]


class OneHotDense:
    """``onehot(ids) @ W``: an embedding as the matrix product that it stands for.

    Parameters
    ----------
    input_dim, output_dim : int
        Shape (V, D) of `embeddings`.
    embeddings_initializer : str, Initializer or callable
        As in `pyembed.Embedding`.
    weights : array_like, shape (V, D), optional
        The values of `embeddings`: copied, and cast to `dtype`.
    dtype : {'float32', 'float64'}
    seed : int, optional
        For an initializer given by name.
    memory_limit : int, optional
        Bytes that a one-hot matrix may take; what the machine has available where None.

    Attributes
    ----------
    embeddings : ndarray, shape (V, D)
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: initializers.InitializerLike = "uniform",
        *,
        weights: ArrayLike | None = None,
        dtype: DTypeLike = "float32",
        seed: int | None = None,
        memory_limit: int | None = None,
    ) -> None:
        self.input_dim = _checks.integer(input_dim, "input_dim", 1)
        self.output_dim = _checks.integer(output_dim, "output_dim", 0)
        self.dtype = _checks.float_dtype(dtype)
        self.memory_limit = memory_limit
        shape = (self.input_dim, self.output_dim)
        if weights is None:
            weights = initializers.get(embeddings_initializer, seed)(shape, dtype=self.dtype)
        self.embeddings: NDArray[Any] = np.array(weights, dtype=self.dtype)
        if self.embeddings.shape != shape:
            raise ValueError(
                f"weights has shape {self.embeddings.shape}, but must have shape {shape}"
            )

    def __call__(self, ids: ArrayLike) -> NDArray[Any]:
        """Return ``onehot(ids) @ embeddings``, of shape ids.shape + (D,).

        Raises
        ------
        IndexError
            If an id is outside the table.
        MemoryError
            If the one-hot matrix does not fit into memory.
        """
        product: NDArray[Any] = self.one_hot(ids) @ self.embeddings
        return product.reshape(*np.shape(ids), self.output_dim)

    def backward(self, ids: ArrayLike, grad_output: ArrayLike) -> NDArray[Any]:
        """Return the gradient ``onehot(ids).T @ grad_output``, of shape (V, D).

        Parameters
        ----------
        ids : array_like of int, any shape
        grad_output : array_like, shape ids.shape + (D,)
        """
        grad = np.asarray(grad_output, dtype=self.dtype)
        shape = (*np.shape(ids), self.output_dim)
        if grad.shape != shape:
            raise ValueError(f"grad_output has shape {grad.shape}, but must have shape {shape}")
        one_hot = self.one_hot(ids)
        gradient: NDArray[Any] = one_hot.T @ grad.reshape(len(one_hot), self.output_dim)
        return gradient

    def one_hot(self, ids: ArrayLike) -> NDArray[Any]:
        """Return the one-hot rows of all ids, of shape (n, V).

        Raises
        ------
        IndexError
            If an id is outside the table.
        MemoryError
            If it does not fit into memory; the message names the bytes it needs.
        """
        flat = np.asarray(ids).reshape(-1)
        if flat.size == 0 and not isinstance(ids, np.ndarray):  # [] is float64 to NumPy
            flat = flat.astype(np.int64)
        if flat.dtype.kind not in "iu":
            raise TypeError(f"ids must be integers, not {flat.dtype}")
        outside = np.flatnonzero((flat < 0) | (flat >= self.input_dim))
        if outside.size:
            raise IndexError(
                f"id {flat[outside[0]]} is outside a table of {self.input_dim} rows "
                f"(valid: 0 to {self.input_dim - 1})"
            )
        self._refuse_too_large(flat.size)
        one_hot = np.zeros((flat.size, self.input_dim), self.dtype)
        one_hot[np.arange(flat.size), flat] = 1.0
        return one_hot

    def _refuse_too_large(self, n: int) -> None:
        needed = n * self.input_dim * np.dtype(self.dtype).itemsize
        limit = self.memory_limit if self.memory_limit is not None else _available_memory()
        if needed > limit:
            raise MemoryError(
                f"the one-hot matrix of {n} ids over {self.input_dim} rows needs {needed} bytes "
                f"({needed / 2**30:.1f} GiB), but only {limit} are available"
            )


class Adam:
    """Dense Adam on plain arrays, updated in place, for a model's other weights.

    Keras's formula, with epsilon before the bias correction and decoupled weight decay::

        w *= 1 - learning_rate * weight_decay
        m += (1 - beta_1) * (g - m)
        v += (1 - beta_2) * (g**2 - v)
        w -= learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (sqrt(v) + epsilon)

    Parameters
    ----------
    arrays : ndarray or sequence of ndarray
        Floating-point and writeable.
    learning_rate, beta_1, beta_2, epsilon, weight_decay : float
    comm : mpi4py.MPI.Intracomm or pyembed.sharding.Communicator, optional
        The processes that train the same arrays, each on its own part of a batch, and make each
        step together: by the mean of their gradients, added up in the order of the ranks, so that
        all have the same bits.

    Raises
    ------
    TypeError
        If an array is not of a float dtype.
    ValueError
        If an argument's value is not allowed, or arrays or arguments differ from rank to rank.
    """

    def __init__(
        self,
        arrays: NDArray[Any] | Sequence[NDArray[Any]],
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        *,
        weight_decay: float = 0.0,
        comm: Any = None,
    ) -> None:
        self._ranks = ranks_of(comm)
        self._ranks.agreed(
            lambda: self._take(arrays, learning_rate, beta_1, beta_2, epsilon, weight_decay)
        )
        self._ranks.agree_on("Adam", self._told)
        self.t = 0
        self.m = [np.zeros_like(array) for array in self.arrays]
        self.v = [np.zeros_like(array) for array in self.arrays]

    def _take(
        self,
        arrays: NDArray[Any] | Sequence[NDArray[Any]],
        learning_rate: float,
        beta_1: float,
        beta_2: float,
        epsilon: float,
        weight_decay: float,
    ) -> None:
        self.arrays = [arrays] if isinstance(arrays, np.ndarray) else list(arrays)
        for number, array in enumerate(self.arrays):
            if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
                raise TypeError(f"array {number} must be an ndarray of a float dtype")
            if not array.flags.writeable:
                raise ValueError(f"array {number} is read-only")
        self.learning_rate = _checks.real(learning_rate, "learning_rate", 0.0)
        self.beta_1 = _checks.real(beta_1, "beta_1", 0.0, 1.0)
        self.beta_2 = _checks.real(beta_2, "beta_2", 0.0, 1.0)
        self.epsilon = _checks.real(epsilon, "epsilon", 0.0)
        self.weight_decay = _checks.real(weight_decay, "weight_decay", 0.0)
        if self.learning_rate * self.weight_decay >= 1.0:
            raise ValueError(
                f"learning_rate={learning_rate!r} times weight_decay={weight_decay!r} must be < 1"
            )

    def _told(self) -> dict[str, Any]:
        """Return what must be the same on all ranks."""
        numbers = ("learning_rate", "beta_1", "beta_2", "epsilon", "weight_decay")
        told: dict[str, Any] = {name: getattr(self, name) for name in numbers}
        for at, array in enumerate(self.arrays):
            bits = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]
            told[f"array {at}"] = f"{array.dtype} of shape {array.shape}, sha256 {bits}"
        return told

    def step(self, *grads: ArrayLike) -> None:
        """Update every array by its gradient; `grads` come in the order of `arrays`.

        With a `comm`, all ranks call this together.

        Raises
        ------
        ValueError
            If their number or a shape is another than the arrays'; nothing is updated then.
        TypeError
            If one is not of real numbers; nothing is updated then.
        """
        gradients = self._ranks.agreed(lambda: self._checked(grads))
        if isinstance(self._ranks, Together):
            pairs = zip(gradients, self.arrays, strict=True)
            cast = [g.astype(array.dtype, copy=False) for g, array in pairs]
            gradients = averaged(self._ranks.comm, cast)
        self._update(gradients)

    def _checked(self, grads: Sequence[ArrayLike]) -> list[NDArray[Any]]:
        gradients = [np.asarray(grad) for grad in grads]
        for number, g in enumerate(gradients):
            if g.dtype.kind not in "fiu":
                raise TypeError(f"gradient {number} must be real numbers, not {g.dtype}")
        if [g.shape for g in gradients] != [array.shape for array in self.arrays]:
            raise ValueError(
                f"gradients have shapes {[g.shape for g in gradients]}, but must have shapes "
                f"{[array.shape for array in self.arrays]}"
            )
        return gradients

    def _update(self, gradients: Sequence[NDArray[Any]]) -> None:
        self.t += 1
        correction = math.sqrt(1.0 - self.beta_2**self.t) / (1.0 - self.beta_1**self.t)
        rate = self.learning_rate * correction
        for w, m, v, g in zip(self.arrays, self.m, self.v, gradients, strict=True):
            w *= 1.0 - self.learning_rate * self.weight_decay
            m += (1.0 - self.beta_1) * (g - m)
            v += (1.0 - self.beta_2) * (g * g - v)
            w -= rate * m / (np.sqrt(v) + self.epsilon)


def _available_memory() -> int:
    """Bytes that the system can give without swapping, as far as it says."""
    try:
        with open("/proc/meminfo") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 2**63 - 1
