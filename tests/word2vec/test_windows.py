"""What a window adds to its rows, and which windows there are."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import reference
from pyembed import _core

DIMS = [1, 3, 16, 100, 130]


def trainer_of(numbers, inputs, outputs, *, weights=None, counts=None, kept=None, **options):
    """Return a trainer that is about to learn from numbers that are rows."""
    words = np.arange(len(inputs), dtype=np.int32)
    kept = np.full(len(words), 2**32 - 1, np.uint32) if kept is None else kept
    trainer = _core.Trainer(
        numbers=np.array(numbers, np.int32), words=words, kept=kept, inputs=inputs, outputs=outputs
    )
    if counts is not None:
        trainer.climb_tree(np.array(counts, np.int64))
    else:
        trainer.draw_negatives(np.array(weights, np.float64), options.pop("negative"))
    if (frozen := options.pop("frozen", None)) is not None:
        trainer.freeze(frozen)
    usual = {
        "window": 1,
        "means_inputs": False,
        "batch": 128,
        "epochs": 1,
        "learning_rate": 1.0,
        "least_rate": 1.0,
        "seed": 3,
        "block": 1 << 16,
        "learners": 1,
        "in_rounds": True,
    }
    trainer.begin(**(usual | options))
    return trainer


def trained(numbers, inputs, outputs, **options):
    """Train to the end; return the losses."""
    trainer = trainer_of(numbers, inputs, outputs, **options)
    while trainer.run(1.0, 1):
        pass
    return trainer.losses


def tables(words, dim, seed=0):
    rng = np.random.default_rng(seed)
    shape = (words, dim)
    return [rng.normal(0, 1 / np.sqrt(dim), shape).astype(np.float32) for _ in range(2)]


@pytest.mark.parametrize("dim", DIMS)
def test_one_pair_of_words_and_a_negative(dim):
    inputs, outputs = tables(4, dim)
    before = inputs.copy(), outputs.copy()
    # Words 0 and 1 are each the other's only context; 2 is the only negative.
    kept = np.full(4, 2**32 - 1, np.uint32)
    ((loss, count),) = trained(
        [-1, 0, 1], inputs, outputs, weights=[0, 0, 1, 0], negative=1, batch=1, kept=kept
    )
    wanted = [array.astype(np.float64) for array in before]
    lost = 0.0
    for context, centre in ((1, 0), (0, 1)):
        rows = [centre, 2]
        margins = wanted[0][context] @ wanted[1][rows].T * [1, -1]
        lost += np.log1p(np.exp(-margins)).sum()
        gradients = reference.window_gradients(
            wanted[0][[context]], wanted[1][rows], np.array([1, 0])
        )
        wanted[0][context] += gradients[0][0]
        wanted[1][rows] += gradients[1]
    assert_allclose(inputs, wanted[0], rtol=2e-6, atol=2e-6)
    assert_allclose(outputs, wanted[1], rtol=2e-6, atol=2e-6)
    assert count == 2
    assert loss == pytest.approx(lost, rel=1e-6)


@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("contexts", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("negatives", [1, 2, 5, 9])
def test_a_window_of_many_words(contexts, negatives, mean):
    """A centre whose contexts are never centres: they are known to no tree."""
    dim = 20
    words = 2 + contexts + negatives
    inputs, outputs = tables(words, dim, seed=contexts)
    before = inputs.copy(), outputs.copy()
    negative = np.zeros(words)
    negative[-1] = 1  # drawn each time: it counts as often
    numbers = [-1, *range(1, contexts + 1)]
    # A reach of 1 that is certain: only neighbours are contexts.
    trained(
        numbers, inputs, outputs, weights=negative, negative=negatives, means_inputs=mean, batch=1
    )
    wanted = [array.astype(np.float64) for array in before]
    for centre in numbers[1:]:
        around = [word for word in (centre - 1, centre + 1) if 1 <= word <= contexts]
        if not around:
            continue
        rows = [centre, *[words - 1] * negatives]
        of_inputs, of_outputs = reference.window_gradients(
            wanted[0][around], wanted[1][rows], np.array([1] + [0] * negatives), mean
        )
        wanted[0][around] += of_inputs
        for row, gradient in zip(rows, of_outputs, strict=True):
            wanted[1][row] += gradient
    assert_allclose(inputs, wanted[0], rtol=1e-5, atol=1e-5)
    assert_allclose(outputs, wanted[1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mean", [False, True])
def test_a_tree(mean):
    counts = [5, 1, 2, 0, 9]
    inputs, outputs = tables(5, 10)[0], tables(3, 10, seed=1)[0]
    before = inputs.copy(), outputs.copy()
    trained([-1, 0, 2], inputs, outputs, counts=counts, means_inputs=mean, batch=1)
    # 1 and 2 are the rarest: node 0; with 0: node 1; with 4: the root.
    ways = {0: ([2, 1], [0, 1]), 2: ([2, 1, 0], [0, 0, 1])}
    wanted = [array.astype(np.float64) for array in before]
    for context, centre in ((2, 0), (0, 2)):
        nodes, turns = ways[centre]
        of_inputs, of_outputs = reference.window_gradients(
            wanted[0][[context]], wanted[1][nodes], np.array(turns), mean
        )
        wanted[0][context] += of_inputs[0]
        wanted[1][nodes] += of_outputs
    assert_allclose(inputs, wanted[0], rtol=2e-6, atol=2e-6)
    assert_allclose(outputs, wanted[1], rtol=2e-6, atol=2e-6)


def test_windows_have_every_reach_alike():
    """Each place is a word of its own; what a centre has touched tells its window."""
    window, words = 5, 3000
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(words + 1, 4)).astype(np.float32)
    outputs = np.zeros((words + 1, 4), np.float32)
    numbers = np.concatenate([[-1], np.arange(words)])
    weights = np.arange(words + 1) == words
    frozen = np.ones(words + 1, bool)
    trained(numbers, inputs, outputs, weights=weights, negative=1, window=window, frozen=frozen)
    # Of zeros, every context adds half of its row to its centre.
    found = []
    for centre in range(window, words - window):
        sums = np.zeros(4)
        for reach in range(1, window + 1):
            sums = sums + inputs[centre - reach] + inputs[centre + reach]
            if np.allclose(outputs[centre], sums / 2, atol=1e-5):
                found.append(reach)
    assert len(found) == words - 2 * window
    counts = np.bincount(found, minlength=window + 1)[1:]
    assert_allclose(counts, len(found) / window, rtol=0.15)


def test_windows_end_with_documents():
    inputs, outputs = tables(5, 4)
    before = inputs.copy()
    trained([-1, 0, 1, -1, 2, -1, 3], inputs, outputs, weights=[0] * 4 + [1], negative=1, window=9)
    changed = (inputs != before).any(axis=1)
    assert_array_equal(changed, [True, True, False, False, False])


@pytest.mark.parametrize("block", [7, 64, 1000])
def test_a_cut_of_the_corpus_changes_no_window(block):
    """With frozen inputs and outputs of zeros, sums of windows do not depend on their order."""
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 50, 2000).astype(np.int32)
    numbers[::37] = -1
    losses = [
        trained(
            numbers,
            *tables(50, 4),
            weights=np.ones(50),
            negative=3,
            window=4,
            block=cut,
            learning_rate=1e-30,
            least_rate=1e-30,
            kept=np.full(50, 2**31, np.uint32),
        )[0][1]
        for cut in (2000, block)
    ]
    assert losses[0] == losses[1]


def test_frequent_words_are_left_out_as_often_as_they_should():
    """A centre is a prediction of each of its two neighbours: what is kept can be counted."""
    numbers = np.zeros(200_001, np.int32)
    numbers[0] = -1
    for share in (0.1, 0.5, 0.9):
        kept = np.array([share * 2**32, 0], np.uint32)
        ((_, predictions),) = trained(
            numbers,
            np.zeros((2, 1), np.float32),
            np.zeros((2, 1), np.float32),
            weights=[0, 1],
            negative=1,
            kept=kept,
        )
        assert predictions == pytest.approx(2 * share * 200_000, rel=0.03)


def test_negatives_are_drawn_by_their_weights():
    """With outputs of zeros, a tiny rate and one context, a negative's row counts its draws."""
    words, weights = 6, np.array([0, 1, 2, 0, 4, 8], float)
    inputs = np.ones((words, 1), np.float32)
    outputs = np.zeros((words, 1), np.float32)
    numbers = np.tile([-1, 0, 0], 40_000).astype(np.int32)
    rate = 2.0**-24
    trained(
        numbers,
        inputs,
        outputs,
        weights=weights,
        negative=5,
        learning_rate=rate,
        least_rate=rate,
        frozen=np.ones(words, bool),
        batch=16,
    )
    draws = -outputs[:, 0] / rate * 2
    assert_allclose(draws[1:] / draws[1:].sum(), weights[1:] / weights.sum(), rtol=0.05, atol=1e-9)
    assert draws[1:].sum() == pytest.approx(5 * 80_000, rel=0.01)


def orders_of_blocks(blocks, epochs, seed):
    """Return the order of each epoch's blocks, each of which has two words of its own."""
    numbers = [number for b in range(blocks) for number in (-1, 2 * b, 2 * b + 1)]
    inputs, outputs = tables(2 * blocks, 4)
    options = {"epochs": epochs, "seed": seed, "block": 3}
    weights = np.ones(2 * blocks)
    trainer = trainer_of(numbers, inputs, outputs, weights=weights, negative=1, **options)
    order = []
    for _ in range(epochs * blocks):
        before = inputs.copy()
        trainer.run(0.0, 1)  # a batch
        changed = np.flatnonzero((inputs != before).any(axis=1))
        order.append(changed[0] // 2)
    return np.array(order).reshape(epochs, blocks)


def test_each_epoch_takes_the_blocks_in_an_order_of_its_own():
    blocks, epochs = 50, 4
    orders = orders_of_blocks(blocks, epochs, 3)
    assert_array_equal(np.sort(orders, axis=1), np.tile(np.arange(blocks), (epochs, 1)))
    fixed = [(orders[k] == other).mean() for k in range(epochs) for other in orders[:k]]
    assert max(*fixed, *(orders == np.arange(blocks)).mean(axis=1)) < 0.3
    assert_array_equal(orders, orders_of_blocks(blocks, epochs, 3))
    assert (orders != orders_of_blocks(blocks, epochs, 4)).any()
