"""A PyTorch model's training step before and after its imports are changed to ``pyembed.torch``.

Once the optimizer's step alone, once with forward and backward pass, where PyTorch's own are a cost
that no optimizer can lower, but a module in their place can.
"""

from __future__ import annotations

import sides
import training
from jobs import Table
from options import Options
from training import Contest

TORCH = "torch SparseAdam"
CONTESTS = {
    "optimizer's step": Contest(
        {
            "pyembed.torch optimizer": sides.OUR_ADAM_IN_TORCH_ALONE,
            TORCH: sides.TORCH_SPARSE_ADAM_ALONE,
        },
        state_arrays=2,
    ),
    "all": Contest(
        {
            "pyembed.torch module": sides.OUR_MODULE_IN_TORCH,
            "pyembed.torch module, fused": sides.OUR_FUSED_MODULE_IN_TORCH,
            "pyembed.torch optimizer": sides.OUR_ADAM_IN_TORCH,
            TORCH: sides.TORCH_SPARSE_ADAM,
        },
        state_arrays=2,
    ),
}


def tables(options: Options) -> list[Table]:
    return [
        training.table(f"SparseAdam in PyTorch, {what}", contest, options, timed=what)
        for what, contest in CONTESTS.items()
    ]
