"""A job of MPI: all cases in one start, on every rank."""

import sys
from pathlib import Path

from mpi4py import MPI

sys.path.insert(0, str(Path(__file__).parent.parent))

from sharded_cases import CASES

for name, case in CASES.items():
    case(MPI.COMM_WORLD)
    MPI.COMM_WORLD.Barrier()
    if MPI.COMM_WORLD.rank == 0:
        print(name, flush=True)
