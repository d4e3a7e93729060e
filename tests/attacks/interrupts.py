"""Interrupted calls: each is whole or was never made, and leaves no lock behind.

    python tests/attacks/interrupts.py --minutes 5 --seed 1

One or two alarms raise KeyboardInterrupt at times of chance, within calls that step, load, save,
grow, freeze, release and copy small tables. What the call left is either what was there before, or
what the same call makes of a twin that nothing interrupts. Then another thread steps all tables. A
fault is a third state, an error that is no KeyboardInterrupt, or a thread that hangs. It is told
with its case, which ``--case`` runs again: at other times, as clocks go.
"""

import sys
import time
from pathlib import Path

from world import in_other_thread, main, twins

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from alarms import Alarm


def attack(seed, case, folder):
    rng, name, twin, world = twins(seed, case, folder)
    before = world.digest()
    call = twin.call(name)
    began = time.perf_counter()
    call()
    took = time.perf_counter() - began
    after = twin.digest()
    call = world.call(name)
    times = 1 if name == "release" or rng.random() < 0.7 else 2  # release bears one alone
    delay = 1e-6 + rng.random() * 1.5 * took
    was_interrupted = Alarm().rings_in(call, delay, times)
    found = world.digest()
    assert found in (before, after), f"an interrupted {name} is half done"
    assert was_interrupted or found == after, f"{name} did nothing"
    in_other_thread(world.use)
    how = "through" if not was_interrupted else "done" if found == after else "not begun"
    return [f"{name}: {how}"]


if __name__ == "__main__":
    sys.exit(main(__doc__.split("\n")[0], attack, "calls: each is whole or was never made"))
