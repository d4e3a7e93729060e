"""What goes with what in the speeches of presidents? Word vectors, trained with NumPy and pyembed.

The messages of US presidents to Congress, 1790 to 2026, have two million words: a thousandth of
what vectors are usually trained on. CBOW learns from them which words keep the same company:

1. How alike are words? People judged pairs of words in WordSim-353 and SimLex-999; the rank
   correlation of the vectors' cosines with that, for those pairs whose words the speeches have.
2. Which words are nearest to some?
3. A map: subjects of the speeches, each a word and its nearest ones.

Only the times differ from run to run; every other number is the same with any number of threads.
The map reads best with scikit-learn's t-SNE (``pip install scikit-learn``); else it is a plane.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

import datasets
import maps
import pyembed as pe
from arguments import add_seed, add_threads_and_figure, example_parser
from pyembed import word2vec
from pyembed.vectors import WordVectors

# Of those tried, the best on the whole by both tests: a small text is to be read often, at a high
# rate, its most frequent words thinned out; and wide windows tell subjects. Skip-gram is no better
# here, and takes longer.
ARGUMENTS = {
    "model": "cbow",
    "dim": 100,
    "window": 10,
    "negative": 5,
    "min_count": 5,
    "sample": 1e-4,
    "learning_rate": 0.05,
}
EPOCHS, QUICK_EPOCHS = 20, 4

QUERIES = ("war", "gold", "railroads", "slavery", "women", "soviet", "oil", "schools", "terrorists")
SUBJECTS = {  # Okabe and Ito's colours and some more, dark enough to read
    "army": "#D55E00",
    "ships": "#0072B2",
    "silver": "#8C6D00",
    "tariff": "#117733",
    "farmers": "#44803F",
    "court": "#7A4B94",
    "tribes": "#A0522D",
    "schools": "#CC3377",
    "oil": "#444444",
    "nuclear": "#AA2222",
    "jobs": "#3344AA",
    "mexico": "#00808A",
}
NEAREST = 8  # words of a subject, beside its own
FREQUENT = 4_000  # as many words may be named as near: rarer ones, of small texts, are of chance

# Letters, and what follows an apostrophe: "nation's" is one word.
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, ask and draw."""
    options = parse_arguments(arguments)
    pe.set_num_threads(options.threads)
    try:
        speeches = datasets.state_of_the_union()
        tests = datasets.word_similarity()
    except datasets.DataUnavailableError as error:
        sys.exit(f"word_vectors.py: {error}")
    paragraphs = words_of(speeches)
    count = sum(map(len, paragraphs))
    print(f"{count:,} words in {len(paragraphs):,} paragraphs of speeches")

    wv = train(paragraphs, QUICK_EPOCHS if options.quick else EPOCHS, options.seed)
    print(likeness(wv, tests))
    print(neighbours(wv))
    draw(options.output, wv, options.seed)
    print(f"\nFigure: {options.output}")


def words_of(text: str) -> list[list[str]]:
    """Return the words of each paragraph, in lower case."""
    lines = text.lower().replace("\u2019", "'").splitlines()
    return [words for line in lines if (words := _WORD.findall(line))]


def train(paragraphs: list[list[str]], epochs: int, seed: int) -> WordVectors:
    """Train vectors, and tell how long it took."""
    started = time.perf_counter()
    progress = sys.stderr.isatty()
    wv = word2vec.train(paragraphs, epochs=epochs, seed=seed, progress=progress, **ARGUMENTS)
    seconds = time.perf_counter() - started
    speed = epochs * sum(map(len, paragraphs)) / seconds
    print(
        f"{len(wv):,} words have vectors: {epochs} epochs took {seconds:.1f} s, "
        f"{speed / 1e6:.2f} million words a second"
    )
    return wv


def likeness(wv: WordVectors, tests: Sequence[Path]) -> str:
    """Tell how well the vectors agree with people."""
    lines = ["\nHow alike words are: rank correlation with people's judgement"]
    for path in tests:
        found = wv.evaluate_word_pairs(path)
        every = round(found.pairs / (1 - found.oov_ratio / 100))
        lines.append(
            f"  {path.stem:<11} {found.spearman:.3f}, of {found.pairs} of its {every} pairs"
        )
    return "\n".join(lines)


def neighbours(wv: WordVectors, count: int = 8) -> str:
    """Name the words nearest to some."""
    lines = ["\nNearest words"]
    for word, found in zip(QUERIES, wv.most_similar_batch(QUERIES, count), strict=True):
        lines.append(f"  {word:<11} {', '.join(other for other, _ in found)}")
    return "\n".join(lines)


def draw(path: Path, wv: WordVectors, seed: int) -> None:
    """Draw a map of subjects; the ending of ``path`` is the format."""
    subjects = words_near(wv)
    words = [word for near in subjects.values() for word in near]
    colors = [SUBJECTS[subject] for subject, near in subjects.items() for _ in near]
    points, method = maps.flat(wv[words], seed)
    figure = Figure(figsize=(13, 9), layout="constrained")
    axes = figure.subplots()
    axes.scatter(*points.T, s=26, c=colors, zorder=2)
    axes.set_title(
        "What presidents speak of: twelve words and the nearest to each, by their vectors "
        f"({method})",
        fontweight="bold",
    )
    axes.set(xticks=[], yticks=[])
    axes.margins(0.08)
    axes.spines[:].set_visible(False)
    order = sorted(range(len(words)), key=lambda place: words[place] not in SUBJECTS)
    maps.add_names(
        figure,
        axes,
        points,
        order,
        [words[place] for place in order],
        [colors[place] for place in order],
        bold=len(SUBJECTS),
        size=10,
    )
    figure.savefig(path, dpi=150)


def words_near(wv: WordVectors) -> dict[str, list[str]]:
    """Return each subject's word and those nearest to it; a word near to two is the nearer's."""
    answers = wv.most_similar_batch(list(SUBJECTS), 3 * NEAREST, restrict_vocab=FREQUENT)
    nearest: dict[str, tuple[float, str]] = {}
    for subject, found in zip(SUBJECTS, answers, strict=True):
        for word, cosine in found:
            nearest[word] = max(nearest.get(word, (-1.0, "")), (cosine, subject))
    return {
        subject: [
            subject,
            *[
                word
                for word, _ in found
                if nearest[word][1] == subject and word not in SUBJECTS and "'" not in word
            ][:NEAREST],
        ]
        for subject, found in zip(SUBJECTS, answers, strict=True)
    }


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; what cannot work is refused here, before any work is done."""
    parser = example_parser(str(__doc__))
    add_seed(parser, "of the first vectors and all that is drawn")
    parser.add_argument("--quick", action="store_true", help="a smaller run, of some seconds")
    add_threads_and_figure(parser, pe.get_num_threads(), "word_vectors.png")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
