"""Tell how well vectors do on tests: word pairs that people judged, and analogies.

A TEST is a file of two words and a number a line, with tabs (WordSim-353, SimLex-999), or of four
words a line in sections that begin with ": name" (questions-words.txt). The numbers are those of
gensim's evaluate_word_pairs and evaluate_word_analogies.

example:
  pyembed eval glove.6B.zip/glove.6B.50d.txt wordsim353.tsv questions-words.txt
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pyembed.cli import _arguments, _output
from pyembed.cli._parser import Parser

if TYPE_CHECKING:
    from pyembed.vectors import WordVectors

_AMONG = 300_000


def add_arguments(parser: Parser) -> None:
    """Add the command's arguments."""
    _arguments.add_vectors(parser)
    parser.add_argument("tests", nargs="+", metavar="TEST", help="a file of pairs or analogies")
    parser.add_argument(
        "--among",
        type=_arguments.count,
        default=_AMONG,
        metavar="N",
        help="the words that are known: the first N (default: %(default)s)",
    )
    parser.add_argument(
        "--case-sensitive", action="store_true", help="Paris and paris are not the same"
    )
    parser.add_argument(
        "--unknown-wrong",
        action="store_true",
        help="unknown words count as wrong, or of cosine 0 (default: they are left out)",
    )
    _arguments.add_output(parser)


def run(options: argparse.Namespace) -> bool:
    """Do what the command line says."""
    kinds = [(path, _has_sections(path)) for path in options.tests]  # before the vectors are read
    wv = _arguments.loaded(options)
    for path, is_analogies in kinds:
        told = (_analogies if is_analogies else _pairs)(wv, path, options)
        if options.json:
            _output.say_json({"test": path, **told})
        else:
            _output.say_rows(_rows(os.path.basename(path), told))
    return True


def _has_sections(path: str) -> bool:
    """Return whether the first line that says something begins a section of analogies."""
    with open(path, "rb") as file:
        for line in file:
            text = line.removeprefix(b"\xef\xbb\xbf").strip()
            if text and not text.startswith(b"#"):
                return text.startswith(b":")
    raise ValueError(f"{path}: it is empty")


def _given(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "restrict_vocab": options.among,
        "case_insensitive": not options.case_sensitive,
        "dummy4unknown": options.unknown_wrong,
    }


def _pairs(wv: WordVectors, path: str, options: argparse.Namespace) -> dict[str, Any]:
    return wv.evaluate_word_pairs(path, **_given(options))._asdict()


def _analogies(wv: WordVectors, path: str, options: argparse.Namespace) -> dict[str, Any]:
    found = wv.evaluate_analogies(path, **_given(options))
    sections = [
        {
            "section": one.section,
            "right": len(one.correct),
            "asked": len(one.correct) + len(one.incorrect),
        }
        for one in found.sections
    ]
    return {"score": found.score, "oov_ratio": found.oov_ratio, "sections": sections}


def _rows(name: str, told: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield lines of a test, what was measured, the figure, and what it is of."""
    if "sections" not in told:
        for figure in ("spearman", "pearson"):
            yield name, figure, f"{told[figure]:.4f}", f"{told['pairs']:,} pairs"
    else:
        for one in told["sections"]:
            share = one["right"] / one["asked"] if one["asked"] else 0.0
            yield name, one["section"], f"{share:.1%}", f"{one['right']:,} of {one['asked']:,}"
        right, asked = (sum(one[of] for one in told["sections"]) for of in ("right", "asked"))
        yield name, "all of them", f"{told['score']:.1%}", f"{right:,} of {asked:,}"
    yield name, "unknown words", f"{told['oov_ratio']:.1f}%", ""
