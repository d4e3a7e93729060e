"""The same under MPI, where mpi4py and its launcher are installed; and how a job ends."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sharded_cases import CASES

FOLDER = Path(__file__).parent
LAUNCHER = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec")

pytest.importorskip("mpi4py")
pytestmark = pytest.mark.skipif(LAUNCHER is None, reason="there is no mpiexec")


def run(size, *arguments, timeout=120):
    """Return how a job of so many ranks ended."""
    command = [LAUNCHER, "-n", str(size), sys.executable, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, check=False, cwd=FOLDER
    )


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_the_bits_of_one_process(size):
    job = run(size, "-W", "error", FOLDER / "mpi_cases.py")
    assert job.returncode == 0, job.stderr
    assert job.stdout.split() == list(CASES)


BEGIN = """
import sys, threading
from mpi4py import MPI
import pyembed as pe

def before(*raised):
    print("the hook before:", raised[0].__name__, flush=True)
sys.excepthook = before
emb = pe.Embedding(10, 2, comm=MPI.COMM_WORLD)
"""
FAIL_IN = {
    "the main thread": "emb.local[100]",
    "another thread": "threading.Thread(target=lambda: [][1]).start()",
}


@pytest.mark.parametrize("where", FAIL_IN)
def test_an_exception_on_one_rank_ends_the_job(where):
    code = f"{BEGIN}\nif emb._table.comm.rank == 1:\n    {FAIL_IN[where]}\nemb([1])\nemb([1])"
    begun = time.monotonic()
    job = run(2, "-c", code, timeout=60)
    assert job.returncode != 0
    assert time.monotonic() - begun < 30
    assert "IndexError" in job.stdout + job.stderr
    assert ("the hook before" in job.stdout) == (where == "the main thread")


def test_hooks_are_left_alone_in_a_job_of_one():
    code = f"{BEGIN}\nassert sys.excepthook is before"
    assert run(1, "-c", code).returncode == 0


FORK = """
import os, warnings
from mpi4py import MPI
import pyembed as pe

emb = pe.Embedding(10, 2, comm=MPI.COMM_WORLD)
if MPI.COMM_WORLD.rank == 0:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        child = os.fork()
    if child == 0:
        try:
            emb([1])
        except RuntimeError as error:
            os._exit(7 if "forked from rank 0" in str(error) else 1)
        os._exit(2)
    assert [warning.category for warning in caught] == [RuntimeWarning]
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
emb([1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_warns_and_the_child_is_told():
    job = run(2, "-c", FORK)
    assert job.returncode == 0, job.stderr


def test_a_job_may_end_with_a_lookup_begun():
    code = f"{BEGIN}\nemb.prefetch(range(10))\ndel emb"
    assert run(2, "-c", code).returncode == 0


def test_a_communicator_keeps_its_adapter():
    code = """
from mpi4py import MPI
import pyembed as pe
first, second = (pe.Embedding(4, 2, comm=MPI.COMM_WORLD)._table.comm for _ in range(2))
assert first is second
half = MPI.COMM_WORLD.Split(MPI.COMM_WORLD.rank % 2)
emb = pe.Embedding(4, 2, comm=half)
assert emb._table.comm is not first and emb._table.comm.size == half.size
assert emb([1]).shape == (1, 2)
for wrong in (MPI.COMM_NULL, 3, MPI.Intracomm):
    try:
        pe.Embedding(4, 2, comm=wrong)
    except TypeError as error:
        assert "comm=" in str(error)
    else:
        raise AssertionError
"""
    job = run(2, "-c", code)
    assert job.returncode == 0, job.stderr
