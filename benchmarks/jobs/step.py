"""Forward + backward + optimizer step: what training on a table costs, with every optimizer.

Beside ours stand the peers that come nearest. Where PyTorch has no sparse form of a rule, it is its
dense one: it moves every row, which is other work, and so does Keras's Adam, whose weights the job
``exact`` checks. Other work, too, is FBGEMM's row-wise Adagrad beside Adam: cheaper, it is what
recommender systems train with.
"""

from __future__ import annotations

import pyembed as pe
import sides
import training
from jobs import Table
from options import Options
from sides import EPSILON, other_work
from training import Contest

MOMENTUM = 0.9
RHO = 0.9
INITIAL = 0.1  # of Adagrad's accumulators

CONTESTS = {
    "sgd": Contest(
        {
            "pyembed": sides.ours(pe.SparseSGD),
            "torch sparse SGD": sides.torch("SGD"),
            "FBGEMM SGD": sides.fbgemm_fused("EXACT_SGD"),
        },
        state_arrays=0,
        # Peers add each of a row's duplicates, thousands in a batch, to a weight that moves by 10.
        atol=3e-4,
    ),
    "momentum": Contest(
        {
            "pyembed": sides.ours(pe.SparseSGD, momentum=MOMENTUM),
            "torch dense momentum": other_work(
                sides.torch("SGD", sparse=False, momentum=MOMENTUM, fused=True)
            ),
        },
        state_arrays=1,
    ),
    "adagrad": Contest(
        {
            "pyembed": sides.ours(
                pe.SparseAdagrad, initial_accumulator_value=INITIAL, epsilon=EPSILON
            ),
            "torch sparse Adagrad": sides.torch(
                "Adagrad", initial_accumulator_value=INITIAL, eps=EPSILON
            ),
        },
        state_arrays=1,
    ),
    "rowwise_adagrad": Contest(
        {
            "pyembed": sides.row_wise_adagrad(),
            "FBGEMM row-wise Adagrad": sides.fbgemm_row_wise_adagrad(),
        },
        state_arrays=0,  # one number a row
    ),
    "rmsprop": Contest(
        {
            "pyembed": sides.ours(pe.SparseRMSprop, rho=RHO, epsilon=EPSILON),
            "torch dense RMSprop": other_work(
                sides.torch("RMSprop", sparse=False, alpha=RHO, eps=EPSILON)
            ),
        },
        state_arrays=1,
    ),
    "adam": Contest(
        {
            "pyembed": sides.LAZY_ADAM,
            "torch SparseAdam": sides.TORCH_SPARSE_ADAM,
            "Keras Adam, tuned": other_work(sides.KERAS_ADAM_TUNED),
            "FBGEMM row-wise Adagrad": other_work(sides.fbgemm_row_wise_adagrad()),
        },
        state_arrays=2,
    ),
    # By itself: all that it makes of the table's size does not fit beside the others.
    "adam_keras": Contest(
        {"pyembed": sides.LAZY_ADAM, "Keras Adam": other_work(sides.KERAS_ADAM)}, state_arrays=2
    ),
}


def tables(options: Options) -> list[Table]:
    """One for each optimizer asked for, since each has its own peers."""
    return [
        training.table(f"forward + backward + {name}", CONTESTS[name], options, optimizer=name)
        for name in options.optimizers
    ]
