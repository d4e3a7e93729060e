"""Optimizers that update only the rows that a gradient touches, in one fused pass."""

from pyembed.optimizers.adagrad import SparseAdagrad, SparseRowWiseAdagrad
from pyembed.optimizers.adam import SparseAdam
from pyembed.optimizers.ftrl import SparseFTRL
from pyembed.optimizers.lion import SparseLion
from pyembed.optimizers.rms_prop import SparseRMSprop
from pyembed.optimizers.sgd import SparseSGD

__all__ = [
    "SparseAdagrad",
    "SparseAdam",
    "SparseFTRL",
    "SparseLion",
    "SparseRMSprop",
    "SparseRowWiseAdagrad",
    "SparseSGD",
]
