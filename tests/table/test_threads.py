"""Calls from several Python threads: no GIL, lookups share a table, steps exclude them."""

import threading
import time

import numpy as np
import pytest

import pyembed as pe
from workers import run_all


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


def test_eight_threads_look_up_one_table(layer, rng):
    # Sums of whole numbers are exact in any order.
    table = rng.integers(-9, 10, (5000, 32)).astype(np.float32)
    options = {"mode": "sum"} if layer is pe.EmbeddingBag else {}
    shared = layer.from_pretrained(table, **options)

    def look_up(seed):
        ids = np.random.default_rng(seed).integers(0, 5000, (1000, 5))
        expected = table[ids].sum(axis=1) if options else table[ids]
        for _ in range(20):
            np.testing.assert_array_equal(shared(ids), expected)

    run_all(*[lambda seed=seed: look_up(seed) for seed in range(8)])


@pytest.mark.parametrize("optimizer", [pe.SparseSGD, pe.SparseAdam])
def test_a_lookup_never_sees_half_a_step(layer, optimizer):
    # Every step does the same to every element: a lookup sees a table of one number.
    def train(table, ids):
        opt = optimizer(table, 1.0)
        grad = -np.ones_like(table(ids))
        for _ in range(50):
            opt.step(table.backward(ids, grad))

    alone = layer(1, 1, "zeros", dtype="float64")
    train(alone, [[0]])
    table = layer(20_000, 16, "zeros", dtype="float64")
    ids = np.arange(20_000)[:, np.newaxis]
    trained = threading.Event()

    def train_shared():
        try:
            train(table, ids)
        finally:
            trained.set()

    def look_up(some_ids):
        while not trained.is_set():
            rows = table(some_ids)
            assert (rows == rows.flat[0]).all()

    run_all(train_shared, lambda: look_up(ids), lambda: look_up(ids[::500]))
    assert alone.embeddings[0, 0] > 0.0
    assert (table.embeddings == alone.embeddings[0, 0]).all()


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
