"""Many tables in training, as a recommender has them: one step, one call for all.

Forward + backward + row-wise Adagrad of ids of their own for each table, which are not pooled.
Beside FBGEMM, which has all tables in one module; and beside ourselves with an optimizer for each
table, to show what one call for all is worth.
"""

from __future__ import annotations

import training
from grid import Axes
from jobs import Table
from options import Options
from peers.ours import PyembedTables
from sides import fbgemm_row_wise_adagrad, row_wise_adagrad
from training import Contest

TABLES = 20
FULL = Axes(dims=(32,), ids=(4096,), rows=(100_000,))
SMOKE = Axes(dims=(4,), ids=(30,), rows=(97,))
CONTEST = Contest(
    {
        "pyembed": row_wise_adagrad(PyembedTables, tables=TABLES, together=True),
        "pyembed, a call for each": row_wise_adagrad(PyembedTables, tables=TABLES, together=False),
        "FBGEMM row-wise Adagrad": fbgemm_row_wise_adagrad(tables=TABLES),
    },
    state_arrays=0,  # one number a row
    tables=(TABLES,),
)


def tables(options: Options) -> list[Table]:
    what = f"{TABLES} tables, forward + backward + row-wise Adagrad"
    return [training.table(what, CONTEST, options, FULL, SMOKE, tables=TABLES)]
