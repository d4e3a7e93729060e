"""Damaged files of chance, for a second or two; the scripts go on for longer."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("arguments", [["--minutes", "0.03"], ["--case", "5"]])
@pytest.mark.parametrize("name", ["files.py", "sharded_files.py", "word_files.py"])
def test_each_loads_or_is_refused(name, arguments):
    script = Path(__file__).with_name(name)
    done = subprocess.run(
        [sys.executable, str(script), "--seed", "7", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "files: each loads or is refused" in done.stdout
