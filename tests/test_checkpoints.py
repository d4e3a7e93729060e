import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import checkpoint_jobs
import pyembed as pe
from pyembed.io import _safetensors
from strategies import floats

ROWS = np.arange(12.0).reshape(4, 3)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint.safetensors"


def values(objects):
    """Copies of all that a checkpoint holds of layers and optimizers."""
    found = {}
    for name, item in objects.items():
        if isinstance(item, pe.Embedding | pe.EmbeddingBag):
            found[name] = item.get_config(), item.embeddings.copy(), item.frozen_rows.copy()
        else:
            state = item.state_dict()
            tables = [{key: np.copy(table[key]) for key in table} for table in state["tables"]]
            found[name] = state["config"], tables
    return found


def same(left, right):
    np.testing.assert_equal(left, right)
    return True


def trained(name="adam", steps=4):
    objects = checkpoint_jobs.make(name)
    checkpoint_jobs.train(**objects, steps=range(steps))
    return objects


def run(*arguments):
    program = Path(checkpoint_jobs.__file__)
    done = subprocess.run(
        [sys.executable, program, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# What is in a file.


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


@pytest.mark.parametrize("name", checkpoint_jobs.OPTIMIZERS)
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


# Round trips.


@pytest.mark.parametrize("name", checkpoint_jobs.OPTIMIZERS)
def test_new_objects(path, name):
    objects = trained(name)
    pe.save(path, **objects)
    again = pe.load(path)
    assert {name: type(item) for name, item in again.items()} == {
        name: type(item) for name, item in objects.items()
    }
    assert same(values(again), values(objects))
    assert np.shares_memory(again["emb"].embeddings, again["bag"].embeddings)
    assert again["opt"].tables == (again["emb"], again["wide"])
    with pytest.raises(ValueError, match=r"opt.release\(\)"):
        pe.SparseSGD(again["bag"])
    for these in (objects, again):
        checkpoint_jobs.train(**these, steps=range(4, 7))
    assert same(values(again), values(objects))


@pytest.mark.parametrize("name", checkpoint_jobs.OPTIMIZERS)
def test_objects_that_there_are(path, name):
    objects = trained(name)
    pe.save(path, **objects)
    saved = values(objects)
    checkpoint_jobs.train(**objects, steps=range(4, 7))
    gone_on = values(objects)
    objects["emb"].freeze([1])
    objects["emb"].unfreeze([7])
    objects["opt"].learning_rate = 0.125
    views = [layer.embeddings for layer in objects["opt"].tables]
    assert pe.load(path, **objects) == objects
    assert same(values(objects), saved)
    for view, layer in zip(views, objects["opt"].tables, strict=True):
        assert np.shares_memory(view, layer.embeddings)
    checkpoint_jobs.train(**objects, steps=range(4, 7))
    assert same(values(objects), gone_on)


def test_another_process_with_other_threads_goes_on(tmp_path):
    expected = {}
    for name in checkpoint_jobs.OPTIMIZERS:
        objects = trained(name, 6)
        pe.save(tmp_path / f"{name}.safetensors", **objects)
        checkpoint_jobs.train(**objects, steps=range(6, 12))
        expected[name] = values(objects)
    names = list(checkpoint_jobs.OPTIMIZERS)
    for order in (names, [*names[1:], names[0]]):  # each into new objects, and into old ones
        for name in names:
            objects = trained(name, 6)
            pe.save(tmp_path / f"{name}.safetensors", **objects)
        run("go_on", tmp_path, ",".join(order), "6,12")
        for name in names:
            theirs = pe.load(tmp_path / f"{name}.safetensors")
            assert same(values(theirs), expected[name])


def test_a_layer_of_every_argument(path, layer, dtype):
    made = layer(
        9,
        4,
        "normal",
        {"class_name": "L1L2", "config": {"l1": 0.1, "l2": 0.3}},
        "l1",
        pe.constraints.MaxNorm(2.0, axis=(1,)),
        mask_zero=True,
        input_length=(3, 2),
        trainable=False,
        padding_idx=2,
        max_norm=3.0,
        norm_type=np.inf,
        scale_grad_by_freq=True,
        out_of_range="wrap",
        dtype=dtype,
        seed=2**64 - 1,
        name="wörds",
    )
    made.freeze([8])
    pe.save(path, made=made)
    (again,) = pe.load(path).values()
    assert type(again) is layer
    shown = [repr(item.get_config()) for item in (again, made)]
    assert shown[0].replace("axis=[1]", "axis=(1,)") == shown[1]
    np.testing.assert_array_equal(again.embeddings, made.embeddings, strict=True)
    assert again.frozen_rows.tolist() == [8]
    pe.load(path, made=made)


def test_a_shared_layer_keeps_what_is_its_own(path):
    emb = pe.Embedding(5, 3, mask_zero=True)
    bag = pe.EmbeddingBag.sharing(
        emb, "sum", True, mask_zero=False, activity_regularizer="l2", scale_grad_by_freq=True
    )
    pe.save(path, bag=bag, emb=emb)
    again = pe.load(path)
    assert set(load_file(path)) == {"bag.embeddings", "bag.frozen_rows"}
    for name, item in (("bag", bag), ("emb", emb)):
        assert repr(again[name].get_config()) == repr(item.get_config())
    again["emb"].grow(6)
    assert again["bag"].input_dim == 6


def test_rows_with_a_gap_between_them_and_odd_sizes(path):
    matrix = np.arange(20.0).reshape(4, 5)
    gap = pe.Embedding.from_pretrained(matrix[:, 1:4], trainable=True)
    nothing = pe.Embedding(3, 0)
    opt = pe.SparseAdagrad([gap, nothing])
    pe.save(path, gap=gap, nothing=nothing, opt=opt)
    matrix[:] = -1.0
    pe.load(path, gap=gap, nothing=nothing, opt=opt)
    np.testing.assert_array_equal(matrix[:, 1:4], np.arange(20.0).reshape(4, 5)[:, 1:4])
    assert (matrix[:, [0, 4]] == -1).all()
    assert pe.load(path)["nothing"].embeddings.shape == (3, 0)
    assert pe.load(path, mmap=True)["nothing"].embeddings.shape == (3, 0)


def test_a_layer_alone_and_an_optimizer_of_a_sharing_layer(path):
    objects = trained()
    pe.save(path, **objects)
    fresh = checkpoint_jobs.make("momentum")["bag"]
    pe.load(path, bag=fresh)
    np.testing.assert_array_equal(fresh.embeddings, objects["emb"].embeddings)
    pe.save(path, bag=objects["bag"], wide=objects["wide"], opt=objects["opt"])
    again = pe.load(path)
    assert again["opt"].tables == (again["bag"], again["wide"])


def test_an_optimizer_of_a_layer_that_became_untrainable(path):
    emb = pe.Embedding(4, 3)
    opt = pe.SparseSGD(emb)
    emb.trainable = False
    pe.save(path, emb=emb, opt=opt)
    again = pe.load(path)
    assert again["emb"].trainable is False
    assert again["opt"].tables == (again["emb"],)


def test_memory_maps(path, dtype):
    objects = trained()
    objects["table"] = pe.Embedding(1, 3, weights=ROWS[:1], dtype=dtype)
    pe.save(path, **objects)
    mapped = pe.load(path, mmap=True)
    assert mapped.keys() == {"emb", "bag", "wide", "table"}
    for name, layer in mapped.items():
        assert layer.trainable is False
        assert not layer.embeddings.flags.writeable
        np.testing.assert_array_equal(layer.embeddings, objects[name].embeddings, strict=True)
    assert mapped["emb"].frozen_rows.tolist() == [5, 7]
    assert np.shares_memory(mapped["emb"].embeddings, mapped["bag"].embeddings)
    with pytest.raises(ValueError, match="read-only and cannot be trained"):
        mapped["emb"].trainable = True
    ids = np.array([[1, 5], [39, 0]])
    np.testing.assert_array_equal(mapped["bag"](ids), objects["bag"](ids))
    pe.save(path, emb=pe.Embedding(1, 1))  # the map keeps the old file
    np.testing.assert_array_equal(mapped["emb"].embeddings, objects["emb"].embeddings)
    with pytest.raises(ValueError, match="mmap=True makes new layers"):
        pe.load(path, mmap=True, emb=objects["emb"])
    pe.save(path, emb=pe.Embedding(4, 3, max_norm=1.0))
    with pytest.raises(ValueError, match=r"emb: max_norm=1.0 scales rows in place"):
        pe.load(path, mmap=True)
    read_only = ROWS.copy()
    read_only.flags.writeable = False
    with pytest.raises(ValueError, match="emb: the table here is read-only"):
        pe.load(path, emb=pe.Embedding.from_pretrained(read_only))


# Callables.


def halving(t):
    return 0.5**t


def test_callables_of_ones_own_stay_with_their_objects(path):
    def make():
        emb = pe.Embedding(4, 3, np.ones, lambda w: 0.0)
        return {"emb": emb, "opt": pe.SparseSGD(emb, halving)}

    objects = make()
    objects["emb"].embeddings[:] = ROWS
    pe.save(path, **objects)
    again = make()
    pe.load(path, **again)
    np.testing.assert_array_equal(again["emb"].embeddings, ROWS)
    assert again["opt"].learning_rate is halving
    with pytest.raises(ValueError, match=r"embeddings_initializer=.*ones, which no file can hold"):
        pe.load(path)
    again["opt"].learning_rate = 0.5
    with pytest.raises(ValueError, match=r"learning_rate=.*halving, but here it is 0.5"):
        pe.load(path, **again)
    other = pe.Embedding(4, 3, embeddings_regularizer="l1")
    with pytest.raises(ValueError, match=r"embeddings_regularizer=.*lambda.*, but here .*'L1'"):
        pe.load(path, emb=other)

    objects["opt"].learning_rate = 0.25
    pe.save(path, **objects)
    again["opt"].learning_rate = halving
    pe.load(path, **again)
    assert again["opt"].learning_rate == 0.25


class Words(pe.Embedding):
    pass


def test_classes_of_ones_own(path):
    words = Words(4, 3)
    pe.save(path, words=words)
    pe.load(path, words=words)
    with pytest.raises(ValueError, match="words: it is of the class 'Words'"):
        pe.load(path)
    with pytest.raises(ValueError, match=r"class_name='Words', but here .*'Embedding'"):
        pe.load(path, words=pe.Embedding(4, 3))


# What is refused.


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
        edited(lambda about, arrays: about.update(version=2)),
        ValueError,
        "it is of format version 2, and pyembed .* reads version 1",
    ),
    "metadata": (
        edited(lambda about, arrays: about["layers"].pop("emb")),
        ValueError,
        "its 'pyembed' metadata are damaged",
    ),
    "row offset": (
        edited(lambda about, arrays: about["tables"]["emb"].update(row_offset=7)),
        ValueError,
        "emb holds the rows from 7 on of a larger table",
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
    assert same(values(objects), before)
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
    assert same(values(objects), before)


def test_other_objects_are_refused(path):
    pe.save(path, **trained("adam", 4))

    def refused(message, **given):
        before = values(given)
        with pytest.raises(ValueError, match=message):
            pe.load(path, **given)
        assert same(values(given), before)

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


# Replacing files.


def test_a_save_that_fails_leaves_the_old_file(path, monkeypatch):
    emb = pe.Embedding(4, 3, weights=ROWS)
    pe.save(path, emb=emb)
    before = path.read_bytes()

    def full(*arguments):
        raise OSError("no space left on device")

    for function in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, function, full)
            with pytest.raises(OSError, match="no space left"):
                pe.save(path, emb=pe.Embedding(4, 3))
        assert list(path.parent.iterdir()) == [path]
        assert path.read_bytes() == before


def test_the_file_is_on_the_disk_before_it_is_renamed_and_the_folder_after(path, monkeypatch):
    calls = []

    def watched(name):
        function = getattr(os, name)

        def call(first, *rest):
            what = os.readlink(f"/proc/self/fd/{first}") if name == "fsync" else os.fspath(first)
            size = Path(what).stat().st_size
            calls.append((name, what, size if Path(what).is_file() else None))
            return function(first, *rest)

        monkeypatch.setattr(os, name, call)

    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc")
    watched("fsync")
    watched("replace")
    pe.save(path, emb=pe.Embedding(4, 3))
    (sync, beside, size), (rename, renamed, _), (sync_folder, folder, _) = calls
    assert (sync, rename, sync_folder) == ("fsync", "replace", "fsync")
    assert beside == renamed
    assert Path(beside).parent == Path(folder) == path.parent
    assert size == path.stat().st_size


def test_a_link_stays_a_link_and_the_mode_is_the_usual_one(path):
    link = path.with_name("latest")
    link.symlink_to(path)
    path.touch()
    mode = path.stat().st_mode
    pe.save(link, emb=pe.Embedding(4, 3))
    assert link.is_symlink()
    assert path.stat().st_mode == mode
    assert pe.load(path).keys() == {"emb"}


def test_steps_in_other_threads_wait(path, monkeypatch):
    objects = trained("adam")
    before = objects["emb"].embeddings.copy()
    thread = threading.Thread(target=checkpoint_jobs.train, kwargs={**objects, "steps": [9]})
    write = _safetensors.write

    def slowly(*arguments):
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        write(*arguments)

    monkeypatch.setattr(_safetensors, "write", slowly)
    pe.save(path, emb=objects["emb"])  # its optimizer is not among them
    thread.join()
    np.testing.assert_array_equal(pe.load(path)["emb"].embeddings, before)
    assert (objects["emb"].embeddings != before).any()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_save_that_is_killed_leaves_a_whole_file(path):
    generations = int(run("killed", path, 200))
    leftovers = list(path.parent.glob(".checkpoint.safetensors.*.tmp"))
    # Some saves were through, and some were not.
    assert generations > 20
    assert len(leftovers) > 20
