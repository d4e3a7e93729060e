"""Damaged checkpoints of chance, for a second or two; `files.py` goes on for longer."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("arguments", [["--minutes", "0.03"], ["--case", "5"]])
def test_each_loads_or_is_refused(arguments):
    script = Path(__file__).with_name("files.py")
    done = subprocess.run(
        [sys.executable, str(script), "--seed", "7", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "files: each loads or is refused" in done.stdout
