"""The parts of ``examples/sentiment.py``, one concept a file.

``snippets`` turns texts into word ids, ``classifier`` is the model and its training; ``one_hot``,
``pretrained`` and ``neighbours`` are the three questions, ``report`` and ``figure`` the answers.
"""
