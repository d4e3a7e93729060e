"""The answers as text. Accuracies are printed in per cent, their differences in points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tables import table

from .neighbours import PAIRS, QUERIES, Similarity
from .one_hot import BATCH_SIZE, TOLERANCE, Comparison
from .pretrained import LearningCurve, Start


def on_one_hot(comparisons: Sequence[Comparison]) -> str:
    """Report the time and memory of lookups and matmuls."""
    steps = len(comparisons[0].lookup.losses)
    return f"""
1. A lookup and a one-hot matmul: {steps} steps of gradient descent on {BATCH_SIZE} snippets each.
   The losses are the same: their relative difference is below {TOLERANCE:.0e}.
   Median time of a step, and the most memory in NumPy arrays besides the table.

{_cost_table(comparisons)}"""


def on_pretraining(curves: Mapping[Start, LearningCurve], majority: float) -> str:
    """Report the accuracy of every start, and where pretrained vectors helped."""
    seeds = curves[Start.SCRATCH].accuracy.shape[1]
    return f"""
2. Accuracy on films never seen, in per cent: mean ± standard deviation of {seeds} seeds,
   each with other films, snippets and first weights. Always the commoner answer: \
{100 * majority:.1f}

{_accuracy_table(curves)}

{_gains(curves)}"""


def on_words(similarities: Mapping[str, Similarity]) -> str:
    """Report which words are alike in which vectors."""
    return f"""
3. Which words are alike: pretraining teaches meanings, the task teaches verdicts.
   Nearest words by cosine similarity:

{_neighbour_table(similarities)}

   Cosine similarity of pairs:

{_pair_table(similarities)}"""


def _cost_table(comparisons: Sequence[Comparison]) -> str:
    header = ("words", "ms: lookup", "one-hot", "ratio", "MB: lookup", "one-hot", "ratio")
    rows = []
    for result in comparisons:
        fast, slow = (np.median(cost.seconds) * 1e3 for cost in (result.lookup, result.one_hot))
        small, large = (cost.peak_bytes / 1e6 for cost in (result.lookup, result.one_hot))
        rows.append(
            (
                f"{result.rows:,}",
                f"{fast:.2f}",
                f"{slow:.2f}",
                _ratio(slow / fast),
                f"{small:.2f}",
                f"{large:.2f}",
                _ratio(large / small),
            )
        )
    return table(header, rows)


def _accuracy_table(curves: Mapping[Start, LearningCurve]) -> str:
    gain = curves[Start.TUNED].gain_over(curves[Start.SCRATCH])
    header = ("snippets", *(start.value for start in curves), "fine-tuned - scratch")
    columns = [_percent(curve) for curve in curves.values()]
    counts = [f"{count:,}" for count in gain.snippets]
    return table(header, zip(counts, *columns, _percent(gain, sign="+"), strict=True))


def _gains(curves: Mapping[Start, LearningCurve]) -> str:
    """Say where pretrained vectors helped, whatever came out."""
    scratch = curves[Start.SCRATCH]
    sentences = []
    for start in (Start.TUNED, Start.FROZEN, Start.OWN):
        gain = curves[start].gain_over(scratch)
        points = 100 * gain.mean()
        most, least = points.argmax(), points.argmin()
        sentences.append(
            f"{start.value}: helps most with {gain.snippets[most]:,} snippets "
            f"({points[most]:+.1f} points), least with {gain.snippets[least]:,} "
            f"({points[least]:+.1f})."
        )
    return "\n".join(sentences)


def _neighbour_table(similarities: Mapping[str, Similarity], count: int = 5) -> str:
    rows = [
        (
            word if position == 0 else "",
            name,
            ", ".join(f"{other} {cosine:.2f}" for other, cosine in space.nearest(word, count)),
        )
        for word in QUERIES
        for position, (name, space) in enumerate(similarities.items())
    ]
    return table(("word", "vectors", "nearest words"), rows, left=3)


def _pair_table(similarities: Mapping[str, Similarity]) -> str:
    rows = [
        (
            group if position == 0 else "",
            f"{first} / {second}",
            *(f"{space.between(first, second):+.2f}" for space in similarities.values()),
        )
        for group, pairs in PAIRS.items()
        for position, (first, second) in enumerate(pairs)
    ]
    return table(("", "words", *similarities), rows, left=2)


def _ratio(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def _percent(curve: LearningCurve, sign: str = "") -> list[str]:
    pairs = zip(100 * curve.mean(), 100 * curve.spread(), strict=True)
    return [f"{mean:{sign}.1f} ± {spread:.1f}" for mean, spread in pairs]
