"""Layers: tables that are looked up and give gradients."""

from pyembed.layers.embedding import Embedding
from pyembed.layers.embedding_bag import EmbeddingBag

__all__ = ["Embedding", "EmbeddingBag"]
