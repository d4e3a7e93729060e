"""What fine-tuning does to words: GloVe's vectors, asked, trained on film reviews, and asked again.

Vectors that were pretrained on an encyclopaedia and the news know what words mean: "good" is next
to "bad", since both stand in the same places. A classifier of film reviews has to tell them apart.
Here 12,752 snippets of reviews train it, the word vectors along with it, by pyembed's sparse Adam;
then the words that moved most are listed, with their neighbours before and after, and drawn.

All numbers are the same with any number of threads.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np

import datasets
import pyembed as pe
from arguments import add_number, add_seed, add_threads_and_figure, example_parser
from pyembed.vectors import Vocabulary, WordVectors
from sentiment_study.pretrained import Pretrained, Start, train
from sentiment_study.snippets import Snippets, split_by_film, tokenize
from tables import table
from words_study import figure
from words_study.moves import Moves

FEWEST = 15  # times that a word stands in the snippets, to be listed: rarer ones learn by chance
QUESTIONS = ("good", "film", "paris")
ANALOGY = ("man", "king", "woman")
PAIRS = (("good", "bad"), ("funny", "unfunny"), ("brilliant", "dull"), ("actor", "actress"))
LISTED = 12
DRAWN = 16  # on either side


def main(arguments: Sequence[str] | None = None) -> None:
    """Ask, train, and ask again."""
    options = parse_arguments(arguments)
    pe.set_num_threads(options.threads)
    try:
        reviews = datasets.rotten_tomatoes()
        glove = WordVectors(*datasets.glove_50d())
    except datasets.DataUnavailableError as error:
        sys.exit(f"words.py: {error}")
    print(f"{glove!r}\n\n{ask(glove)}")

    texts = [tokenize(text) for text in reviews.texts]
    vocabulary = Vocabulary.from_texts(texts, padding=None)
    snippets = Snippets.encode(texts, reviews.fresh, vocabulary)
    split = split_by_film(snippets, reviews.movies, options.seed)
    start = Pretrained.select(vocabulary, glove)
    accuracy = []
    for kind in (Start.FROZEN, Start.TUNED):
        run = train(kind, split, None, start, steps=options.steps, seed=options.seed)
        accuracy.append(run.accuracy)
    print(
        f"\nTrained on {run.snippets:,} snippets, judged on films never seen: "
        f"{accuracy[0]:.1%} right with GloVe's vectors as they are, {accuracy[1]:.1%} fine-tuned."
    )

    rows = frequent_rows(vocabulary, start)
    words = [vocabulary.words[row] for row in rows]
    tuned = run.classifier.bag.embeddings
    before, after = (WordVectors(words, made[rows]) for made in (start.vectors, tuned))
    moves = Moves.of(words, before.matrix, after.matrix, run.classifier.weights)
    print(f"\n{farthest(moves, before, after)}\n\n{pairs(before, after)}")
    figure.draw(options.output, moves, DRAWN, run.snippets)
    print(f"\nFigure: {options.output}")


def ask(glove: WordVectors) -> str:
    """Return what the pretrained vectors say of some words."""
    rows = [(word, named(glove, word, 5)) for word in QUESTIONS]
    a, b, c = ANALOGY
    answers = ", ".join(word for word, _ in glove.analogy(a, b, c, topn=3))
    rows.append((f"{b} - {a} + {c}", answers))
    return table(("word", "nearest"), rows, left=2)


def frequent_rows(vocabulary: Vocabulary, start: Pretrained) -> list[int]:
    """Return the words that GloVe knows and the snippets have often enough, frequent ones first."""
    counts = vocabulary.counts
    assert counts is not None
    words = vocabulary.words
    often = np.flatnonzero((counts >= FEWEST) & start.known)
    return [row for row in often.tolist() if words[row].isalpha()]


def farthest(moves: Moves, before: WordVectors, after: WordVectors) -> str:
    """Return the words that moved most, with their neighbours before and after."""
    rows = [
        (
            moves.words[place],
            f"{moves.distance[place]:.2f}",
            f"{moves.before[place, 0]:+.1f} -> {moves.after[place, 0]:+.1f}",
            named(before, moves.words[place], 4),
            named(after, moves.words[place], 4),
        )
        for place in moves.farthest(LISTED)
    ]
    header = ("word", "moved", "score", "neighbours before", "neighbours after")
    return table(header, rows, left=5)


def pairs(before: WordVectors, after: WordVectors) -> str:
    """Return the cosines of some pairs before and after."""
    rows = [
        (f"{one} / {other}", *(f"{wv.similarity(one, other):+.2f}" for wv in (before, after)))
        for one, other in PAIRS
    ]
    return table(("words", "cosine before", "after"), rows, left=1)


def named(wv: WordVectors, word: str, count: int) -> str:
    """Return a word's nearest neighbours as a list."""
    return ", ".join(other for other, _ in wv.most_similar(word, topn=count))


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; what cannot work is refused here, before any work is done."""
    parser = example_parser(str(__doc__))
    add_seed(parser, "of the split, the batches and the first weights")
    add_number(parser, "--steps", 2000, "batches of 32 snippets to train on", 50, 1_000_000)
    add_threads_and_figure(parser, pe.get_num_threads(), "words.png")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
