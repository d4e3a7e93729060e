import re
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page):
    """(line, section, source) of each block of Python on a page."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        section = text.rfind("\n## ", 0, found.start())
        yield text.count("\n", 0, found.start(1)), section, found[1]


LIBRARIES = ("torch", "tokenizers")  # that blocks may import
# Pages of which the first block needs a package of its own, and the others go on from there.
NEEDED = {"many-machines.md": "mpi4py"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_on_a_page_runs(page, tmp_path, monkeypatch):
    if page.name in NEEDED:
        pytest.importorskip(NEEDED[page.name], exc_type=ImportError)
    monkeypatch.chdir(tmp_path)
    names = {}
    left_out = None  # a section of which a block does not run here: the next go on from that
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    for line, section, source in blocks(page):
        if section == left_out or any(name in source for name in missing):
            left_out = section  # they run where these are, as in tests/conformance
            continue
        if "pyembed.keras" in source:
            continue  # tests/keras_layers runs these, on each backend
        # Errors name the page's own line.
        exec(compile("\n" * line + source, page, "exec"), names)


def test_there_are_blocks_to_run():
    found = {page.name: len(list(blocks(page))) for page in PAGES}
    assert found["README.md"] >= 2
    assert found["coming-from-keras-and-pytorch.md"] >= 4
    assert found["words.md"] >= 6
    assert found["word2vec.md"] >= 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_repository_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


FOLDERS = ("csrc", "pyembed", "tests", "benchmarks", "docs", "examples", r"\.ci")


def paths_named(page):
    """What stands in backquotes and is a path of this repository; with `*` it is a pattern."""
    text = page.read_text(encoding="utf-8")
    named = re.findall(rf"`((?:{'|'.join(FOLDERS)})/[^`\s]*)`", text)
    return [path for path in named if "NAME" not in path and "…" not in path]


@pytest.mark.skipif(not (ROOT / ".ci").exists(), reason="no checkout")
def test_paths_that_contributing_names_exist():
    named = paths_named(ROOT / "CONTRIBUTING.md")
    assert "tests/reference.py" in named
    assert [path for path in named if not list(ROOT.glob(path.rstrip("/")))] == []
