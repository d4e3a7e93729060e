"""Word vectors, learned from texts.

>>> from pyembed import word2vec
>>> texts = [["to", "be", "or", "not", "to", "be"]] * 100
>>> wv = word2vec.train(texts, dim=8, seed=1)
>>> wv["be"].shape
(8,)
"""

from pyembed.word2vec._progress import Progress
from pyembed.word2vec._trained import TrainedVectors
from pyembed.word2vec.training import train

__all__ = ["Progress", "TrainedVectors", "train"]
