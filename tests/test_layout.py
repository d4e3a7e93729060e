"""Includes and imports run one way: a room knows those before it, and none after it."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(not (ROOT / "csrc").exists(), reason="no checkout")

# Each room, and those that it may include.
CSRC = {
    "base": set(),
    "storage": {"base"},
    "element": {"base"},
    "keys": {"base"},
    "words": {"base", "keys"},
    "table": {"base", "storage", "element", "keys"},
    "exact_adam": {"base", "storage", "element", "keys", "table"},
    "lookup": {"base", "element", "keys", "table"},
    "nearest": {"base", "element"},
    "gradient": {"base", "element", "keys", "lookup"},
    "optimizers": {"base", "storage", "element", "table", "exact_adam", "gradient"},
    "simd": {
        *("base", "element", "keys", "words", "exact_adam", "lookup", "nearest", "gradient"),
        "optimizers",
    },
    "python": {
        *("base", "storage", "element", "keys", "words", "table", "lookup", "nearest"),
        *("gradient", "optimizers", "simd"),  # simd to choose the instruction set
    },
}
# Modules, and folders of them, in order: each may import those before it.
PYEMBED = (
    *(
        "_core",
        "_uninterrupted",
        "_mutex",
        "_arrays",
        "_texts",
        "_checks",
        "_registry",
        "config",
        "schedules",
    ),
    *("initializers", "regularizers", "constraints", "ops"),
    *("table", "lookup", "sharding", "baseline", "sparse_grad", "layers", "optimizers", "io"),
    *("vectors", "word2vec", "torch", "keras", "cli", "__main__"),
)


def files_of(folder, *suffixes):
    return sorted(path for path in folder.rglob("*") if path.suffix in suffixes)


@pytest.mark.parametrize("room", CSRC)
def test_a_room_of_the_core_includes_those_before_it(room):
    files = files_of(ROOT / "csrc" / room, ".h", ".cpp")
    assert files
    for path in files:
        included = set(re.findall(r'#include "(\w+)/', path.read_text(encoding="utf-8")))
        assert included - {room} <= CSRC[room], path


def test_every_room_of_the_core_is_known():
    assert {path.parent.name for path in files_of(ROOT / "csrc", ".h", ".cpp")} == set(CSRC)


def test_python_and_the_core_meet_in_one_room():
    for path in files_of(ROOT / "csrc", ".h", ".cpp"):
        text = path.read_text(encoding="utf-8")
        assert path.parent.name == "python" or not re.search(r"pybind11|Python\.h", text), path


def imported_rooms(path):
    """The modules of pyembed that a file imports, wherever it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("pyembed."))


@pytest.mark.parametrize("room", PYEMBED[1:])
def test_a_module_imports_those_before_it(room):
    folder = ROOT / "pyembed"
    files = files_of(folder / room, ".py") or [folder / f"{room}.py"]
    before = set(PYEMBED[: PYEMBED.index(room) + 1])
    for path in files:
        assert set(imported_rooms(path)) <= before, path


def test_every_module_is_known():
    folder = ROOT / "pyembed"
    there = {
        path.relative_to(folder).parts[0].removesuffix(".py") for path in files_of(folder, ".py")
    }
    assert there - {"__init__"} == set(PYEMBED) - {"_core"}
