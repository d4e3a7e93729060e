"""Memory that is kept, given back, or not to be had."""

import subprocess
import sys
from pathlib import Path

import pytest

from refused_memory import preloaded

HERE = Path(__file__).parent
linux = pytest.mark.skipif(sys.platform != "linux", reason="no such accounts of memory here")

KEPT = """
import resource, threading
from pathlib import Path
import numpy as np
import pyembed as pe

def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() >> 20

emb = pe.Embedding(1000, 64, seed=0)
ids = np.arange(400_000) % 1000  # a result of 98 MiB
barrier = threading.Barrier(8)
before = resident()

def look_up():
    result = emb(ids)
    barrier.wait()  # all results live at once
    del result

threads = [threading.Thread(target=look_up) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert resident() - before < 256 + 32, resident() - before
pe.release_memory()
assert resident() - before < 32, resident() - before
"""

HUGE = """
import pyembed as pe

try:
    pe.Embedding(10_000_000_000, 64)
except MemoryError as error:
    print(error)
zeros = pe.Embedding(10_000_000_000, 64, embeddings_initializer="zeros")
assert zeros([9_999_999_999]).tolist() == [[0.0] * 64]
"""

# Near steps 1024 and 2048 exact Adam takes more memory for its series. Whenever a step is refused
# some, all tables are as they were.
STEPS = """
import ctypes
import numpy as np
import pyembed as pe

library = ctypes.PyDLL(None)
pe.set_num_threads(1)
layers = [pe.Embedding(3, 2, "zeros") for _ in range(2)]
opt = pe.SparseAdam(layers, 0.01, update="exact")

def step():
    ones = np.ones((2, 2), np.float32)
    opt.step(*(layer.backward([0, 2], ones) for layer in layers))

def look():
    state = opt.state_dict()["tables"]
    rows = [layer.embeddings.tobytes() for layer in layers]
    return [table["t"] for table in state], rows

def refused_step(which):
    library.refuse(which)
    try:
        step()
        return False
    except MemoryError:
        return True
    finally:
        library.refuse(0)

refusals = 0
for t in range(2100):
    if t % 1024 not in (1021, 1022, 1023, 0, 1):
        step()
        continue
    which = 1
    while refused_step(which):
        which += 1
        refusals += 1
    assert [s.t for s in opt._states.values()] == [t + 1] * 2
steps, rows = look()
assert steps == [2100] * 2
assert rows[0] == rows[1]
assert refusals >= 4, refusals
"""


def python(code, **options):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=HERE,
        **options,
    )


@linux
def test_no_more_than_said_is_kept_after_many_threads():
    done = python(KEPT)
    assert done.returncode == 0, done.stderr


@linux
def test_a_table_that_no_memory_holds():
    done = python(HUGE)
    assert done.returncode == 0, done.stderr
    assert "shape (10000000000, 64) needs 2560000000000 bytes" in done.stdout


@linux
def test_a_step_of_exact_adam_that_is_refused_memory(tmp_path):
    environment = preloaded(tmp_path)
    if environment is None:
        pytest.skip("no compiler")
    done = python(STEPS, env=environment)
    assert done.returncode == 0, done.stderr
