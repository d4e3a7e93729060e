"""Ctrl-C ends a long loop of calls soon, and leaves what a call does whole."""

import copy
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import pyembed as pe
from alarms import Alarm
from pyembed._uninterrupted import uninterrupted
from pyembed.table import Table
from workers import run_all

HERE = Path(__file__).parent
unix = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarms on this system")

LOOP = """
import signal
import numpy as np
import pyembed as pe

signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored where tests run
emb = pe.Embedding(200_000, 64, seed=0)
opt = pe.SparseAdam(emb)
ids = np.random.default_rng(0).integers(0, 200_000, 100_000)
try:
    print("ready", flush=True)
    while True:
        opt.step(emb.backward(ids, emb(ids)))
except KeyboardInterrupt:
    before = emb(ids[:9])
    opt.step(emb.backward(ids[:9], np.ones_like(before)))
    assert (emb(ids[:9]) != before).all()
    print("usable", flush=True)
    raise
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to one process on this system")
def test_a_loop_of_lookups_and_steps():
    child = subprocess.Popen(
        [sys.executable, "-c", LOOP],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent,
    )
    with child:
        try:
            assert child.stdout.readline() == "ready\n", child.stderr.read()
            time.sleep(0.2)  # into the loop
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=10)
        finally:
            child.kill()
    assert out == "usable\n"
    assert err.splitlines()[-1] == "KeyboardInterrupt"
    assert child.returncode == -signal.SIGINT


@pytest.fixture
def alarm():
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    yield lambda: signal.raise_signal(signal.SIGALRM)
    signal.signal(signal.SIGALRM, before)


def trained():
    layers = [pe.Embedding(3, 2, "ones", name=f"emb{n}") for n in range(4)]
    opt = pe.SparseAdam(layers, 0.5)
    opt.step(*(layer.backward([1], np.ones((1, 2), np.float32)) for layer in layers))
    return layers, opt


def steps_of(opt):
    return [table["t"] for table in opt.state_dict()["tables"]]


@unix
def test_release_gives_up_all_tables_before_an_interrupt_is_raised(alarm, monkeypatch):
    layers, opt = trained()
    let_go = Table.let_go
    third = layers[2]._table
    alarms = iter([alarm])
    monkeypatch.setattr(
        Table, "let_go", lambda table: (table is third and next(alarms, int)(), let_go(table))
    )
    with pytest.raises(KeyboardInterrupt):
        opt.release()
    monkeypatch.undo()
    assert opt.tables == ()
    assert [layer._table.owner for layer in layers] == [None] * 4


@unix
def test_a_state_is_loaded_whole_before_an_interrupt_is_raised(alarm, monkeypatch):
    _, opt = trained()
    state = copy.deepcopy(opt.state_dict())
    layers, other = trained()
    other.step(*(layer.backward([1], np.ones((1, 2), np.float32)) for layer in layers))
    copyto = np.copyto
    monkeypatch.setattr(np, "copyto", lambda *pair: (alarm(), copyto(*pair)))
    with pytest.raises(KeyboardInterrupt):
        other.load_state_dict(state)
    monkeypatch.undo()
    loaded = other.state_dict()["tables"]
    assert [table["t"] for table in loaded] == [1, 1, 1, 1]
    for table, given in zip(loaded, state["tables"], strict=True):
        np.testing.assert_array_equal(table["m"], given["m"])


@unix
def test_a_file_is_loaded_whole_before_an_interrupt_is_raised(alarm, monkeypatch, tmp_path):
    names = ("a", "b", "c", "d")
    layers, opt = trained()
    saved = dict(zip(names, layers, strict=True))
    pe.save(tmp_path / "file", opt=opt, **saved)
    expected = [layer.embeddings.copy() for layer in layers]
    opt.step(*(layer.backward([1], np.ones((1, 2), np.float32)) for layer in layers))
    go_on = pe.SparseAdam._go_on_from
    monkeypatch.setattr(pe.SparseAdam, "_go_on_from", lambda *given: (alarm(), go_on(*given)))
    with pytest.raises(KeyboardInterrupt):
        pe.load(tmp_path / "file", opt=opt, **saved)
    assert steps_of(opt) == [1, 1, 1, 1]
    for layer, rows in zip(layers, expected, strict=True):
        np.testing.assert_array_equal(layer.embeddings, rows)


# A signal may come at the instant at which the call is whole, when nothing is left to wait for.
# Each is raised within its turn's `try`, once, or not at all.
AT_THE_END = """
import signal
from pyembed._uninterrupted import uninterrupted

def interrupt(*_):
    global armed
    if armed:
        armed = False
        raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
interrupted = 0
for turn in range(6000):
    try:
        armed = True
        signal.setitimer(signal.ITIMER_REAL, 1e-6 * (1 + turn % 100))
        uninterrupted(int)
        armed = False
    except KeyboardInterrupt:
        interrupted += 1
assert interrupted > 100, interrupted
"""


@unix
def test_an_interrupt_as_a_call_ends():
    subprocess.run([sys.executable, "-c", AT_THE_END], check=True, timeout=120, cwd=HERE)


@unix
def test_an_uninterrupted_call_raises_its_own_errors_and_sees_the_callers_settings():
    def refuse():
        raise ZeroDivisionError("its own")

    with pytest.raises(ZeroDivisionError, match="its own"):
        uninterrupted(refuse)
    with np.errstate(divide="raise"):
        assert uninterrupted(np.geterr)["divide"] == "raise"


@unix
def test_timed_interrupts_of_a_step_leave_all_tables_at_one_count():
    layers = [pe.Embedding(2000, 16, "zeros") for _ in range(4)]
    opt = pe.SparseSGD(layers, 1.0)
    ids, grad = np.arange(2000), -np.ones((2000, 16), np.float32)
    alarm = Alarm()
    try:
        for turn in range(100):
            alarm.rings_in(
                lambda: opt.step(*(layer.backward(ids, grad) for layer in layers)),
                1e-6 + turn * 2e-5,
            )
            t = steps_of(opt)[0]
            assert steps_of(opt) == [t] * 4
            assert all((layer.embeddings == t).all() for layer in layers)
    finally:
        alarm.restore()
    run_all(lambda: opt.step(layers[0].backward([0], grad[:1])))
