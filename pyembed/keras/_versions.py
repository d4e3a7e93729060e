"""Which versions and backends of Keras there are layers for."""

from __future__ import annotations

import re
from typing import Any

BACKENDS = ("torch", "tensorflow", "jax", "numpy")
OLDEST = (3, 10)  # before, optimizers keep state for every variable


def check(keras: Any) -> None:
    """Raise ImportError where this Keras, or the backend it runs on, is none of those."""
    version = tuple(int(part) for part in re.findall(r"\d+", keras.__version__)[:2])
    oldest = ".".join(map(str, OLDEST))
    if version < OLDEST:
        raise ImportError(
            f"pyembed.keras needs Keras {oldest} or later, not {keras.__version__}: "
            f"pip install 'keras>={oldest}'"
        )
    backend = keras.backend.backend()
    if backend not in BACKENDS:
        raise ImportError(
            f"pyembed.keras has no layers for Keras's backend {backend!r}: set KERAS_BACKEND to "
            f"one of {', '.join(BACKENDS)} before Keras is imported"
        )
