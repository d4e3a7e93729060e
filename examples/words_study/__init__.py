"""The parts of ``examples/words.py``, one concept a file.

``moves`` tells what training did to vectors, ``figure`` draws it. The model, and the snippets that
it learns from, are those of ``sentiment_study``.
"""
