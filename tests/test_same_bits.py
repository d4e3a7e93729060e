"""The same bits with every instruction set that this machine has, at any number of threads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pyembed as pe

SETS = pe.show_config("dicts")["isa_available"]
SCRIPT = Path(__file__).with_name("digest.py")


def run(script, **environment):
    return subprocess.run(
        [sys.executable, *script],
        env={**os.environ, **environment},
        cwd=SCRIPT.parent,
        capture_output=True,
        text=True,
        check=False,
    )


def digest(isa, threads):
    done = run([str(SCRIPT)], PYEMBED_ISA=isa, OMP_NUM_THREADS=str(threads))
    assert done.returncode == 0, done.stderr
    used_isa, used_threads, value = done.stdout.split()
    assert used_isa == isa
    assert int(used_threads) == (threads if pe.show_config("dicts")["openmp"] else 1)
    return value


@pytest.fixture(scope="module")
def expected():
    return digest("baseline", 1)


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("isa", SETS)
def test_same_bits(isa, threads, expected):
    assert digest(isa, threads) == expected


def test_the_fastest_set_is_the_default():
    done = run(
        ["-c", "import pyembed as pe; print(pe.show_config('dicts')['isa'])"], PYEMBED_ISA=""
    )
    assert done.stdout.strip() == SETS[-1], done.stderr


def test_an_unknown_set_is_a_clear_error():
    done = run(["-c", "import pyembed"], PYEMBED_ISA="sse9")
    assert done.returncode != 0
    assert "ImportError: PYEMBED_ISA='sse9' is not an instruction set of this" in done.stderr
    assert ", ".join(SETS) in done.stderr
