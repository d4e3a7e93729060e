"""Embeddings and sparse optimizers for PyTorch models, at the speed of this library's kernels.

One changed import trains an existing model::

    from pyembed.torch import SparseAdam  # instead of: from torch.optim import SparseAdam

Parameters, gradients and state stay torch's tensors, which are read and written where they lie.
Kernels work in as many threads as torch does (`torch.get_num_threads`), unless
`pyembed.set_num_threads` said otherwise.
"""

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ImportError("pyembed.torch needs PyTorch: pip install torch") from None

from pyembed.torch._patching import patch, unpatch
from pyembed.torch.clip_grad import clip_grad_norm_
from pyembed.torch.embedding import Embedding
from pyembed.torch.embedding_bag import EmbeddingBag
from pyembed.torch.sparse_adagrad import SparseAdagrad, SparseRowWiseAdagrad
from pyembed.torch.sparse_adam import SparseAdam
from pyembed.torch.sparse_ftrl import SparseFTRL
from pyembed.torch.sparse_lion import SparseLion
from pyembed.torch.sparse_rms_prop import SparseRMSprop
from pyembed.torch.sparse_sgd import SparseSGD

__all__ = [
    "Embedding",
    "EmbeddingBag",
    "SparseAdagrad",
    "SparseAdam",
    "SparseFTRL",
    "SparseLion",
    "SparseRMSprop",
    "SparseRowWiseAdagrad",
    "SparseSGD",
    "clip_grad_norm_",
    "patch",
    "unpatch",
]
