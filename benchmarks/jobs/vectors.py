"""Word vectors read from files, beside gensim, pandas' C parser, and reading the bytes alone.

The files are written here: words, and numbers of five digits, as GloVe has them. Reading the bytes
is no contestant, but the limit. gensim takes so long that it reads fewer rows.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

import peers
from data import Array
from harness import Case, Contestant, Match
from jobs import Table
from options import Options
from pyembed import vectors

ROWS, FEW, DIM = 400_000, 40_000, 50
_FOLDER = tempfile.TemporaryDirectory()


def tables(options: Options) -> list[Table]:
    rows, few, dim = (300, 100, 3) if options.smoke else (ROWS, FEW, DIM)
    return [
        Table(f"{what} read", [_case(kind, count, dim, build)], [peer])
        for what, kind, count, build, peer in (
            ("text", "txt", rows, beside_pandas, "pandas"),
            ("text, fewer rows", "txt", few, beside_gensim, "gensim"),
            ("word2vec's binary file", "bin", few, beside_gensim, "gensim"),
        )
    ]


def _case(kind: str, rows: int, dim: int, build: Any) -> Case:
    return Case({"file": kind, "rows": rows, "dim": dim}, partial(build, kind, rows, dim))


@cache
def written(kind: str, rows: int, dim: int) -> Path:
    """The path of a file."""
    rng = np.random.default_rng(rows)
    matrix = np.round(rng.standard_normal((rows, dim)), 5).astype(np.float32)
    words = [np.base_repr(number * 7919 + 1296, 36).lower() for number in range(rows)]
    path = Path(_FOLDER.name) / f"{rows}-{dim}.{kind}"
    vectors.save(vectors.WordVectors(words, matrix), path)
    return path


def beside_pandas(kind: str, rows: int, dim: int) -> Match:
    path = written(kind, rows, dim)

    def contestants() -> Iterator[Contestant]:
        yield Contestant("pyembed", lambda _: vectors.load(path), lambda wv: wv.matrix)
        if (pandas := peers.find("pandas")) is not None:
            types = dict.fromkeys(range(1, dim + 1), np.float32)
            options: dict[str, Any] = {"sep": " ", "header": None, "index_col": 0}
            options |= {"quoting": csv.QUOTE_NONE, "keep_default_na": False, "dtype": types}
            read = partial(pandas.read_csv, path, engine="c", **options)
            yield Contestant("pandas", lambda _: read(), lambda frame: frame.to_numpy())
        yield Contestant("reading the bytes", lambda _: path.read_bytes(), compared=False)

    return _match(list(contestants()), path, rows * dim)


def beside_gensim(kind: str, rows: int, dim: int) -> Match:
    path = written(kind, rows, dim)

    def contestants() -> Iterator[Contestant]:
        yield Contestant("pyembed", lambda _: vectors.load(path), lambda wv: wv.matrix)
        if peers.find("gensim") is not None:
            from gensim.models import KeyedVectors

            read = partial(
                KeyedVectors.load_word2vec_format,
                str(path),
                binary=kind == "bin",
                no_header=kind == "txt",
            )
            yield Contestant("gensim", lambda _: read(), _matrix_of)

    return _match(list(contestants()), path, rows * dim)


def _matrix_of(keyed: Any) -> Array:
    matrix: Array = keyed.vectors
    return matrix


def _match(contestants: list[Contestant], path: Path, numbers: int) -> Match:
    # By way of float64, a number may become the second nearest float32.
    size = path.stat().st_size
    return Match(contestants, 1, numbers, size, rtol=1e-6, warm_runs=1)
