"""Random histories of layers and optimizers, beside the same ones in plain NumPy.

`python tests/differential --help` runs them. A case is a few tables with their layers and an
optimizer (case.py), drawn (draw.py, settings.py) together with what happens to them (lookups.py,
operations.py, refusals.py). After each operation everything is compared, to the bit, with the model
(model.py), which knows reference.py and nothing else.
"""
