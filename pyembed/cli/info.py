"""Tell what a file of word vectors has: its format, size, words and lengths of vectors.

example:
  pyembed info GoogleNews-vectors-negative300.bin.gz
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from pyembed.cli import _arguments, _output
from pyembed.cli._parser import Parser

if TYPE_CHECKING:
    from pyembed.vectors import WordVectors

_SHOWN = 10  # words


def add_arguments(parser: Parser) -> None:
    """Add the command's arguments."""
    _arguments.add_vectors(parser)
    _arguments.add_output(parser)


def run(options: argparse.Namespace) -> bool:
    """Do what the command line says."""
    wv = _arguments.loaded(options)
    facts = {"file": options.file, "format": _format(options), "bytes": _size(options.file)}
    facts.update(_facts(wv))
    if options.json:
        _output.say_json(facts)
        return True
    shown = {**facts, "first words": " ".join(map(str, facts["first words"]))}
    _output.say_rows((name, _text(value)) for name, value in shown.items() if value is not None)
    return True


def _format(options: argparse.Namespace) -> str:
    from pyembed.vectors import _formats, _source

    if options.format != "auto":
        return str(options.format)
    if os.path.isdir(options.file):
        return "model2vec"
    with _source.opened(options.file) as source:
        return _formats.format_of(source)


def _size(path: str) -> int | None:
    """Return the bytes of a file; None of a folder and of a zip file's member."""
    return os.path.getsize(path) if os.path.isfile(path) else None


def _facts(wv: WordVectors) -> dict[str, Any]:
    import numpy as np

    from pyembed.vectors import SentenceVectors

    lengths = np.sqrt(np.einsum("vd,vd->v", wv.matrix, wv.matrix, dtype=np.float64))
    low, mean, high = (
        (float(lengths.min()), float(lengths.mean()), float(lengths.max()))
        if len(wv)
        else (None, None, None)
    )
    facts = {
        "words": len(wv),
        "numbers a word": wv.dim,
        "dtype": str(wv.matrix.dtype),
        "shortest vector": low,
        "mean length": mean,
        "longest vector": high,
        "vectors of zeros": int(np.count_nonzero(lengths == 0)),
        "tokens counted": None if wv.counts is None else int(wv.counts.sum()),
        "unseen words": "by their n-grams" if wv.has_subwords else None,
        "first words": list(wv.words[:_SHOWN]),
    }
    if isinstance(wv, SentenceVectors):
        facts["weights"] = "one a token" if wv.weights is not None else None
        facts["tokens of a text"] = "all" if wv.max_length is None else wv.max_length
        facts["normalised"] = "yes" if wv.normalize else "no"
    return facts


def _text(value: Any) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
