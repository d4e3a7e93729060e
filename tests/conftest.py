import signal

import numpy as np
import pytest
from hypothesis import settings

import pyembed as pe

settings.register_profile("pyembed", deadline=None, print_blob=True)
settings.load_profile("pyembed")

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # As where a script runs this in the background; processes that tests interrupt would ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(params=[1, 2, 7])
def threads(request):
    """Run the test with this many threads."""
    before = pe.get_num_threads()
    pe.set_num_threads(request.param)
    yield request.param
    pe.set_num_threads(before)


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return np.dtype(request.param)


@pytest.fixture
def rng():
    return np.random.default_rng(20240229)


@pytest.fixture(params=[pe.Embedding, pe.EmbeddingBag], ids=["Embedding", "EmbeddingBag"])
def layer(request):
    return request.param
