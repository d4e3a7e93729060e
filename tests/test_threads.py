"""Calls from several Python threads: no GIL, lookups share a table, steps exclude them."""

import os
import threading
import time

import numpy as np
import pytest

import pyembed as pe


def run_all(*functions):
    """Run each function in a thread of its own; raise what any of them raised."""
    errors = []

    def guarded(function):
        try:
            function()
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=guarded, args=(f,)) for f in functions]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if errors:
        raise errors[0]


@pytest.fixture
def one_thread():
    before = pe.get_num_threads()
    pe.set_num_threads(1)
    yield
    pe.set_num_threads(before)


def test_the_gil_is_released(one_thread, rng):
    # While one thread is inside a single long call, another must get to run Python.
    emb = pe.Embedding(200_000, 64, "zeros")
    ids = rng.integers(0, 200_000, 1_000_000)
    out = np.zeros((1_000_000, 64), np.float32)
    state = {"in_call": False, "seen_in_call": 0}

    def look_up():
        for _ in range(5):
            state["in_call"] = True
            emb(ids, out=out)
            state["in_call"] = False

    def watch():
        deadline = time.monotonic() + 60
        while lookups.is_alive() and time.monotonic() < deadline:
            state["seen_in_call"] += state["in_call"]
            time.sleep(0.001)

    lookups = threading.Thread(target=look_up)
    watcher = threading.Thread(target=watch)
    lookups.start()
    watcher.start()
    lookups.join()
    watcher.join()
    # Holding the GIL, the call would let the watcher run only between calls.
    assert state["seen_in_call"] > 5


def test_two_threads_train_two_tables(rng):
    ids = rng.integers(0, 1000, 20_000)
    grad = rng.standard_normal((20_000, 16)).astype(np.float32)

    def trained():
        emb = pe.Embedding(1000, 16, seed=0)
        opt = pe.SparseAdam(emb)
        for _ in range(10):
            opt.step(emb.backward(ids, grad))
        return emb.embeddings

    expected = trained()
    results = []
    run_all(*[lambda: results.append(trained())] * 2)
    for result in results:
        np.testing.assert_array_equal(result, expected)


def test_eight_threads_look_up_one_table(rng):
    table = rng.standard_normal((5000, 32)).astype(np.float32)
    emb = pe.Embedding.from_pretrained(table)

    def look_up(seed):
        ids = np.random.default_rng(seed).integers(0, 5000, 5000)
        for _ in range(20):
            np.testing.assert_array_equal(emb(ids), table[ids])

    run_all(*[lambda seed=seed: look_up(seed) for seed in range(8)])


def test_a_lookup_never_sees_half_a_step(rng):
    # Every step adds the same number to every element: a lookup sees a table of one number.
    emb = pe.Embedding(20_000, 16, "zeros", dtype="float64")
    opt = pe.SparseSGD(emb, 1.0)
    ids = np.arange(20_000)
    grad = -np.ones((20_000, 16))
    steps_left = threading.Event()

    def train():
        for _ in range(50):
            opt.step(emb.backward(ids, grad))
        steps_left.set()

    def look_up():
        while not steps_left.is_set():
            rows = emb(ids)
            assert (rows == rows[0, 0]).all()

    run_all(train, look_up, look_up)
    assert (emb.embeddings == 50.0).all()


def test_lookups_in_a_loop_do_not_starve_a_step():
    emb = pe.Embedding(1000, 64, seed=0)
    opt = pe.SparseSGD(emb)
    ids = np.arange(1000)
    grad = emb.backward([1], np.ones((1, 64), np.float32))
    stepped = threading.Event()
    deadline = time.monotonic() + 30

    def look_up():
        while not stepped.is_set() and time.monotonic() < deadline:
            emb(ids)

    def step():
        for _ in range(20):
            opt.step(grad)
        stepped.set()

    run_all(step, *[look_up] * 4)
    assert time.monotonic() < deadline


def test_one_optimizer_stepped_from_two_threads(rng):
    emb = pe.Embedding(100, 4, "zeros", dtype="float64")
    opt = pe.SparseSGD(emb, 1.0)

    def train():
        for _ in range(100):
            opt.step(emb.backward([3], -np.ones((1, 4))))

    run_all(train, train)
    assert emb.embeddings[3].tolist() == [200.0] * 4
    assert opt._states[emb._table].t == 200


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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
class TestForkedChild:
    def test_after_the_parent_used_threads(self, rng):
        emb = pe.Embedding(1000, 64, seed=0)
        opt = pe.SparseAdam(emb)
        ids = rng.integers(0, 1000, 50_000)
        grad = np.ones((50_000, 64), np.float32)
        opt.step(emb.backward(ids, grad))

        def child_is_good():
            opt.step(emb.backward(ids, grad))
            return pe.get_num_threads() == 1 and (emb(ids[:9]) == emb.embeddings[ids[:9]]).all()

        assert exit_status_of_a_fork(child_is_good) == 0

    def test_while_other_threads_of_the_parent_hold_its_locks(self, rng):
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
