"""The embedding engine for NumPy.

Tables of millions of rows, looked up, differentiated and trained in place on a CPU:

>>> import numpy as np
>>> import pyembed as pe
>>> emb = pe.Embedding(input_dim=1000, output_dim=4, seed=0)
>>> opt = pe.SparseAdam(emb, learning_rate=1e-3)
>>> ids = np.array([[3, 1], [3, 2]])
>>> emb(ids).shape
(2, 2, 4)
>>> opt.step(emb.backward(ids, np.ones((2, 2, 4), np.float32)))
"""

try:
    import pyembed._core
except ModuleNotFoundError as error:
    if error.name != "pyembed._core":
        raise
    raise ImportError(
        "this pyembed is a source folder without its compiled core: build it with 'pip install .' "
        "from the checkout, and run Python from another folder (or as 'python path/to/script.py'), "
        "so that the installed package is the one found"
    ) from None

from pyembed import (
    baseline,
    constraints,
    initializers,
    ops,
    regularizers,
    schedules,
    sharding,
    vectors,
    word2vec,
)
from pyembed.config import get_num_threads, release_memory, set_num_threads, show_config
from pyembed.io import load, save
from pyembed.layers import Embedding, EmbeddingBag
from pyembed.optimizers import (
    SparseAdagrad,
    SparseAdam,
    SparseFTRL,
    SparseLion,
    SparseRMSprop,
    SparseRowWiseAdagrad,
    SparseSGD,
)
from pyembed.sparse_grad import SparseGrad, clip_global_norm

__version__: str = pyembed._core.__version__

__all__ = [
    "Embedding",
    "EmbeddingBag",
    "SparseAdagrad",
    "SparseAdam",
    "SparseFTRL",
    "SparseGrad",
    "SparseLion",
    "SparseRMSprop",
    "SparseRowWiseAdagrad",
    "SparseSGD",
    "baseline",
    "clip_global_norm",
    "constraints",
    "get_num_threads",
    "initializers",
    "load",
    "ops",
    "regularizers",
    "release_memory",
    "save",
    "schedules",
    "set_num_threads",
    "sharding",
    "show_config",
    "vectors",
    "word2vec",
]
