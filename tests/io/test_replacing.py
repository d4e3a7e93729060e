"""A save that is interrupted leaves the old file whole."""

import os
import socket
import stat
import threading
from pathlib import Path

import numpy as np
import pytest

import checkpoint_jobs
import pyembed as pe
from checkpoint_jobs import run, trained
from pyembed.io import _safetensors

ROWS = np.arange(12.0).reshape(4, 3)


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


@pytest.mark.skipif(os.name != "posix", reason="what POSIX has")
class TestModes:
    @pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444, 0o777])
    def test_that_of_the_old_file_stays(self, path, mode):
        path.touch()
        path.chmod(mode)
        pe.save(path, emb=pe.Embedding(4, 3))
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert pe.load(path).keys() == {"emb"}

    def test_nobody_else_reads_the_new_file_before(self, path, monkeypatch):
        path.touch(0o600)
        modes = []
        write = _safetensors.write

        def watched(file, *arguments):
            modes.append(stat.S_IMODE(os.fstat(file.fileno()).st_mode))
            write(file, *arguments)

        monkeypatch.setattr(_safetensors, "write", watched)
        pe.save(path, emb=pe.Embedding(4, 3))
        assert modes == [0o600]

    @pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
    def test_a_new_file_has_the_usual_one(self, path, umask):
        before = os.umask(umask)
        try:
            pe.save(path, emb=pe.Embedding(4, 3))
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_a_folder_that_cannot_be_read_or_synced(path, monkeypatch):
    open_, sync = os.open, os.fsync

    def refuse_folders(name, flags, *mode):
        if os.path.isdir(name):
            raise PermissionError("no reading")
        return open_(name, flags, *mode)

    def sync_files(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError("no syncing")
        sync(descriptor)

    for name, function in (("open", refuse_folders), ("fsync", sync_files)):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, function)
            pe.save(path, **{name: pe.Embedding(4, 3)})
        assert pe.load(path).keys() == {name}


@pytest.mark.skipif(os.name != "posix", reason="other limits elsewhere")
@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "x" * 234, "日" * 85, "x"])
def test_names_of_any_length(tmp_path, name):
    for _ in range(2):
        pe.save(tmp_path / name, emb=pe.Embedding(4, 3))
        assert pe.load(tmp_path / name).keys() == {"emb"}
    assert os.listdir(tmp_path) == [name]


class TestWhatIsNoFile:
    def make(self, kind, path):
        if kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "loop":
            path.symlink_to(path)
        elif kind == "socket":
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(os.path.relpath(path))  # the system allows few characters

    @pytest.mark.skipif(os.name != "posix", reason="what POSIX has")
    @pytest.mark.parametrize("linked", [False, True])
    @pytest.mark.parametrize("kind", ["folder", "pipe", "loop", "socket"])
    def test_is_refused(self, path, kind, linked, monkeypatch):
        monkeypatch.chdir(path.parent)
        self.make(kind, path)
        link = path.with_name("link")
        if linked:
            link.symlink_to(path)
        given = link if linked else path
        before = path.lstat()
        for call in (
            lambda: pe.save(given, emb=pe.Embedding(4, 3)),
            lambda: pe.load(given),
            lambda: pe.load(given, mmap=True),
        ):
            with pytest.raises(OSError, match=r"no regular file|Is a directory|symbolic links"):
                call()
        after = path.lstat()
        assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
        assert len(os.listdir(path.parent)) == 1 + linked

    def test_a_name_that_ends_as_a_folder_s(self, path):
        with pytest.raises(IsADirectoryError):
            pe.save(f"{path}/", emb=pe.Embedding(4, 3))
        assert not path.exists()

    def test_a_link_that_leads_to_no_file_yet(self, path):
        link = path.with_name("link")
        link.symlink_to(path)
        pe.save(link, emb=pe.Embedding(4, 3))
        assert link.is_symlink()
        assert pe.load(path).keys() == {"emb"}

    def test_a_descriptor_stays_the_caller_s(self, path):
        emb = pe.Embedding(4, 3)
        pe.save(path, emb=emb)
        with open(path, "rb") as file:
            for given in (file.fileno(), file):
                for call in (pe.load, pe.save):
                    with pytest.raises(TypeError, match=r"expected str, bytes or os.PathLike"):
                        call(given, emb=emb)
            assert file.read(8)


def test_a_table_that_grows_meanwhile(path):
    emb = pe.Embedding(1, 3, "ones")
    bag = pe.EmbeddingBag.sharing(emb)
    grown = threading.Event()

    def grow():
        for rows in range(2, 3000):
            emb.grow(rows)
        grown.set()

    thread = threading.Thread(target=grow)
    thread.start()
    while not grown.is_set():
        pe.save(path, emb=emb, bag=bag)
        again = pe.load(path)  # or the file does not fit itself
        assert (again["emb"].embeddings == 1).all()
        try:
            pe.load(path, bag=bag)
        except ValueError as error:
            assert "the table has shape" in str(error)  # noqa: PT017
    thread.join()


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
