"""What importing `pyembed.torch` does, and how many threads it uses."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.pytorch.peer import torch

PAGE = Path(__file__).parents[3] / "docs" / "coming-from-keras-and-pytorch.md"


def run(code, tmp_path):
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_pyembed_alone_imports_no_torch(tmp_path):
    out = run("import pyembed, sys; print('torch' in sys.modules)", tmp_path)
    assert out.split() == ["False"]


THREADS = """
import pyembed as pe
import pyembed.torch as pt
import torch

emb = pt.Embedding(1000, 64, sparse=True)
optimizer = pt.SparseAdam(emb.parameters())
ids = torch.randint(0, 1000, (200_000,))
for n in (3, 1, 2):
    torch.set_num_threads(n)
    emb(ids).sum().backward()
    optimizer.step()
    print(pe.get_num_threads(), torch.get_num_threads())
pe.set_num_threads(1)
torch.set_num_threads(2)
optimizer.step()
print(pe.get_num_threads(), torch.get_num_threads())
"""


def test_threads_are_as_many_as_torchs_unless_they_were_set(tmp_path):
    assert run(THREADS, tmp_path).split() == ["3", "3", "1", "1", "2", "2", "1", "2"]


def test_the_pages_python_that_needs_torch_runs():
    text = PAGE.read_text(encoding="utf-8")
    names = {}
    found = [
        block
        for block in re.findall(r"^```python\n(.*?)^```$", text, re.S | re.M)
        if "torch" in block
    ]
    assert len(found) >= 2
    for block in found:
        exec(compile(block, PAGE, "exec"), names)


def test_tensors_are_arrays_to_the_core():
    import numpy as np

    import pyembed as pe

    weight = torch.rand(4, 3)
    emb = pe.Embedding.from_pretrained(weight, trainable=True)
    ids, dy = torch.tensor([2, 0, 2]), torch.ones(3, 3)
    np.testing.assert_array_equal(emb(ids), weight[ids])
    opt = pe.SparseSGD(emb, learning_rate=1.0)
    before = weight.clone()
    opt.step(emb.backward(ids, dy))
    assert torch.equal(weight, before - torch.tensor([[1.0], [0.0], [2.0], [0.0]]))
    with pytest.raises(TypeError, match=r"grad_output cannot be read as an array: .*requires grad"):
        emb.backward(ids, dy.requires_grad_())
    with pytest.raises(TypeError, match=r"matrix cannot share its memory: .*require"):
        pe.Embedding.from_pretrained(weight.requires_grad_())
    with pytest.raises(TypeError, match="ids cannot be read as an array"):
        emb(torch.empty(3, dtype=torch.long, device="meta"))
