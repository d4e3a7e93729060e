"""The parts of ``examples/recommender.py``, one concept a file.

``folds`` deals ratings to training and test, ``factorization`` is the model, ``optimizers`` what
trains it, ``training`` how; ``figure`` draws what was found.
"""
