"""Words and texts, and vectors that were trained for them.

>>> import numpy as np
>>> from pyembed import vectors
>>> vocabulary = vectors.Vocabulary.from_texts(["to be or not to be"])
>>> wv = vectors.load("glove.6B.zip/glove.6B.50d.txt", keep=vocabulary)  # doctest: +SKIP
>>> emb, coverage = wv.to_embedding(vocabulary)  # doctest: +SKIP
"""

from pyembed.vectors.approximate import ApproximateIndex
from pyembed.vectors.evaluation import AnalogyScores, AnalogySection, WordPairScores
from pyembed.vectors.loading import load
from pyembed.vectors.saving import save
from pyembed.vectors.sentence_vectors import SentenceVectors
from pyembed.vectors.vocabulary import Vocabulary
from pyembed.vectors.word_vectors import Coverage, WordVectors

__all__ = [
    "AnalogyScores",
    "AnalogySection",
    "ApproximateIndex",
    "Coverage",
    "SentenceVectors",
    "Vocabulary",
    "WordPairScores",
    "WordVectors",
    "load",
    "save",
]
