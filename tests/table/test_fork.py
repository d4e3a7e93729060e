"""A forked child works, in its calling thread alone, whatever its parent was doing."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import pyembed as pe
import workers
from workers import run_all, trained

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def exit_status_of_a_fork(child_is_good):
    """Fork, and return the exit status of a child that runs the function; None if it hangs."""
    child = os.fork()
    if child == 0:
        good = False
        try:
            good = child_is_good()
        finally:
            os._exit(0 if good else 1)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return None


def test_after_the_parent_used_threads(rng):
    emb = pe.Embedding(1000, 64, seed=0)
    opt = pe.SparseAdam(emb)
    ids = rng.integers(0, 1000, 50_000)
    grad = np.ones((50_000, 64), np.float32)
    opt.step(emb.backward(ids, grad))

    def child_is_good():
        opt.step(emb.backward(ids, grad))
        return pe.get_num_threads() == 1 and (emb(ids[:9]) == emb.embeddings[ids[:9]]).all()

    assert exit_status_of_a_fork(child_is_good) == 0


def test_while_other_threads_of_the_parent_hold_its_locks(rng):
    emb = pe.Embedding(1000, 64, seed=0)
    opt = pe.SparseAdam(emb)
    ids = rng.integers(0, 1000, 20_000)
    grad = emb.backward(ids, np.ones((20_000, 64), np.float32))
    done = threading.Event()

    def train():
        while not done.is_set():
            opt.step(grad)

    def child_is_good():
        opt.step(grad)
        return emb(ids).shape == (20_000, 64)

    def fork():
        try:
            for _ in range(5):
                time.sleep(0.01)
                assert exit_status_of_a_fork(child_is_good) == 0
        finally:
            done.set()

    run_all(train, fork)


def test_in_the_middle_of_a_step_of_exact_adam():
    rows = 200_000
    emb = pe.Embedding(rows, 16, "zeros")
    opt = pe.SparseAdam(emb, 0.1, update="exact")
    ids = np.arange(rows)
    grad = emb.backward(ids, np.ones((rows, 16), np.float32))
    nothing = emb.backward([], np.empty((0, 16), np.float32))
    opt.step(grad)
    for step in range(1100):  # so that what is kept of each step has been in use
        opt.step(nothing)
        if step % 500 == 0:
            opt.flush()
    view = emb.embeddings
    done = threading.Event()

    def train():
        while not done.is_set():
            opt.step(grad)

    def child_is_good():  # no row is behind, whether it has made the last step or not
        return (emb(ids) == view).all()

    def fork():
        try:
            for _ in range(5):
                time.sleep(0.03)
                assert exit_status_of_a_fork(child_is_good) == 0
        finally:
            done.set()

    run_all(train, fork)


def test_a_pool_after_the_parent_used_threads():
    expected = [trained(seed) for seed in range(4)]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        results = pool.map_async(trained, range(4)).get(timeout=60)
    np.testing.assert_array_equal(results, expected)


def test_a_pool_before_the_parent_used_anything():
    script = """if True:
        import multiprocessing
        import numpy as np
        from workers import trained

        with multiprocessing.get_context("fork").Pool(2) as pool:
            results = pool.map_async(trained, range(4)).get(timeout=60)
        np.testing.assert_array_equal(results, [trained(seed) for seed in range(4)])
    """
    here = Path(workers.__file__).parent
    subprocess.run([sys.executable, "-c", script], cwd=here, check=True, timeout=120)


def test_a_process_while_the_parent_goes_on_with_threads(rng):
    context = multiprocessing.get_context("fork")
    emb = pe.Embedding(1000, 64, seed=0)
    opt = pe.SparseAdam(emb)
    ids = rng.integers(0, 1000, 20_000)

    def rows_after(steps):
        for _ in range(steps):
            opt.step(emb.backward(ids, emb(ids)))
        return emb(ids[:1000])

    rows_after(2)
    receive, send = context.Pipe(duplex=False)
    child = context.Process(target=lambda: send.send(rows_after(10)))
    child.start()
    try:
        send.close()
        expected = rows_after(10)
        assert receive.poll(60), "the child hangs"
        np.testing.assert_array_equal(receive.recv(), expected)
        child.join(60)
        assert child.exitcode == 0
    finally:
        child.kill()
