"""An initializer whose rows or columns are orthogonal."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pyembed import _checks, _core
from pyembed.initializers.random import Random


class Orthogonal(Random):
    """A matrix whose columns have length `gain` and are orthogonal; its rows, where it is wide.

    The first factor of the QR decomposition of a normal matrix, with the signs that make it
    uniformly distributed: Saxe, McClelland & Ganguli, "Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks" (2014). The whole table is decomposed at once, in
    float64, by the linear algebra library behind NumPy: that takes some five times the memory of a
    float64 table, and the last bits depend on that library.

    Parameters
    ----------
    gain : float
    seed : int, optional
        From 0 to 2**64 - 1; drawn at random where None.
    """

    _arguments = ("gain", "seed")
    in_parts: ClassVar[bool] = False
    _is_of_matrices: ClassVar[bool] = True

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = _checks.real(gain, "gain")

    def _fill(self, rows: NDArray[Any], numbers: range, total_rows: int) -> None:
        tall = _core.zeros((max(rows.shape), min(rows.shape)), "float64")
        _core.fill_normal(tall, self.seed, 0, 1, 0.0, 1.0)
        q, r = np.linalg.qr(tall)
        q *= np.where(np.diag(r) < 0.0, -self.gain, self.gain)
        rows[...] = q if q.shape == rows.shape else q.T
