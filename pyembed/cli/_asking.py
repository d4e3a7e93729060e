"""Questions to word vectors, many at once; those without an answer are told, and the rest go on."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from pyembed.cli import _output
from pyembed.cli._errors import say, told

if TYPE_CHECKING:
    from pyembed.vectors import WordVectors

Question = Sequence[Any]  # words, and pairs of a word and its weight
Asked = tuple[Sequence[str], Question]  # the words, as they are printed, and what is asked of them

_PIECE = 256  # questions that are asked at once


def answer(
    wv: WordVectors, asked: Iterable[Asked], options: argparse.Namespace, command: str
) -> bool:
    """Print the words nearest to each question; return whether all had an answer."""
    went_well = True
    rest = iter(asked)
    # Where somebody types, an answer is waited for.
    size = 1 if _output.is_terminal_in() else _PIECE
    while piece := list(islice(rest, size)):
        known = [one for one in piece if _is_known(wv, one[0])]
        batches = [known, *([one] for one in piece if one not in known)]
        for words, found in _answers(wv, batches, options, command):
            if found is None:
                went_well = False
            else:
                _print(words, found, options)
    return went_well


def _is_known(wv: WordVectors, words: Sequence[str]) -> bool:
    return wv.has_subwords or bool((wv.rows(list(words)) >= 0).all())


def _answers(
    wv: WordVectors, batches: Iterable[list[Asked]], options: argparse.Namespace, command: str
) -> Iterator[tuple[Sequence[str], list[tuple[str, float]] | None]]:
    """Yield words and answers: of a batch that is refused, one by one."""
    for batch in batches:
        try:
            found = wv.most_similar_batch(
                [question for _, question in batch],
                options.top,
                restrict_vocab=options.among,
            )
        except (KeyError, ValueError) as error:
            if len(batch) == 1:
                say(f"pyembed {command}", told(error))
                yield batch[0][0], None
            else:
                yield from _answers(wv, ([one] for one in batch), options, command)
        else:
            yield from zip((words for words, _ in batch), found, strict=True)


def _print(
    words: Sequence[str], found: list[tuple[str, float]], options: argparse.Namespace
) -> None:
    if options.json:
        pairs = [{"word": word, "cosine": cosine} for word, cosine in found]
        _output.say_json({"asked": words[0] if len(words) == 1 else list(words), "nearest": pairs})
    else:
        _output.say_rows([*words, word, f"{cosine:.4f}"] for word, cosine in found)
