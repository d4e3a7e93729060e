"""The rest that a contestant takes before the next one's turn."""

from __future__ import annotations

import time

SECONDS, POLLS = 0.005, 200


def rest() -> None:
    """Wait until this process uses no processor time, or until that looks hopeless."""
    for _ in range(POLLS):
        used = time.process_time()
        time.sleep(SECONDS)
        if time.process_time() - used < SECONDS / 10:
            return
