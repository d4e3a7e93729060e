"""Objects that cannot be saved, files that are damaged, and files of other objects."""

import json
import os

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import checkpoint_jobs
import pyembed as pe
from checkpoint_jobs import trained, values

ROWS = np.arange(12.0).reshape(4, 3)


def test_save_refuses(path):
    emb, other = pe.Embedding(4, 3), pe.Embedding(4, 3, name="other")
    opt = pe.SparseAdam([emb, other])
    for objects, error, message in (
        ({}, ValueError, "nothing to save"),
        ({"emb": emb, "opt": opt}, ValueError, "opt updates the layer 'other', which is not there"),
        ({"emb": emb.embeddings}, TypeError, "emb must be a layer or an optimizer, not ndarray"),
        ({"mmap": emb}, ValueError, "no object can be named 'mmap'"),
        ({"emb": emb, "other": other, "a": opt, "b": opt}, ValueError, "b is an optimizer that .*"),
    ):
        with pytest.raises(error, match=message):
            pe.save(path, **objects)
    opt.release()
    with pytest.raises(ValueError, match=r"opt gave its tables up in release\(\)"):
        pe.save(path, emb=emb, other=other, opt=opt)
    with pytest.raises(FileNotFoundError):
        pe.save(path.parent / "nowhere" / "x", emb=emb)
    assert list(path.parent.iterdir()) == []


def edited(change):
    """Return a function that changes a file's metadata, or its arrays, by the library."""

    def edit(path):
        with safe_open(path, "np") as file:
            metadata = file.metadata()
        about, arrays = json.loads(metadata["pyembed"]), load_file(path)
        change(about, arrays)
        save_file(arrays, path, {**metadata, "pyembed": json.dumps(about)})

    return edit


def cut(count):
    return lambda path: path.write_bytes(path.read_bytes()[:count])


def config(name, **changes):
    def change(about, arrays):
        (about["layers"] | about["optimizers"])[name]["config"].update(changes)

    return edited(change)


def array(name, function):
    return edited(lambda about, arrays: arrays.update({name: function(arrays[name].copy())}))


DAMAGE = {
    "empty": (cut(0), ValueError, "no safetensors file, or cut short: it has 0 bytes"),
    "no header": (cut(8), ValueError, "no safetensors file, or cut short: it has 8 bytes"),
    "half": (cut(400), ValueError, "no safetensors file, or cut short"),
    "a byte short": (cut(-1), ValueError, "cut short: it has .* bytes, and should have"),
    "a byte long": (
        lambda path: path.write_bytes(path.read_bytes() + b"x"),
        ValueError,
        "too long: it has",
    ),
    "no json": (
        lambda path: path.write_bytes(path.read_bytes().replace(b'{"__meta', b'{{"__met', 1)),
        ValueError,
        "no safetensors file: its header is damaged",
    ),
    "a gap": (
        lambda path: path.write_bytes(
            path.read_bytes().replace(b'"data_offsets": [0, ', b'"data_offsets": [8, ', 1)
        ),
        ValueError,
        r"has \d+ bytes, and should have \d+",
    ),
    "no checkpoint": (
        lambda path: save_file({"emb.embeddings": ROWS}, path),
        ValueError,
        "no checkpoint of pyembed: its metadata have no 'pyembed'",
    ),
    "version": (
        edited(lambda about, arrays: about.update(version=3)),
        ValueError,
        "it is of format version 3, and pyembed .* reads versions 1 and 2",
    ),
    "metadata": (
        edited(lambda about, arrays: about["layers"].pop("emb")),
        ValueError,
        "its 'pyembed' metadata are damaged",
    ),
    "row offset": (
        edited(lambda about, arrays: about["tables"]["emb"].update(row_offset=7)),
        ValueError,
        "metadata are damaged .*emb is .*row_offset.: 7",
    ),
    "no table": (
        edited(lambda about, arrays: arrays.pop("wide.embeddings")),
        ValueError,
        "wide: there is no wide.embeddings in it",
    ),
    "no state": (
        edited(lambda about, arrays: arrays.pop("opt.1.m")),
        ValueError,
        "opt: the file has no 'm'",
    ),
    "dtype of a table": (
        array("wide.embeddings", np.float32),
        TypeError,
        "wide: the table has dtype float32 in the file, but here float64",
    ),
    "an unknown dtype": (
        array("wide.embeddings", np.float16),
        TypeError,
        "wide.embeddings has dtype F16, which is none of F64, F32, I64",
    ),
    "shape of a table": (
        array("wide.embeddings", lambda a: a[1:]),
        ValueError,
        r"wide: the table has shape \(299, 17\) in the file, but here \(300, 17\)",
    ),
    "dtype of a state": (
        array("opt.1.v", np.float32),
        TypeError,
        "opt: v must have dtype float64, not float32",
    ),
    "shape of a state": (
        array("opt.1.v", lambda a: a[:, 1:]),
        ValueError,
        r"opt: v has shape \(300, 16\), but must have shape \(300, 17\)",
    ),
    "frozen rows": (
        array("emb.frozen_rows", lambda a: a + 35),
        ValueError,
        "frozen_rows are outside the table",
    ),
    "shape of frozen rows": (
        array("emb.frozen_rows", lambda a: a[:, None]),
        ValueError,
        r"frozen_rows are int64 of shape \(2, 1\)",
    ),
    "step count": (
        edited(lambda about, arrays: about["optimizers"]["opt"].update(steps=[4, -1])),
        ValueError,
        "t=-1 must be an integer from 0 to 4611686018427387904",
    ),
    "step count that could not be counted on": (
        edited(lambda about, arrays: about["optimizers"]["opt"].update(steps=[4, 2**63 - 1])),
        ValueError,
        "t=9223372036854775807 must be an integer from 0 to 4611686018427387904",
    ),
    "fewer step counts": (
        edited(lambda about, arrays: about["optimizers"]["opt"].update(steps=[4])),
        ValueError,
        "shorter",
    ),
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda about: about["layers"]["emb"].update(config=[]), "metadata are damaged .*config"),
        (lambda about: about["optimizers"]["opt"].update(config=None), "damaged .*config is None"),
        (
            lambda about: about["layers"]["emb"]["config"].update(norm_type=10**400),
            "emb: int too large",
        ),
    ],
)
def test_damaged_metadata_are_refused_as_such(path, change, message):
    pe.save(path, **trained("adam", 1))
    edited(lambda about, arrays: change(about))(path)
    for mmap in (False, True):
        with pytest.raises(ValueError, match=message):
            pe.load(path, mmap=mmap)


@pytest.mark.parametrize("name", DAMAGE)
def test_a_file_that_does_not_fit_changes_nothing(path, name):
    damage, error, message = DAMAGE[name]
    pe.save(path, **trained("adam", 4))
    damage(path)
    objects = trained("adam", 2)
    before = values(objects)
    with pytest.raises(error, match=message) as caught:
        pe.load(path, **objects)
    assert str(caught.value).startswith(f"{path}: ")
    np.testing.assert_equal(values(objects), before)
    with pytest.raises(error):
        pe.load(path)


def test_a_file_cut_anywhere(path):
    emb = pe.Embedding(4, 3)
    pe.save(path, emb=emb, opt=pe.SparseSGD(emb, momentum=0.9))
    before = emb.embeddings.copy()
    for count in reversed(range(path.stat().st_size)):
        os.truncate(path, count)
        with pytest.raises(ValueError, match=r"cut short"):
            pe.load(path, emb=emb)
    np.testing.assert_array_equal(emb.embeddings, before)


@pytest.mark.parametrize(
    ("name", "arrays", "message"),
    [
        ("adam by row", {"opt.0.row_t": -1}, "row_t has step counts that are not from 0 to t=4"),
        ("adam by row", {"opt.0.row_t": 5}, "row_t has step counts that are not from 0 to t=4"),
        ("exact adam", {"opt.0.stamp": 3}, "stamp has rows that are behind t=4"),
    ],
)
def test_step_counts_of_rows(path, name, arrays, message):
    objects = trained(name)
    pe.save(path, **objects)
    for key, value in arrays.items():
        array(key, lambda a, value=value: np.full_like(a, value))(path)
    before = values(objects)
    with pytest.raises(ValueError, match=message):
        pe.load(path, **objects)
    np.testing.assert_equal(values(objects), before)


def test_other_objects_are_refused(path):
    pe.save(path, **trained("adam", 4))

    def refused(message, **given):
        before = values(given)
        with pytest.raises(ValueError, match=message):
            pe.load(path, **given)
        np.testing.assert_equal(values(given), before)

    def make(**arguments):
        return pe.Embedding(**{"input_dim": 40, "output_dim": 5, "padding_idx": 3, **arguments})

    refused(r"there is no layer 'table'; there are emb, bag, wide", table=make())
    refused("there is no optimizer 'emb'; there are opt", emb=pe.SparseSGD(pe.Embedding(1, 1)))
    refused(
        r"emb: it was saved with embeddings_regularizer={'class_name': 'L2', .*}, but here it has "
        "embeddings_regularizer=None",
        emb=make(),
    )
    refused(r"emb: .*but here \(41, 5\)", emb=make(input_dim=41))
    refused(
        "emb: .*padding_idx=3, but here .*=4", emb=make(padding_idx=4, embeddings_regularizer="l2")
    )
    refused("emb: .*class_name='Embedding', but", emb=pe.EmbeddingBag(40, 5))
    objects = checkpoint_jobs.make("adam")
    apart = checkpoint_jobs.make("adam")["bag"]
    refused("emb and bag share a table in the file alone", emb=objects["emb"], bag=apart)
    refused("opt updates the layer .*, which is not there", opt=objects["opt"])
    objects = checkpoint_jobs.make("momentum")
    refused("opt: the state is of an optimizer with class_name='SparseAdam'", **objects)
    objects["opt"].release()
    emb, wide = objects["emb"], objects["wide"]
    turned = pe.SparseAdam([wide, emb], 0.1, weight_decay=0.5)
    refused(
        "opt: it updates emb, wide in the file, but here wide, emb", emb=emb, wide=wide, opt=turned
    )


def test_tables_shared_here_alone(path):
    emb = pe.Embedding(4, 3)
    pe.save(path, emb=emb, other=pe.Embedding(4, 3))
    with pytest.raises(ValueError, match="emb and other share a table here alone"):
        pe.load(path, emb=emb, other=pe.Embedding.sharing(emb))
