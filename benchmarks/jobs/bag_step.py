"""Forward + backward + row-wise Adagrad of bags, beside FBGEMM, which fuses the last two as we do.

Bags of 1 are lookups that are not pooled; bags of 32 are what recommender systems train.
"""

from __future__ import annotations

import training
from jobs import Table
from options import Options
from sides import fbgemm_row_wise_adagrad, row_wise_adagrad
from training import Contest

BAGS = (1, 32)


def tables(options: Options) -> list[Table]:
    return [
        training.table(
            f"forward + backward + row-wise Adagrad, bags of {bag}",
            Contest(
                {
                    "pyembed": row_wise_adagrad(bag=bag),
                    "FBGEMM row-wise Adagrad": fbgemm_row_wise_adagrad(bag=bag),
                },
                state_arrays=0,  # one number a row
            ),
            options,
            bag=bag,
        )
        for bag in BAGS
    ]
