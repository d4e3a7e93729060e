"""What is shown on a terminal while a large file is read."""

import io

import pytest

from pyembed import vectors
from pyembed.vectors import _source, loading

ROWS = 30_000


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "_WINDOW", 1 << 16)
    monkeypatch.setattr(_source, "HEAD", 1 << 12)
    path = tmp_path / "long.txt"
    path.write_text("".join(f"w{row} 1.5 2.5 3.5 4.5\n" for row in range(ROWS)))
    return path


def test_a_share_is_shown_once_it_takes_long(path, monkeypatch):
    monkeypatch.setattr(_source, "_SECONDS", 0.0)
    monkeypatch.setattr(_source, "_REST", 0.0)
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    assert len(vectors.load(path)) == ROWS
    shown = terminal.getvalue()
    assert shown.startswith("\rlong.txt: ")
    assert "% read" in shown
    assert shown.endswith("\r\x1b[K")  # the line is cleared


def test_nothing_is_shown_elsewhere_or_at_once(path, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    vectors.load(path)
    assert terminal.getvalue() == ""
    monkeypatch.setattr(_source, "_SECONDS", 0.0)
    file = io.StringIO()
    monkeypatch.setattr("sys.stderr", file)
    vectors.load(path)
    assert file.getvalue() == ""


def test_lines_longer_than_what_is_read_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "_WINDOW", 1 << 16)
    path = tmp_path / "long.txt"
    path.write_text("a 1 2\n" + "b" * (1 << 17) + " 1 2\n")
    with pytest.raises(ValueError, match=r"long\.txt: row 2 is longer than 65536 bytes"):
        vectors.load(path)
    path.write_text("a 1 2\n" + "b" * 60_000 + " 1 2\n")
    assert len(vectors.load(path)["b" * 60_000]) == 2
