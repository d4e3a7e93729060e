"""Checkpoints of processes under MPI; and what is left where one of them is killed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pyembed as pe
from sharded_jobs import check_same, make, train

LAUNCHER = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec")
SCRIPT = Path(__file__).with_name("mpi_training.py")

pytest.importorskip("mpi4py", exc_type=ImportError)
pytestmark = pytest.mark.skipif(LAUNCHER is None, reason="there is no mpiexec")


def run(size, *arguments):
    """Return how a job of so many ranks ended."""
    command = [LAUNCHER, "-n", str(size), sys.executable, SCRIPT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def expected(*sizes):
    """Train as ranks do, for two steps with each number of them."""
    objects = make("exact adam")
    for step in range(2 * len(sizes)):
        train(objects, [step], ranks=sizes[step // 2])
        objects["opt"].flush()  # as each save does
    return objects


def check(path, *sizes):
    found = make("exact adam")
    pe.load(path, **found)
    check_same(found, expected(*sizes))


def test_any_number_of_processes_goes_on(tmp_path):
    path = tmp_path / "checkpoint"
    for at, size in enumerate((2, 3, 1), 1):
        job = run(size, path, 2 * at)
        assert job.returncode == 0, job.stderr
        assert job.stdout == "done\n"
    check(path, 2, 3, 1)
    assert os.listdir(tmp_path) == ["checkpoint"]


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_is_killed_while_it_saves_ends_the_job_and_leaves_the_last_checkpoint(
    tmp_path, rank
):
    path = tmp_path / "checkpoint"
    assert run(2, path, 9, rank, 2).returncode != 0
    check(path, 2)
    assert len(os.listdir(tmp_path)) > 3  # what the killed save left
    assert run(3, path, 4).returncode == 0
    check(path, 2, 3)
    assert len(os.listdir(tmp_path)) == 4
