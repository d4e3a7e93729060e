"""Work for other threads and processes."""

import threading

import numpy as np

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


def trained(seed):
    """A table after a few steps, each enough work for several threads."""
    rng = np.random.default_rng(seed)
    emb = pe.Embedding(1000, 64, seed=seed)
    opt = pe.SparseAdam(emb)
    ids = rng.integers(0, 1000, 20_000)
    for _ in range(3):
        opt.step(emb.backward(ids, emb(ids)))
    return emb.embeddings
