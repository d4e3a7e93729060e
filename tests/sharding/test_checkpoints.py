"""A checkpoint of some ranks is loaded by any others, and training goes on to the same bits."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import pyembed as pe
import sharded_jobs
from kinds import OPTIMIZERS
from pyembed.io import _safetensors, _saving_parts
from pyembed.io._checkpoint import Checkpoint, Filled
from pyembed.io._parts import common_rows, parts_with
from sharded_jobs import check_same, make, train
from threaded import on_ranks

ROWS = 41


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint.safetensors"


def parts(path):
    """The names of the files beside a checkpoint, which are its parts."""
    return sorted(name for name in os.listdir(path.parent) if name != path.name)


def saved(path, size=2, name="adam", **kwargs):
    """Save what some ranks have trained a little."""

    def body(comm):
        objects = make(name, comm, **kwargs)
        train(objects, range(2), comm)
        pe.save(path, **objects)

    on_ranks(size, body)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_other_numbers_of_ranks_go_on(path, name):
    expected = make(name)
    train(expected, range(2))
    pe.save(path, **expected)

    def go_on(comm=None):
        objects = make(name, comm)
        train(objects, range(60, 62), comm)  # to be overwritten
        objects["emb"].freeze([1])
        pe.load(path, **objects)
        train(objects, steps, comm)
        check_same(objects, expected, comm)
        pe.save(path, **objects)

    for at, size in enumerate((3, 3, 2, 5), 1):
        steps = range(2 * at, 2 * at + 2)
        train(expected, steps, ranks=size)
        on_ranks(size, go_on)
        assert len(parts(path)) == size
    steps = range(10, 12)
    train(expected, steps)
    new = pe.load(path)
    train(new, steps)
    check_same(new, expected)
    go_on()
    assert parts(path) == []


@pytest.mark.parametrize(("here", "there"), [(3, 2), (2, 4), (4, 1), (1, 4), (7, 7)])
@pytest.mark.parametrize("block", [1, 100, 8 << 20])
def test_rows_in_any_pieces(path, here, there, block, monkeypatch):
    monkeypatch.setattr(_safetensors, "_BLOCK", block)
    monkeypatch.setattr(_safetensors, "_PAGE", 50 if block == 100 else 4096)
    weights = np.arange(5 * 11.0).reshape(5, 11)  # fewer rows than ranks, for some

    def save(comm):
        pe.save(path, emb=pe.Embedding(5, 11, weights=weights, comm=comm))

    def load(comm):
        emb = pe.Embedding(5, 11, comm=comm)
        pe.load(path, emb=emb)
        np.testing.assert_array_equal(emb.local, weights[comm.rank :: comm.size])

    on_ranks(here, save)
    on_ranks(there, load)


@given(st.integers(0, 40), st.integers(1, 9), st.integers(1, 9), st.data())
def test_common_rows(rows, here_step, there_step, data):
    here = range(data.draw(st.integers(0, here_step - 1)), rows, here_step)
    there = range(data.draw(st.integers(0, there_step - 1)), rows, there_step)
    at_here, at_there = common_rows(here, there)
    assert list(here[at_here]) == list(there[at_there]) == sorted({*here} & {*there})
    if {*here} & {*there}:
        assert there.start in parts_with(here, there_step)


def test_a_rank_opens_no_part_without_rows_of_its_own(path):
    saved(path, 4)
    first, second, third, fourth = parts(path)
    os.unlink(path.with_name(second))
    os.unlink(path.with_name(fourth))
    with open(path, "rb", buffering=0) as file:
        checkpoint = Checkpoint(file, str(path.parent))
        for rank in (0, 2):
            rows = range(rank, ROWS, 4)
            live = np.empty((len(rows), 5), "f4")
            checkpoint.read([Filled("emb.embeddings", "emb", rows, live)])
            part = load_file(path.with_name((first, third)[rank // 2]))
            np.testing.assert_array_equal(live, part["emb.embeddings"])
        both = range(0, ROWS, 2)
        checkpoint.read([Filled("emb.embeddings", "emb", both, np.empty((len(both), 5), "f4"))])
        with pytest.raises(FileNotFoundError):
            checkpoint.frozen_rows("emb", range(ROWS))


def test_memory_beside_the_rows_is_a_block(path, monkeypatch):
    monkeypatch.setattr(_safetensors, "_BLOCK", 4096)
    pe.save(path, emb=pe.Embedding(10_000, 16))
    with open(path, "rb", buffering=0) as file:
        checkpoint = Checkpoint(file, str(path.parent))
        rows = range(1, 10_000, 3)
        filled = [Filled("emb.embeddings", "emb", rows, np.empty((len(rows), 16), "f4"))]
        checkpoint.make_room(filled)
        room = checkpoint._room.bytes
        checkpoint.read(filled)
        assert checkpoint._room.bytes is room
        assert len(room) <= 4096


def test_a_layer_of_one_process_beside_a_sharded_one(path):
    def save(comm):
        emb = pe.Embedding(7, 2, "ones", comm=comm)
        own = pe.Embedding(3, 2, pe.initializers.Constant(float(comm.rank + 1)))
        pe.save(path, emb=emb, own=own)

    def load(comm):
        emb, own = pe.Embedding(7, 2, comm=comm), pe.Embedding(3, 2)
        pe.load(path, own=own, emb=emb)
        assert (emb.local == 1).all()
        assert (own.embeddings == 1).all()

    on_ranks(3, save)
    on_ranks(2, load)
    assert (pe.load(path)["own"].embeddings == 1).all()


def test_one_rank_saves_as_one_process(path):
    saved(path, 1)
    assert parts(path) == []
    assert json.loads(metadata_of(path)["pyembed"])["version"] == 1


def test_a_link_and_a_mode_stay(path):
    real = path.with_name("real.safetensors")
    real.touch(0o640)
    real.chmod(0o640)
    path.symlink_to(real.name)
    saved(path, 2)
    assert path.is_symlink()
    names = [name for name in parts(path) if name != real.name]
    assert all(name.startswith("real-") for name in names)
    assert {path.with_name(name).stat().st_mode & 0o777 for name in (*names, real.name)} == {0o640}
    moved = path.parent / "elsewhere"
    moved.mkdir()
    for name in (*names, real.name):
        shutil.move(path.with_name(name), moved / name)
    (moved / real.name).rename(moved / "renamed")
    assert pe.load(moved / "renamed").keys() == {"emb", "bag", "wide", "opt"}


class TestWhatIsLeft:
    def test_goes_with_the_next_save(self, path):
        saved(path, 2)
        old = parts(path)
        token = "0123456789abcdef"
        others = [
            f"checkpoint-{token}-0-of-2.safetensors.bak",
            f"other-{token}-0-of-2.safetensors",
            f".other.safetensors.{token}.tmp",
        ]
        leftovers = [
            f"checkpoint-{token}-6-of-8.safetensors",
            f".checkpoint.safetensors.{token}.tmp",
        ]
        for name in others + leftovers:
            path.with_name(name).touch()
        saved(path, 3)
        now = set(parts(path))
        assert now >= set(others)
        assert not now & {*leftovers, *old}
        assert len(now) == 3 + len(others)

    @pytest.mark.parametrize("rank", [0, 1])
    def test_nothing_of_a_part_that_fails(self, path, monkeypatch, rank):
        saved(path, 2)
        before = contents_of(path)
        creating = _saving_parts.creating

        def full(own, mode):
            if f"-{rank}-of-2" in own:
                raise OSError("no space left on device")
            return creating(own, mode)

        monkeypatch.setattr(_saving_parts, "creating", full)
        for error in on_ranks(2, refused_save(path)):
            assert isinstance(error, OSError)
            assert str(error) == f"rank {rank}: no space left on device"
        assert contents_of(path) == before

    @pytest.mark.parametrize("function", ["fsync", "replace"])
    def test_nothing_of_an_index_that_fails(self, path, monkeypatch, function):
        saved(path, 2)
        before = contents_of(path)
        real = getattr(os, function)

        def full(first, *rest):
            name = os.readlink(f"/proc/self/fd/{first}") if function == "fsync" else first
            if name.endswith(".tmp"):
                raise OSError("no space left on device")
            return real(first, *rest)

        monkeypatch.setattr(os, function, full)
        for error in on_ranks(2, refused_save(path)):
            assert str(error) == "rank 0: no space left on device"
        assert contents_of(path) == before

    def test_all_of_a_save_that_is_broken_off_once_it_is_there(self, path, monkeypatch):
        saved(path, 2)
        before = contents_of(path)
        real = os.replace

        def replace(*paths):
            real(*paths)
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "replace", replace)
        for error in on_ranks(2, refused_save(path, BaseException)):
            assert isinstance(error, KeyboardInterrupt)
        assert contents_of(path).keys() > before.keys()
        on_ranks(2, lambda comm: pe.load(path, **make("adam", comm)))

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
    def test_the_old_one_or_the_new_one_of_saves_that_are_killed(self, path):
        generations = subprocess.run(
            [sys.executable, sharded_jobs.__file__, path, "40"],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
        assert int(generations) > 5
        # One save later, nothing is left of those that were killed.
        sharded_jobs.save(path, 0)
        assert len(parts(path)) == 2


class TestRefused:
    def test_ranks_that_do_not_agree(self, path):
        def save_less(comm):
            objects = make("adam", comm)
            if comm.rank == 1:
                del objects["bag"]
            pe.save(path, **objects)

        def other_rates(comm):
            objects = make("adam", comm)
            objects["opt"].learning_rate = 0.5 + comm.rank
            pe.save(path, **objects)

        def load_less(comm):
            objects = make("adam", comm)
            if comm.rank == 1:
                del objects["bag"]
            pe.load(path, **objects)

        for body, told in ((save_less, "objects="), (other_rates, "opt.learning_rate=0.5")):
            with pytest.raises(ValueError, match=rf"the checkpoint: {told}.*on rank 1"):
                on_ranks(2, body)
            assert not os.listdir(path.parent)
        saved(path, 2)
        with pytest.raises(ValueError, match="what is loaded: objects="):
            on_ranks(2, load_less)

    def test_what_one_rank_alone_gives(self, path):
        saved(path, 2)
        before = contents_of(path)

        def body(comm):
            objects = make("adam", comm)
            last = comm.rank == 1
            for call in (pe.save, pe.load):
                for error, message, bad in (
                    (TypeError, "more must be a layer or an optimizer", {"more": 3}),
                    (ValueError, "twice is an optimizer that stands", {"twice": objects["opt"]}),
                    (ValueError, "mmap", {"mmap": objects["emb"]}),
                    (TypeError, "", {"path": 3}),
                    (OSError, "Is a directory", {"path": path.parent}),
                ):
                    given = {"path": path, **objects, **(bad if last else {})}
                    with pytest.raises(error, match=f"^rank 1: .*{message}"):
                        call(**given)
            with pytest.raises(OSError, match=r"^rank 1: .*No such file"):
                pe.load(path.with_name("nowhere") if last else path, **objects)
            pe.load(path, **objects)

        on_ranks(2, body)
        assert contents_of(path) == before

    def test_ranks_with_other_files(self, path):
        saved(path, 2)
        copy = path.parent / "copy"
        shutil.copytree(path.parent, copy)
        on_ranks(2, lambda comm: pe.save(copy / path.name, **make("adam", comm)))

        def load(comm):
            pe.load((path, copy / path.name)[comm.rank], **make("adam", comm))

        with pytest.raises(ValueError, match="what is loaded: file="):
            on_ranks(2, load)

        def save(comm):
            pe.save((path, copy / path.name)[comm.rank], **make("adam", comm))

        before = contents_of(path)
        with pytest.raises(OSError, match=r"rank 0: rank 1 wrote .* finds no file .*one folder"):
            on_ranks(2, save)
        assert contents_of(path) == before

    @pytest.mark.parametrize(
        ("damage", "error", "message"),
        [
            (os.unlink, OSError, "No such file"),
            (lambda part: os.truncate(part, 900), ValueError, "cut short"),
            (lambda part: part.write_bytes(b"no file"), ValueError, "no safetensors file"),
            (lambda part: shutil.copy(*other_parts(part)), ValueError, "it is not part 1 of this"),
        ],
    )
    def test_a_part_that_is_damaged(self, path, damage, error, message):
        saved(path, 2)
        damage(path.with_name(parts(path)[1]))

        def load(comm):
            objects = make("adam", comm)
            train(objects, [7], comm)
            expected = make("adam")
            train(expected, [7], ranks=2)
            with pytest.raises(error, match=rf"rank 1: .*{message}"):
                pe.load(path, **objects)
            check_same(objects, expected, comm)

        on_ranks(2, load)
        with pytest.raises(error, match=message):
            pe.load(path)

    def test_what_does_not_fit(self, path):
        saved(path, 3)

        def load(comm):
            emb = pe.Embedding(40, 5, comm=comm, embeddings_regularizer="l2", padding_idx=3)
            with pytest.raises(ValueError, match=r"emb: the table has shape \(41, 5\) in the file"):
                pe.load(path, emb=emb)
            wide = pe.Embedding(300, 17, comm=comm)
            with pytest.raises(TypeError, match="wide: the table has dtype float64 in the file"):
                pe.load(path, wide=wide)

        on_ranks(2, load)
        with pytest.raises(ValueError, match=r"mmap=True maps tables of one file.* 3 parts"):
            pe.load(path, mmap=True)
        with pytest.raises(ValueError, match="it is one part of a checkpoint: load the file that"):
            pe.load(path.with_name(parts(path)[0]))

    def test_a_folder_and_two_communicators(self, path):
        path.mkdir()
        for error in on_ranks(2, refused_save(path)):
            assert isinstance(error, OSError)
        assert not list(path.iterdir())

        def save(comm):
            one, two = pe.Embedding(4, 2, comm=comm), pe.Embedding(4, 2, comm=Other(comm))
            pe.save(path, one=one, two=two)

        with pytest.raises(ValueError, match="different communicators"):
            on_ranks(2, save)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda about: about.update(parts=["../a", "b"]), "name '../a', which is none of a"),
            (lambda about: about.update(parts=["", "b"]), "a part has the name ''"),
            (lambda about: about.update(parts=["x" * 256, "b"]), "name 'x*…, which is none of a"),
            (lambda about: about.update(parts=[]), "metadata are damaged .*parts is"),
            (lambda about: about.update(parts=["a"]), "emb is in 2 parts of 1"),
            (lambda about: about["tables"]["emb"].update(parts=0), "parts=0 must be an integer"),
            (
                lambda about: about["tables"]["emb"].update(rows=43),
                "embeddings is float32 of shape",
            ),
            (lambda about: about["tables"]["emb"].pop("rows"), "metadata are damaged .*rows"),
        ],
    )
    def test_an_index_that_is_damaged(self, path, change, message):
        saved(path, 2)
        about = json.loads(metadata_of(path)["pyembed"])
        change(about)
        save_file({}, path, {"pyembed": json.dumps(about)})
        with pytest.raises(ValueError, match=message):
            pe.load(path)


class Other:
    """Another communicator of the same ranks."""

    def __init__(self, comm):
        self.rank, self.size = comm.rank, comm.size
        self.counts, self.alltoallv = comm.counts, comm.alltoallv


def refused_save(path, kind=Exception):
    """What a rank does that saves, and returns the error."""

    def body(comm):
        try:
            pe.save(path, **make("adam", comm))
        except kind as error:
            return error
        return None

    return body


def contents_of(path):
    return {file.name: file.read_bytes() for file in path.parent.iterdir() if file.is_file()}


def other_parts(part):
    """The first part, and the second, in whose place it is copied."""
    first, _ = sorted(part.parent.glob("*-of-2*"))
    return first, part


def metadata_of(path):
    with safe_open(path, "np") as file:
        return file.metadata()
