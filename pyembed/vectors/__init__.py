"""Words, and vectors that were trained for them."""

from pyembed.vectors.vocabulary import Vocabulary

__all__ = ["Vocabulary"]
