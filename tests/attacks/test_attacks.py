"""Each attack for a second or two; the scripts go on for longer."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ATTACKS = [
    pytest.param(
        "interrupts.py",
        "each is whole or was never made",
        marks=pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here"),
    ),
    ("threads.py", "none sees half of a call"),
    pytest.param(
        "allocations.py",
        "each is whole or not made",
        marks=pytest.mark.skipif(sys.platform != "linux", reason="nothing is preloaded here"),
    ),
]


@pytest.mark.parametrize(("script", "summary"), ATTACKS)
def test_no_fault_is_found(script, summary):
    path = Path(__file__).with_name(script)
    done = subprocess.run(
        [sys.executable, str(path), "--seed", "7", "--minutes", "0.03"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert summary in done.stdout or "nothing was attacked" in done.stdout
