"""Copies, files and growth while other threads use the table: rows are whole."""

import copy
import threading

import numpy as np
import pytest

import pyembed as pe
from workers import run_all

ROWS = 20_000


def while_running(loop, function):
    """Call function, while another thread loops."""
    ended = threading.Event()

    def go_on():
        while not ended.is_set():
            loop()

    def run():
        try:
            function()
        finally:
            ended.set()

    run_all(go_on, run)


def stepping():
    """A layer, its optimizer, and a step that does the same to all elements."""
    emb = pe.Embedding(ROWS, 16, "zeros")
    opt = pe.SparseAdagrad(emb, 1.0, initial_accumulator_value=0.0)  # which counts the steps
    grad = -np.ones((ROWS, 16), np.float32)
    return emb, opt, lambda: opt.step(emb.backward(np.arange(ROWS), grad))


def after(steps):
    """Return what an element of its table holds after so many steps."""
    alone = pe.Embedding(1, 16, "zeros")
    opt = pe.SparseAdagrad(alone, 1.0, initial_accumulator_value=0.0)
    for _ in range(steps):
        opt.step(alone.backward([0], -np.ones((1, 16), np.float32)))
    return alone.embeddings[0, 0]


@pytest.mark.parametrize("order", ["opt, emb", "emb, opt"])
def test_a_copy_while_another_thread_steps(order):
    emb, opt, step = stepping()

    def copy_both():
        for _ in range(30):
            if order == "opt, emb":
                opt_2, emb_2 = copy.deepcopy((opt, emb))
            else:
                emb_2, opt_2 = copy.deepcopy((emb, opt))
            assert opt_2.tables == (emb_2,)
            assert emb_2._table.owner is opt_2
            (state,) = opt_2.state_dict()["tables"]
            t = state["t"]
            assert (emb_2.embeddings == emb_2.embeddings[0, 0]).all()
            assert (state["accumulator"] == t).all()
            if order == "opt, emb":
                assert emb_2.embeddings[0, 0] == after(t)

    while_running(step, copy_both)


def scaled_meanwhile(copied):
    """Check that rows of a copy are whole, made while a lookup scales all rows from 1 to 1/4."""
    for _ in range(20):
        emb = pe.Embedding(ROWS, 16, "ones", max_norm=1.0)
        copies = []
        run_all(
            lambda emb=emb: emb(np.arange(ROWS)),
            lambda emb=emb, copies=copies: copies.append(copied(emb)),
        )
        rows = copies[0].embeddings
        assert np.isin(rows[:, 0], [1.0, emb.embeddings[0, 0]]).all()
        assert (rows == rows[:, :1]).all()


def test_a_copy_of_a_layer_while_lookups_scale_its_rows():
    scaled_meanwhile(copy.deepcopy)


def test_a_copy_shares_what_its_memo_has():
    emb = pe.Embedding(3, 2, "ones")
    bag = pe.EmbeddingBag.sharing(emb)
    emb_2, bag_2, again = copy.deepcopy([emb, bag, emb])
    assert again is emb_2
    emb_2.embeddings[1] = 5
    assert bag_2([[1]]).tolist() == [[5, 5]]
    assert emb.embeddings[1].tolist() == [1, 1]


def test_a_file_while_lookups_scale_its_rows(tmp_path):
    def through_a_file(emb):
        pe.save(tmp_path / "file", emb=emb)
        return pe.load(tmp_path / "file")["emb"]

    scaled_meanwhile(through_a_file)


def test_lookups_while_a_file_is_loaded_into_the_table(tmp_path):
    emb = pe.Embedding(ROWS, 16, "zeros")
    files = [tmp_path / "zeros", tmp_path / "ones"]
    for value, path in enumerate(files):
        emb.embeddings[:] = value
        pe.save(path, emb=emb)

    def load():
        for turn in range(60):
            pe.load(files[turn % 2], emb=emb)

    def look_up():
        found = emb(np.arange(ROWS))
        assert (found == found[0, 0]).all()

    while_running(look_up, load)


def test_an_optimizer_made_while_the_table_grows():
    def grow(emb):
        for rows in range(2001, 2041):
            emb.grow(rows)

    for cls in (pe.SparseSGD, pe.SparseAdam):
        emb = pe.Embedding(2000, 16, "zeros")

        def make(emb=emb, cls=cls):
            opt = cls(emb, 0.5)
            last = emb.input_dim - 1
            opt.step(emb.backward([last], np.ones((1, 16), np.float32)))
            assert (emb([last]) < 0).all()
            opt.release()

        while_running(make, lambda emb=emb: grow(emb))
        assert emb.input_dim == 2040


def test_a_layer_without_an_optimizer_is_saved_while_it_grows(tmp_path):
    emb = pe.Embedding(2000, 4, "ones")

    def grow():
        for rows in range(2001, 2041):
            emb.grow(rows)

    def save():
        pe.save(tmp_path / "file", emb=emb)
        saved = pe.load(tmp_path / "file")["emb"]
        assert 2000 <= saved.input_dim <= 2040
        assert (saved.embeddings == 1).all()

    while_running(save, grow)
