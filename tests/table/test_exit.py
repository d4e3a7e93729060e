"""Interpreters that end while threads are in calls, and those that are not the first."""

import subprocess
import sys
from pathlib import Path

import pytest

DAEMONS = """
import threading, time
import numpy as np
import pyembed as pe

emb = pe.Embedding(2000, 16, seed=0)
bag = pe.EmbeddingBag.sharing(emb)
opt = pe.SparseAdam(emb)
ids = np.arange(2000)

def look_up():
    while True:
        emb(ids)
        bag(ids.reshape(-1, 2))

def step():
    while True:
        opt.step(emb.backward(ids, emb(ids)))

for loop in (look_up, look_up, step, step):
    threading.Thread(target=loop, daemon=True).start()
time.sleep(0.01)
"""

SUBINTERPRETER = """
import importlib

for name in ("_interpreters", "_xxsubinterpreters"):
    try:
        interpreters = importlib.import_module(name)
        break
    except ImportError:
        pass
else:
    raise SystemExit("no interpreters")
told = interpreters.run_string(interpreters.create(), '''
try:
    import pyembed
except ImportError as error:
    print(error, flush=True)
''')
assert told is None, told
"""


def python(code):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(__file__).parent,
    )


def test_daemon_threads_in_calls():
    for _ in range(12):
        done = python(DAEMONS)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_subinterpreter_is_refused():
    done = python(SUBINTERPRETER)
    if "no interpreters" in done.stderr:
        pytest.skip("this Python has none")
    assert done.returncode == 0, done.stderr
    assert "the main interpreter of a process alone, not in subinterpreters" in done.stdout
