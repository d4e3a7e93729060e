"""Ctrl-C ends a long loop of calls soon, and leaves the table usable."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

LOOP = """
import signal
import numpy as np
import pyembed as pe

signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored where tests run
emb = pe.Embedding(200_000, 64, seed=0)
opt = pe.SparseAdam(emb)
ids = np.random.default_rng(0).integers(0, 200_000, 100_000)
try:
    print("ready", flush=True)
    while True:
        opt.step(emb.backward(ids, emb(ids)))
except KeyboardInterrupt:
    before = emb(ids[:9])
    opt.step(emb.backward(ids[:9], np.ones_like(before)))
    assert (emb(ids[:9]) != before).all()
    print("usable", flush=True)
    raise
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to one process on this system")
def test_a_loop_of_lookups_and_steps():
    child = subprocess.Popen(
        [sys.executable, "-c", LOOP],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent,
    )
    with child:
        try:
            assert child.stdout.readline() == "ready\n", child.stderr.read()
            time.sleep(0.2)  # into the loop
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=10)
        finally:
            child.kill()
    assert out == "usable\n"
    assert err.splitlines()[-1] == "KeyboardInterrupt"
    assert child.returncode == -signal.SIGINT
