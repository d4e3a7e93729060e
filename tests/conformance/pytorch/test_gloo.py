"""Tables that processes share over a group of torch's."""

import subprocess
import sys
from pathlib import Path

import pytest

from conformance.pytorch.peer import torch
from sharded_cases import CASES

SCRIPT = Path(__file__).with_name("gloo_cases.py")
pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="torch has no processes"
)


@pytest.mark.parametrize("size", [2, 3])
def test_the_bits_of_one_process(tmp_path, size):
    jobs = [
        subprocess.Popen(
            [sys.executable, SCRIPT, tmp_path / "store", str(rank), str(size)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    try:
        told = [job.communicate(timeout=120) for job in jobs]
    finally:
        for job in jobs:
            job.kill()
    assert [job.returncode for job in jobs] == [0] * size, told
    assert told[0][0].split() == [*CASES, "modules", "groups"]
