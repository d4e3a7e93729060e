"""Indexes that are refused memory are as they were; a forked child has them too."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pyembed import _core
from refused_memory import preloaded

linux = pytest.mark.skipif(sys.platform != "linux", reason="no such library here")

# Some of an insertion's allocations are refused, one each time: in its first block of keys, and in
# its second. Working memory is asked for once more, so that not every refusal is an error.
REFUSED = """
import ctypes
import numpy as np
import pyembed as pe
from pyembed import _core

library = ctypes.PyDLL(None)
pe.set_num_threads(2)
kinds = {
    "integers": (_core.IntegerIndex, lambda keys: np.array(keys)),
    "strings": (_core.StringIndex, lambda keys: [f"key {key}" for key in keys]),
}
for make, keys_of in kinds.values():
    known, more = keys_of(range(3000)), keys_of(range(2000, 140_000))
    which, refusals, is_refused = 1, 0, True
    while is_refused:
        index = make()
        index.insert(known)
        library.refuse(which)
        try:
            rows = index.insert(more)
        except MemoryError:
            refusals += 1
            assert len(index) == 3000
            assert (index.find(known) == np.arange(3000)).all()
            assert (index.find(more)[1000:] == -1).all()
        finally:
            is_refused = library.left() <= 0
            library.refuse(0)
        rows = index.insert(more)  # after a refusal too
        assert (rows == np.arange(2000, 140_000)).all()
        which += 1 if which < 10 else 173
    assert refusals > 5, refusals
    assert len(index) == 140_000
"""


@linux
def test_an_insertion_that_is_refused_memory(tmp_path):
    environment = preloaded(tmp_path)
    if environment is None:
        pytest.skip("no compiler")
    done = subprocess.run(
        [sys.executable, "-c", REFUSED],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=Path(__file__).parent,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_goes_on_with_an_index():
    index = _core.StringIndex()
    words = [str(number) for number in range(50_000)]
    index.insert(words)
    child = os.fork()
    if child == 0:
        good = False
        try:
            rows = index.insert([*words[::-1], "more"])
            good = (rows == [*range(49_999, -1, -1), 50_000]).all()
        finally:
            os._exit(0 if good else 1)
    _, status = os.waitpid(child, 0)
    assert status == 0
    assert len(index) == 50_000
    assert (index.find(words) == np.arange(50_000)).all()
