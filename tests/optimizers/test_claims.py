"""A table has one optimizer."""

import gc
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pyembed as pe


def test_a_table_in_two_optimizers():
    emb, other = pe.Embedding(3, 2, name="words"), pe.Embedding(3, 2)
    opt = pe.SparseAdam(emb)
    with pytest.raises(ValueError, match=r"words is updated by another .* opt.release\(\)"):
        pe.SparseSGD([other, emb])
    pe.SparseSGD(other)  # the refused optimizer claimed neither
    opt.release()
    sgd = pe.SparseSGD(emb)
    sgd.step(emb.backward([1], np.ones((1, 2), np.float32)))
    with pytest.raises(RuntimeError, match=r"release\(\)"):
        opt.step(emb.backward([1], np.ones((1, 2), np.float32)))
    opt.release()  # again: nothing to give up, and nothing taken from its successor
    with pytest.raises(ValueError, match="updated by another optimizer"):
        pe.SparseSGD(emb)


def test_a_dead_optimizer_claims_nothing():
    emb = pe.Embedding(3, 2)
    pe.SparseAdam(emb)
    gc.collect()
    pe.SparseAdam(emb)


def test_garbage_that_is_collected_during_a_claim_may_release_its_own():
    script = """if True:
        import gc
        import pyembed as pe

        class Owner:
            def __init__(self):
                self.opt = pe.SparseSGD(pe.Embedding(1, 1))
                self.itself = self

            def __del__(self):
                self.opt.release()

        emb = pe.Embedding(1, 1)
        for allocations in range(1, 100):  # until the collector comes, at every place there is
            Owner()
            gc.set_threshold(allocations)
            opt = pe.SparseSGD(emb)
            gc.set_threshold(700)
            opt.release()
    """
    here = Path(__file__).parent
    subprocess.run([sys.executable, "-c", script], cwd=here, check=True, timeout=20)
