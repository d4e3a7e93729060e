"""Headers and metadata that do not fit their file, whoever wrote them."""

import json
import os
import time
import traceback

import numpy as np
import pytest

import checkpoint_jobs
import pyembed as pe
from checkpoint_jobs import trained, values
from kinds import OPTIMIZERS
from pyembed import _core
from pyembed.io import _safetensors
from pyembed.io._restoring import Writing
from pyembed.table import Table

LONG = "x" * 1_000_000


def change_header(path, change):
    """Let `change` edit the header, or return its text."""
    file = path.read_bytes()
    length = int.from_bytes(file[:8], "little")
    header = json.loads(file[8 : 8 + length])
    text = change(header) or json.dumps(header)
    path.write_bytes(len(text).to_bytes(8, "little") + text.encode() + file[8 + length :])


def change_metadata(path, change):
    """Let `change` edit the metadata, or return their text."""

    def edit(header):
        about = json.loads(header["__metadata__"]["pyembed"])
        header["__metadata__"]["pyembed"] = change(about) or json.dumps(about)

    change_header(path, edit)


def check_refused(path, objects, message, error=ValueError):
    """Loading into objects changes none; loading as new ones is refused too."""
    before = values(objects)
    with pytest.raises(error, match=message):
        pe.load(path, **objects)
    np.testing.assert_equal(values(objects), before)
    for mmap in (False, True):
        with pytest.raises(error, match=message):
            pe.load(path, mmap=mmap)


class TestOffsets:
    def make(self, path):
        """A first layer that would be written before the second, which has no elements."""
        objects = {"a": pe.Embedding(4, 3), "b": pe.Embedding(3, 0)}
        pe.save(path, **objects)
        objects["a"].embeddings[:] += 1
        return objects

    @pytest.mark.parametrize("name", ["b.embeddings", "b.frozen_rows", "a.frozen_rows"])
    @pytest.mark.parametrize("at", [2**63, 2**63 - 1, 2**62, 1000, 1])
    def test_of_arrays_without_elements(self, path, name, at):
        objects = self.make(path)
        change_header(path, lambda header: header[name].update(data_offsets=[at, at]))
        check_refused(path, objects, "begins at byte|is described as")

    @pytest.mark.parametrize("offsets", [[0, 47], [8, 56], [48, 96], [-48, 0], [2**63, 2**63 + 48]])
    def test_of_others(self, path, offsets):
        objects = self.make(path)
        change_header(path, lambda header: header["a.embeddings"].update(data_offsets=offsets))
        check_refused(path, objects, "begins at byte|is described as|has 47 bytes")

    def test_two_arrays_in_one_place(self, path):
        objects = {"a": pe.Embedding(4, 3), "b": pe.Embedding(4, 3)}
        pe.save(path, **objects)
        for layer in objects.values():
            layer.embeddings[:] += 1
        change_header(path, lambda header: header.update({"b.embeddings": header["a.embeddings"]}))
        check_refused(path, objects, r"b.embeddings begins at byte \d+, and not at")

    @pytest.mark.parametrize(
        "entry",
        [
            {"shape": [4, 3.0]},
            {"shape": [True, 12]},
            {"shape": {"4": 3}},
            {"shape": [2**63, 0]},
            {"shape": [2**62] * 40},
            {"shape": [1] * 30 + [4, 3, 1]},
            {"shape": None},
            {"dtype": ["F32"]},
            {"data_offsets": [0]},
            {"data_offsets": "ab"},
        ],
    )
    def test_entries_that_are_none(self, path, entry):
        objects = self.make(path)
        change_header(path, lambda header: header["a.embeddings"].update(entry))
        check_refused(path, objects, "a.embeddings is described as {")

    @pytest.mark.parametrize("text", ["[]", "null", '{"__metadata__": {"pyembed": 1}}', '"a"'])
    def test_headers_that_are_none(self, path, text):
        objects = self.make(path)
        change_header(path, lambda header: text)
        check_refused(path, objects, "its header is damaged")


class TestNamesThatStandTwice:
    def test_in_the_header(self, path):
        emb = pe.Embedding(4, 3)
        pe.save(path, emb=emb)
        for name in ("emb.embeddings", "__metadata__"):
            pe.save(path, emb=emb)
            change_header(
                path,
                lambda header, name=name: (
                    json.dumps(header)[:-1] + f', "{name}": {json.dumps(header[name])}}}'
                ),
            )
            check_refused(path, {"emb": emb}, f"header is damaged .'{name}' stands there twice")

    @pytest.mark.parametrize("name", ["layers", "version", "emb", "config", "dtype"])
    def test_in_the_metadata_at_any_depth(self, path, name):
        emb = pe.Embedding(4, 3)
        pe.save(path, emb=emb)

        def repeat(about):
            about["layers"]["emb"]["config"]["name"] = "layers"
            return json.dumps(about).replace(f'"{name}": ', f'"{name}": 1, "{name}": ')

        change_metadata(path, repeat)
        check_refused(path, {"emb": emb}, f"metadata are damaged .'{name}' stands there twice")


class TestRowsWithoutElements:
    """They take no bytes of a file, and a bit or a step count of whoever loads them."""

    def change_rows(self, path, rows):
        def edit(header):
            for entry in header.values():
                if entry.get("shape") == [5, 0]:
                    entry["shape"] = [rows, 0]

        change_header(path, edit)
        change_metadata(path, lambda about: about["layers"]["a"]["config"].update(input_dim=rows))

    @pytest.mark.parametrize("name", OPTIMIZERS)
    @pytest.mark.parametrize("rows", [2**21, 2**40, 2**62])
    def test_no_more_than_a_file_may_have(self, path, name, rows):
        layer = pe.Embedding(5, 0)
        layer.freeze([1])
        objects = {"a": layer, "b": OPTIMIZERS[name](layer)}
        pe.save(path, **objects)
        self.change_rows(path, rows)
        began = time.perf_counter()
        check_refused(path, objects, "rows without elements are more than a file of")
        assert time.perf_counter() - began < 5

    def test_all_of_a_file_count(self, path):
        objects = {name: pe.Embedding(400_000, 0, "zeros") for name in "abc"}
        with pytest.raises(ValueError, match="1200000 rows without elements are more than"):
            pe.save(path, **objects)
        assert not path.exists()
        del objects["c"]
        pe.save(path, **objects)
        assert pe.load(path)["b"].input_dim == 400_000

    def test_save_refuses_what_load_would(self, path):
        emb = pe.Embedding(2**40, 0, "zeros")
        with pytest.raises(ValueError, match="rows without elements"):
            pe.save(path, emb=emb)
        assert list(path.parent.iterdir()) == []

    def test_into_a_table_that_is_as_large(self, path):
        layer = pe.Embedding(5, 0, "zeros")
        layer.freeze([1])
        pe.save(path, a=layer)
        self.change_rows(path, 2**40)
        huge = pe.Embedding(2**40, 0, "zeros")
        with pytest.raises(ValueError, match="rows without elements"):
            pe.load(path, a=huge)
        assert len(huge.frozen_rows) == 0


class TestLongEntries:
    """A damaged entry is shown, but not a megabyte of it: neither by an error nor by its causes."""

    def check(self, path, objects, error):
        for given in (objects, {}):
            with pytest.raises(error) as caught:
                pe.load(path, **given)
            assert len(str(caught.value)) < 2000
            told = traceback.format_exception(caught.type, caught.value, caught.tb)
            assert len("".join(told)) < 50_000

    @pytest.mark.parametrize(
        "change",
        [
            lambda header: header["emb.embeddings"].update(dtype=LONG),
            lambda header: header["emb.embeddings"].update(shape=LONG),
            lambda header: header["emb.embeddings"].update(shape=[LONG]),
            lambda header: header["emb.embeddings"].update(shape=[[0] * 100_000]),
            lambda header: header["emb.embeddings"].update(shape=[1] * 100_000),
            lambda header: header["emb.embeddings"].update(data_offsets=[LONG, 1]),
            lambda header: header.update({LONG: header.pop("emb.embeddings")}),
            lambda header: header.update({LONG: {}}),
            lambda header: header.update(__metadata__=LONG),
            lambda header: header.update(__metadata__={"pyembed": LONG}),
            lambda header: f'{{"{LONG}": 1, "{LONG}": 2}}',
        ],
    )
    def test_in_the_header(self, path, change):
        objects = trained()
        pe.save(path, **objects)
        change_header(path, change)
        self.check(path, objects, (TypeError, ValueError))

    @pytest.mark.parametrize(
        "change",
        [
            lambda about: about.update(version=LONG),
            lambda about: about["tables"]["emb"].update(row_offset=LONG),
            lambda about: about["tables"]["emb"].update({LONG: 1}),
            lambda about: about["layers"]["emb"].update(config=LONG),
            lambda about: about["layers"]["emb"].update(class_name=LONG),
            lambda about: about["layers"]["emb"].update(table=LONG),
            lambda about: about["optimizers"]["opt"].update(layers=[LONG, LONG]),
            lambda about: about["optimizers"]["opt"].update(steps=[LONG, LONG]),
            *(
                lambda about, name=name: about["layers"]["emb"]["config"].update({name: LONG})
                for name in ("embeddings_regularizer", "padding_idx", "out_of_range", "norm_type")
            ),
            lambda about: about["layers"]["emb"]["config"].update(
                embeddings_constraint={"callable": LONG}
            ),
            lambda about: about["layers"]["emb"]["config"].update(
                embeddings_constraint={"class_name": LONG, "config": {LONG: LONG}}
            ),
            *(
                lambda about, name=name: about["optimizers"]["opt"]["config"].update({name: LONG})
                for name in ("class_name", "beta_1", "learning_rate")
            ),
            lambda about: about["optimizers"]["opt"]["config"].update(
                learning_rate={"callable": LONG}
            ),
            lambda about: f'{{"{LONG}": 1, "{LONG}": 2}}',
        ],
    )
    def test_in_the_metadata(self, path, change):
        objects = trained()
        pe.save(path, **objects)
        change_metadata(path, change)
        self.check(path, objects, (TypeError, ValueError))

    def test_names_that_are_not_there(self, path):
        pe.save(path, **{LONG: pe.Embedding(1, 1)})
        with pytest.raises(ValueError, match="there is no layer 'emb'; there are xxx") as caught:
            pe.load(path, emb=pe.Embedding(1, 1))
        assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("depth", [300, 2000, 100_000])
def test_metadata_that_are_nested_deeply(path, depth):
    objects = trained()
    for opening, closing in (
        ('{"class_name": "Warmup", "config": {"steps": 2, "learning_rate": ', "}}"),
        ("[", "]"),
        ('{"a": ', "}"),
    ):
        for place in ("learning_rate", "beta_1", "class_name"):
            pe.save(path, **objects)
            rest = opening * depth + "1" + closing * depth

            def nest(about, place=place, rest=rest):
                about["optimizers"]["opt"]["config"][place] = "here"
                return json.dumps(about).replace('"here"', rest)

            change_metadata(path, nest)
            before = values(objects)
            for given in (objects, {}):
                with pytest.raises((TypeError, ValueError)):
                    pe.load(path, **given)
            np.testing.assert_equal(values(objects), before)


def test_layers_whose_tables_lead_in_a_circle(path):
    objects = {"a": pe.Embedding(4, 3), "b": pe.Embedding(4, 3)}
    pe.save(path, **objects)

    def cross(about):
        about["layers"]["a"]["table"], about["layers"]["b"]["table"] = "b", "a"

    change_metadata(path, cross)
    check_refused(path, objects, "metadata are damaged")


class TestMemory:
    @pytest.mark.parametrize("name", OPTIMIZERS)
    def test_that_is_not_to_be_had(self, path, name, monkeypatch):
        pe.save(path, **trained(name, 4))
        objects = checkpoint_jobs.make(name)
        before = values(objects)

        def full(table):
            raise MemoryError

        monkeypatch.setattr(Table, "reserve_frozen", full)
        with pytest.raises(MemoryError):
            pe.load(path, **objects)
        np.testing.assert_equal(values(objects), before)

    @pytest.mark.parametrize("name", OPTIMIZERS)
    def test_none_is_taken_while_objects_are_written(self, path, name, monkeypatch):
        saved = trained(name, 4)
        pe.save(path, **saved)
        objects = checkpoint_jobs.make(name)

        def without_memory(method):
            def run(writing):
                with monkeypatch.context() as patch:
                    patch.setattr(np, "empty", None)
                    patch.setattr(_core.Rule, "attach", None)  # it would keep a number for each row
                    method(writing)

            return run

        for method in ("read", "finish"):
            monkeypatch.setattr(Writing, method, without_memory(getattr(Writing, method)))
        pe.load(path, **objects)
        np.testing.assert_equal(values(objects), values(saved))


def test_a_plain_load_maps_nothing(path, monkeypatch):
    """What is mapped ends the process, where the file is cut short in that moment."""
    objects = {name: trained(name) for name in ("exact adam", "adam by row")}
    monkeypatch.setattr(_safetensors.mmap, "mmap", None)
    for these in objects.values():
        pe.save(path, **these)
        pe.load(path)
        pe.load(path, **these)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc")
def test_many_tables_are_one_map(path):
    pe.save(path, **{f"table_{number}": pe.Embedding(2, 2) for number in range(50)})
    before = len(os.listdir("/proc/self/fd"))
    mapped = pe.load(path, mmap=True)
    assert len(os.listdir("/proc/self/fd")) <= before + 1
    assert len(mapped) == 50
