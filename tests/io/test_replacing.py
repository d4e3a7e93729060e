"""A save that is interrupted leaves the old file whole."""

import os
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
