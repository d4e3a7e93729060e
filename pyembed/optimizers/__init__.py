"""Optimizers that update only the rows that a gradient touches, in one fused pass."""

from pyembed.optimizers.adam import SparseAdam
from pyembed.optimizers.sgd import SparseSGD

__all__ = ["SparseAdam", "SparseSGD"]
