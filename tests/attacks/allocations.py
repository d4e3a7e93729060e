"""Calls that are refused memory: each is whole or was never made.

    python tests/attacks/allocations.py --minutes 5 --seed 1

A library, compiled here and preloaded, refuses one of the allocations that the compiled core makes
(operator new, aligned_alloc, mmap), the first one or any other, in calls that step, load, save,
grow, freeze, release and copy small tables. What the call left is either what was there before, or
what the same call makes of a twin that is refused nothing. A fault is a third state, an error that
is no MemoryError, a thread that hangs, or the end of the process. It is told with its case, which
``--case`` runs alone.
"""

import ctypes
import os
import subprocess
import sys
import tempfile

from world import in_other_thread, main, twins

import pyembed as pe
from refused_memory import preloaded

MOST = 10**9  # allocations that no call makes


def refusing(library, which, call):
    """Call, with that allocation refused; return what came of it, and how many were made."""
    result = "done"
    library.refuse(which)
    try:
        call()
    except MemoryError:
        result = "MemoryError"
    finally:
        made = which - library.left()
        library.refuse(0)
    return result, made


def attack(seed, case, folder):
    library = ctypes.PyDLL(None)  # the preloaded one; with the GIL, as there is nothing to wait for
    pe.set_num_threads(1)  # an OpenMP that cannot start a thread ends the process
    rng, name, twin, world = twins(seed, case, folder)
    before = world.digest()
    pe.release_memory()  # blocks that are kept would be had without an allocation
    _, made = refusing(library, MOST, twin.call(name))
    after = twin.digest()
    call = world.call(name)
    pe.release_memory()
    result, _ = refusing(library, int(rng.integers(1, made + 2)), call)
    found = world.digest()
    assert found in (before, after), f"{name} without memory is half done"
    assert result != "done" or found == after, f"{name} did nothing"
    in_other_thread(world.use)
    return [f"{name}: {result}"]


def run(argv):
    if hasattr(ctypes.PyDLL(None), "refuse"):
        return main(
            __doc__.split("\n")[0], attack, "calls without memory: each is whole or not made", argv
        )
    with tempfile.TemporaryDirectory() as folder:
        environment = preloaded(folder)
        if environment is None:
            print("there is no compiler whose libraries can be preloaded: nothing was attacked")
            return 0
        command = [sys.executable, os.path.abspath(__file__), *argv]
        return min(1, abs(subprocess.run(command, env=environment, check=False).returncode))


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
