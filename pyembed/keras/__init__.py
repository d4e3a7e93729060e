"""Keras's embedding layer with sparse updates inside ``fit``.

One changed import trains an existing model::

    from pyembed.keras import Embedding  # instead of: from keras.layers import Embedding

That is Keras's own layer. With ``optimizer=functools.partial(pyembed.SparseAdam)`` its table is
ours, and a training step touches the rows that were looked up and no others. Keras 3 on PyTorch,
TensorFlow or JAX; on NumPy, to predict.
"""

try:
    import keras as _keras
except ModuleNotFoundError as error:
    if error.name != "keras":
        raise
    raise ImportError("pyembed.keras needs Keras 3: pip install 'keras>=3.10'") from None

from pyembed.keras import _versions

_versions.check(_keras)

from pyembed.keras.callbacks import FollowLearningRate  # noqa: E402
from pyembed.keras.embedding import Embedding  # noqa: E402
from pyembed.keras.embedding_bag import EmbeddingBag  # noqa: E402

__all__ = ["Embedding", "EmbeddingBag", "FollowLearningRate"]
