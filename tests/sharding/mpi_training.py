"""Trains under MPI and saves after every step, as `test_mpi_checkpoints.py` runs it.

    python mpi_training.py FILE STEPS [RANK STEP]

Goes on from FILE where it is there. At the step, the rank kills itself, in the midst of its save.
"""

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mpi4py import MPI

import pyembed as pe
from pyembed.io import _safetensors
from sharded_jobs import make, train

COMM = MPI.COMM_WORLD


def main(path, steps, rank=None, step=None):
    objects = make("exact adam", COMM if COMM.size > 1 else None)
    if os.path.exists(path):
        pe.load(path, **objects)
    state = objects["opt"].state_dict()["tables"]
    for at in range(state[0]["t"], int(steps)):
        train(objects, [at], objects["emb"]._table.comm if COMM.size > 1 else None)
        if rank is not None and (COMM.rank, at) == (int(rank), int(step)):
            _safetensors._blocks = killing
        pe.save(path, **objects)
    if COMM.rank == 0:
        print("done")


def killing(*_):
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
