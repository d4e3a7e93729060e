import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pyembed as pe

ROOT = Path(__file__).parent.parent

WITHOUT = """
import sys

sys.modules["{name}"] = None  # as if it were not installed
import pyembed
try:
    import pyembed.{name}
except ImportError as error:
    print(error)
"""


def test_public_names():
    for name in pe.__all__:
        assert hasattr(pe, name)
    assert pe.__version__.count(".") == 2


def test_show_config(capsys):
    config = pe.show_config("dicts")
    assert config["threads"] == pe.get_num_threads()
    assert config["isa"] in config["isa_available"]
    assert pe.show_config() is None
    printed = capsys.readouterr().out
    assert pe.__version__ in printed
    assert config["isa"] in printed
    assert ("serial build" in printed) == (not config["openmp"])
    with pytest.raises(ValueError, match="mode='html'"):
        pe.show_config("html")


def test_num_threads():
    before = pe.get_num_threads()
    if not pe.show_config("dicts")["openmp"]:
        pe.set_num_threads(3)
        assert pe.get_num_threads() == 1
        return
    pe.set_num_threads(3)
    assert pe.get_num_threads() == 3
    for n in (0, -1, 5000, 2**70, 2.0, True, None):
        with pytest.raises(ValueError, match=f"n={n} must be an integer from 1 to 4096"):
            pe.set_num_threads(n)
    assert pe.get_num_threads() == 3
    pe.set_num_threads(before)


def test_release_memory_between_steps(rng):
    emb = pe.Embedding(1000, 64, seed=0)
    opt = pe.SparseSGD(emb)
    ids = rng.integers(0, 1000, 100_000)
    grad = rng.standard_normal((100_000, 64)).astype("float32")
    opt.step(emb.backward(ids, grad))
    pe.release_memory()
    opt.step(emb.backward(ids, grad))
    pe.release_memory()
    pe.release_memory()


def test_a_bare_checkout_says_what_to_do(tmp_path):
    source = tmp_path / "pyembed"
    shutil.copytree(ROOT / "pyembed", source, ignore=shutil.ignore_patterns("*.so", "*.pyd"))
    done = subprocess.run(
        [sys.executable, "-c", "import pyembed"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "ImportError: this pyembed is a source folder without its compiled core" in done.stderr
    assert "pip install ." in done.stderr


def test_the_memory_of_a_dead_result_is_used_again_and_that_of_a_live_one_is_not():
    emb = pe.Embedding(1000, 64, seed=0)
    ids = list(range(1000))
    pe.release_memory()
    first = emb(ids)
    address = first.ctypes.data
    second = emb(ids)
    assert second.ctypes.data != address
    np.testing.assert_array_equal(first, second)
    view = first[3:4]
    del first
    assert emb(ids).ctypes.data != address  # a view keeps it
    del view
    assert emb(ids).ctypes.data == address
    pe.release_memory()


@pytest.mark.parametrize(
    ("name", "needs"),
    [("torch", "PyTorch: pip install torch"), ("keras", "Keras 3: pip install 'keras>=3.10'")],
)
def test_without_a_framework_its_part_says_what_it_needs(tmp_path, name, needs):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(name=name)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == f"pyembed.{name} needs {needs}", done.stderr
