"""The optimizers that training is timed with: ours, beside each the peers that come nearest.

Where PyTorch has no sparse form of a rule, its dense one stands beside ours: it moves every row,
which is other work, and so does Keras's Adam, whose weights the job ``exact`` checks. Other work,
too, is FBGEMM's row-wise Adagrad beside Adam: cheaper, it is what recommender systems train with.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyembed as pe
import sides
from sides import EPSILON, Side

MOMENTUM = 0.9
RHO = 0.9
INITIAL = 0.1  # of Adagrad's accumulators


@dataclass(frozen=True)
class Contest:
    """The sides, and how many arrays of the table's size ours keeps as state.

    Weights are equal within ``atol``. Gradients of duplicates are summed exactly (data.py); what is
    left is the rounding of the optimizer's own arithmetic, a step of which moves a weight by about
    1e-3 where it divides by the size of the gradients.
    """

    state_arrays: int
    sides: sides.Sides
    atol: float = 1e-6


def _other(side: Side) -> Side:
    return replace(side, same=False)


CONTESTS = {
    "sgd": Contest(
        state_arrays=0,
        sides={
            "pyembed": sides.ours(pe.SparseSGD),
            "torch sparse SGD": sides.torch("SGD"),
            "FBGEMM SGD": sides.fbgemm_fused("EXACT_SGD"),
        },
        # Peers add each of a row's duplicates, thousands in a batch, to a weight that moves by 10.
        atol=3e-4,
    ),
    "momentum": Contest(
        state_arrays=1,
        sides={
            "pyembed": sides.ours(pe.SparseSGD, momentum=MOMENTUM),
            "torch dense momentum": _other(sides.torch_dense("SGD", momentum=MOMENTUM, fused=True)),
        },
    ),
    "adagrad": Contest(
        state_arrays=1,
        sides={
            "pyembed": sides.ours(
                pe.SparseAdagrad, initial_accumulator_value=INITIAL, epsilon=EPSILON
            ),
            "torch sparse Adagrad": sides.torch(
                "Adagrad", initial_accumulator_value=INITIAL, eps=EPSILON
            ),
        },
    ),
    "rowwise_adagrad": Contest(
        state_arrays=0,  # one number a row
        sides={
            "pyembed": sides.ROW_WISE_ADAGRAD,
            "FBGEMM row-wise Adagrad": sides.fbgemm_row_wise_adagrad(),
        },
    ),
    "rmsprop": Contest(
        state_arrays=1,
        sides={
            "pyembed": sides.ours(pe.SparseRMSprop, rho=RHO, epsilon=EPSILON),
            "torch dense RMSprop": _other(sides.torch_dense("RMSprop", alpha=RHO, eps=EPSILON)),
        },
    ),
    "adam": Contest(
        state_arrays=2,
        sides={
            "pyembed": sides.LAZY_ADAM,
            "torch SparseAdam": sides.TORCH_SPARSE_ADAM,
            "Keras Adam, tuned": _other(sides.KERAS_ADAM_TUNED),
            "FBGEMM row-wise Adagrad": _other(sides.fbgemm_row_wise_adagrad()),
        },
    ),
    # By itself: all that it makes of the table's size does not fit beside the others.
    "adam_keras": Contest(
        state_arrays=2,
        sides={"pyembed": sides.LAZY_ADAM, "Keras Adam": _other(sides.KERAS_ADAM)},
    ),
}
