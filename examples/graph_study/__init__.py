"""The parts of ``examples/graph.py``, one concept a file.

``films`` makes a graph of ratings, ``network`` is what it lies in, ``walks`` goes through it at
random, ``links`` hides some of it and judges guesses; ``embedding`` is who trains; ``report`` and
``figure`` tell what was found.
"""
