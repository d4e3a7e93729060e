import io
import sys

import numpy as np
import pytest

from pyembed import cli, vectors

WORDS = ["king", "queen", "man", "woman", "banana", "東京"]
ROWS = [[1, 1, 0], [1, -1, 0], [0, 1, 0.2], [0, -1, 0.2], [0, 0.1, 1], [0.5, 0, -1]]


@pytest.fixture
def wv():
    return vectors.WordVectors(WORDS, np.array(ROWS, np.float32))


@pytest.fixture
def file(wv, tmp_path):
    """A file of word vectors, as an argument."""
    path = tmp_path / "some.txt"
    vectors.save(wv, path)
    return str(path)


@pytest.fixture
def pyembed(capfd, monkeypatch):
    """Run a command line here; return its exit status, its output and its errors."""

    def run(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capfd.readouterr()
        try:
            status = cli.main([str(argument) for argument in arguments])
        except SystemExit as end:  # a command line that makes no sense, and help
            status = end.code
        out, err = capfd.readouterr()
        return status, out, err

    return run
