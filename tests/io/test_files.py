"""What is in a file, and who else reads it."""

import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import pyembed as pe
from checkpoint_jobs import trained
from kinds import OPTIMIZERS
from pyembed.io import _safetensors
from strategies import floats

ROWS = np.arange(12.0).reshape(4, 3)


def test_other_programs_read_the_tables(path, dtype):
    emb = pe.Embedding(4, 3, weights=ROWS, dtype=dtype)
    opt = pe.SparseAdam(emb)
    opt.step(emb.backward([1], np.ones((1, 3), dtype)))
    pe.save(path, emb=emb, opt=opt)
    arrays = load_file(path)
    assert set(arrays) == {"emb.embeddings", "emb.frozen_rows", "opt.0.m", "opt.0.v"}
    np.testing.assert_array_equal(arrays["emb.embeddings"], emb.embeddings, strict=True)
    (state,) = opt.state_dict()["tables"]
    np.testing.assert_array_equal(arrays["opt.0.m"], state["m"], strict=True)
    np.testing.assert_array_equal(arrays["opt.0.v"], state["v"], strict=True)
    with safe_open(path, "np") as file:
        about = json.loads(file.metadata()["pyembed"])
    assert about["version"] == 1
    assert about["tables"] == {"emb": {"row_offset": 0}}
    assert about["layers"]["emb"]["config"]["output_dim"] == 3
    assert about["optimizers"]["opt"]["config"]["class_name"] == "SparseAdam"
    assert about["optimizers"]["opt"]["layers"] == ["emb"]
    assert about["optimizers"]["opt"]["steps"] == [1]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_library_reads_all_optimizers(path, name):
    objects = trained(name)
    pe.save(path, **objects)
    arrays = load_file(path)
    for number, table in enumerate(objects["opt"].state_dict()["tables"]):
        for key in table.keys() - {"t"}:
            np.testing.assert_array_equal(arrays[f"opt.{number}.{key}"], table[key], strict=True)
    assert arrays["emb.frozen_rows"].tolist() == [5, 7]
    assert "bag.embeddings" not in arrays


def test_any_layout_is_written_and_read(path, rng, monkeypatch):
    monkeypatch.setattr(_safetensors, "_BLOCK", 100)
    arrays = {
        "odd": floats(rng, (3, 1), "f4"),
        "gap": floats(rng, (50, 9), "f4")[:, 2:7],
        "between": floats(rng, (50, 2, 7), "f8")[:, 1],
        "strided": np.arange(300)[::3],
        "reversed": floats(rng, (7, 5), "f8")[::-1],
        "wide": floats(rng, (2, 500), "f8"),
        "no columns": np.zeros((5, 0), "f4"),
        "no rows": np.zeros(0, np.int64),
    }
    with open(path, "wb") as file:
        _safetensors.write(file, arrays, {"a": "b"})
    read = load_file(path)
    with open(path, "rb", buffering=0) as file:
        reader = _safetensors.Reader(file)
        assert reader.metadata == {"a": "b"}
        for name, array in arrays.items():
            np.testing.assert_array_equal(read[name], array, strict=True)
            mapped = reader.mapped(name)
            np.testing.assert_array_equal(mapped, array, strict=True)
            assert mapped.flags.aligned
            assert not mapped.flags.writeable or not mapped.size
            for out in (np.empty_like(array), np.empty((*array.shape, 2), array.dtype)[..., 0]):
                if out.ndim == 2 and not out.flags.c_contiguous:
                    out = np.empty((len(array), 3, array.shape[1]), array.dtype)[:, 1]
                reader.read_into(name, out)
                np.testing.assert_array_equal(out, array)


def test_what_the_library_writes_is_read(path):
    emb = pe.Embedding(4, 3, weights=ROWS)
    pe.save(path, emb=emb)
    with safe_open(path, "np") as file:
        metadata = file.metadata()
    save_file({**load_file(path), "emb.embeddings": np.float32(ROWS + 1)}, path, metadata)
    pe.load(path, emb=emb)
    np.testing.assert_array_equal(emb.embeddings, ROWS + 1)
