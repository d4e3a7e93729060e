import subprocess
import sys
from pathlib import Path

import pytest

import reference
from differential import run


def test_random_histories_agree_with_the_reference():
    for number in range(150):
        run.run_case(0, number)


def test_a_difference_is_told_with_its_seed_case_and_history(monkeypatch, capsys):
    monkeypatch.setattr(reference, "CHUNK", 2)
    assert run.main(["--seed", "0", "--cases", "150"]) == 1
    told = capsys.readouterr().err
    assert "but expected" in told
    assert "  table 0: " in told
    again = told[told.index("python tests/differential") :].split()[2:]
    assert again[:2] == ["--seed", "0"]
    assert run.main(again) == 1
    monkeypatch.undo()
    assert run.main(again) == 0


@pytest.mark.parametrize("arguments", [["--cases", "2"], ["--minutes", "0.001"], ["--case", "5"]])
def test_the_script(arguments):
    script = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, str(script), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "cases agree" in done.stdout
