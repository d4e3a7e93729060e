"""Every gradient against central differences, and against the dense one-hot layer, in float64."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pyembed as pe
import reference
from strategies import bags_of_ids

ROWS, DIM = 6, 3
IDS = np.array([[1, 4, 1], [5, 0, 2]])
few = settings(max_examples=40)


def differences(loss, array, step=1e-5):
    """Return the derivative of loss() by every element of the array, changed and set back."""
    gradient = np.zeros(array.shape)
    for at in np.ndindex(array.shape):
        value = array[at]
        array[at] = value + step
        above = loss()
        array[at] = value - step
        gradient[at] = (above - loss()) / (2 * step)
        array[at] = value
    return gradient


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)


def table(rng):
    # Apart from each other and from zero by far more than a step: no maximum and no sign changes.
    values = np.arange(1, ROWS * DIM + 1) * rng.choice([-0.1, 0.1], ROWS * DIM)
    return rng.permutation(values).reshape(ROWS, DIM)


class Fourth:
    """A regularizer of a user: the sum of w⁴."""

    def __call__(self, w):
        return (w**4).sum()

    def gradient(self, w):
        return 4 * w**3


REGULARIZERS = {
    "none": None,
    "l1": pe.regularizers.L1(0.3),
    "l2": pe.regularizers.L2(0.7),
    "l1 and l2": pe.regularizers.L1L2(0.3, 0.7),
    "orthogonal": pe.regularizers.OrthogonalRegularizer(0.5),
    "a user's": Fourth(),
}


def check(layer, forward, sparse, grad, batch, excluded=(), counts=None):
    """Compare the table's gradient with the differences of (grad · output + activity)."""
    regularizer = layer.activity_regularizer

    def loss():
        y = forward()
        return (grad * y).sum() + (regularizer(y) / batch if regularizer and batch else 0.0)

    expected = differences(loss, layer.embeddings)
    expected[list(excluded)] = 0.0
    if counts is not None:
        expected /= np.maximum(counts, 1)[:, None]
    close(sparse.to_dense(), expected)
    coalesced = sparse.coalesce()
    close(coalesced.values, expected[coalesced.ids])
    close(sparse.norm(), np.linalg.norm(expected))
    scattered = np.zeros_like(expected)
    np.add.at(scattered, sparse.ids, sparse.values)
    close(scattered, expected)


LOOKUPS = {
    "plain": {},
    "padding": {"padding_idx": 1},
    "clip": {"out_of_range": "clip"},
    "wrap": {"out_of_range": "wrap", "padding_idx": 0},
    "zero": {"out_of_range": "zero"},
    "frequency": {"scale_grad_by_freq": True},
}


# An orthogonal one is of tables, not of outputs.
@pytest.mark.parametrize("regularizer", ["none", "l1", "l2", "l1 and l2", "a user's"])
@pytest.mark.parametrize("dropout", [{}, {"dropout": 0.4, "key": 3}], ids=["", "dropout"])
@pytest.mark.parametrize("options", LOOKUPS)
def test_lookups(rng, options, dropout, regularizer):
    options = LOOKUPS[options]
    emb = pe.Embedding.from_pretrained(
        table(rng), trainable=True, activity_regularizer=REGULARIZERS[regularizer], **options
    )
    emb.freeze([5])
    policy = options.get("out_of_range", "raise")
    for ids in (IDS, np.array(4), np.array([2, 2, 5]), IDS[:0]):
        if policy != "raise":
            ids = ids * 3 - 4
        rows = reference.resolve(ids, ROWS, policy)
        y = emb(ids, **dropout)
        grad = rng.standard_normal(y.shape)
        check(
            emb,
            lambda ids=ids: emb(ids, **dropout),
            emb.backward(ids, grad, **dropout),
            grad,
            ids.shape[0] if ids.ndim else 1,
            [5, *([emb.padding_idx] if emb.padding_idx is not None else [])],
            np.bincount(rows[rows >= 0], minlength=ROWS) if emb.scale_grad_by_freq else None,
        )


@few
@given(
    st.data(),
    st.sampled_from(["sum", "mean", "sqrtn", "max"]),
    st.booleans(),
    st.sampled_from(["clip", "wrap", "zero"]),
    st.sampled_from(["none", "l2", "a user's"]),  # smooth at outputs of zero
    st.booleans(),
)
def test_bags(data, mode, weighted, policy, regularizer, by_frequency):
    ids, offsets = data.draw(bags_of_ids(-2, ROWS + 2))
    padding = data.draw(st.none() | st.integers(0, ROWS - 1))
    frozen = data.draw(st.lists(st.integers(0, ROWS - 1), max_size=2))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    bag = pe.EmbeddingBag.from_pretrained(
        table(rng),
        trainable=True,
        mode=mode,
        padding_idx=padding,
        out_of_range=policy,
        activity_regularizer=REGULARIZERS[regularizer],
        scale_grad_by_freq=by_frequency and mode != "max",
    )
    bag.freeze(frozen)
    weights = rng.random(ids.shape) + 0.5 if weighted and mode != "max" else None
    grad = rng.standard_normal(bag(ids, offsets, weights).shape)
    rows = reference.resolve(ids, ROWS, policy, padding)
    check(
        bag,
        lambda: bag(ids, offsets, weights),
        bag.backward(ids, grad, offsets, weights),
        grad,
        len(grad),
        [*frozen, *([] if padding is None else [padding])],
        np.bincount(rows[rows >= 0], minlength=ROWS) if bag.scale_grad_by_freq else None,
    )


@few
@given(
    st.data(),
    st.sampled_from(["sum", "mean", "sqrtn"]),
    st.sampled_from(["clip", "wrap", "zero"]),
)
def test_weights_of_bags(data, mode, policy):
    ids, offsets = data.draw(bags_of_ids(-2, ROWS + 2))
    padding = data.draw(st.none() | st.integers(0, ROWS - 1))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    bag = pe.EmbeddingBag.from_pretrained(
        table(rng), mode=mode, padding_idx=padding, out_of_range=policy
    )
    weights = rng.random(ids.shape) + 0.5
    if mode != "mean":  # whose divisor may come near zero
        weights *= rng.choice([-1, 1], ids.shape)
    grad = rng.standard_normal(bag(ids, offsets).shape)
    expected = differences(lambda: (grad * bag(ids, offsets, weights)).sum(), weights)
    actual = bag.backward_weights(ids, grad, offsets, weights)
    close(actual, expected)


@pytest.mark.parametrize("mode", ["sum", "mean", "sqrtn"])
def test_weights_left_out_are_ones(rng, mode):
    bag = pe.EmbeddingBag.from_pretrained(table(rng), mode=mode, padding_idx=2)
    weights = np.ones(IDS.shape)
    grad = rng.standard_normal((2, DIM))
    expected = differences(lambda: (grad * bag(IDS, None, weights)).sum(), weights)
    close(bag.backward_weights(IDS, grad), expected)


@pytest.mark.parametrize("regularizer", [name for name in REGULARIZERS if name != "none"])
@pytest.mark.parametrize("cls", [pe.Embedding, pe.EmbeddingBag])
def test_the_regularizers_gradient_in_a_step(rng, cls, regularizer):
    layer = cls.from_pretrained(
        table(rng), trainable=True, embeddings_regularizer=REGULARIZERS[regularizer]
    )
    before = layer.embeddings.copy()
    expected = differences(lambda: layer.regularization_loss(IDS), layer.embeddings)
    whole = differences(layer.regularization_loss, layer.embeddings)
    np.testing.assert_array_equal(expected[3], 0)
    if regularizer != "orthogonal":  # each row by itself
        close(whole[[0, 1, 2, 4, 5]], expected[[0, 1, 2, 4, 5]])
    pe.SparseSGD(layer, 1.0).step(layer.backward(IDS, np.zeros(layer(IDS).shape)))
    close(before - layer.embeddings, expected)


# --- against the dense layer ---


@pytest.mark.parametrize("options", ["plain", "padding", "frequency"])
@pytest.mark.parametrize("dropout", [{}, {"dropout": 0.4, "key": 3}], ids=["", "dropout"])
def test_lookups_against_the_dense_layer(rng, options, dropout):
    options = LOOKUPS[options]
    weights = rng.standard_normal((50, 7))
    ids = rng.integers(0, 50, (20, 9))
    dense = pe.baseline.OneHotDense(50, 7, weights=weights, dtype="float64")
    emb = pe.Embedding.from_pretrained(weights, trainable=True, **options)
    mask = pe.Embedding(50, 1, "ones", dtype="float64")(ids, **dropout)
    np.testing.assert_allclose(emb(ids, **dropout), dense(ids) * mask, rtol=1e-15)

    grad = rng.standard_normal((20, 9, 7))
    expected = dense.backward(ids, grad * mask)
    if "padding_idx" in options:
        expected[options["padding_idx"]] = 0.0
    if "scale_grad_by_freq" in options:
        expected /= np.maximum(np.bincount(ids.ravel(), minlength=50), 1)[:, None]
    np.testing.assert_allclose(
        emb.backward(ids, grad, **dropout).to_dense(), expected, rtol=0, atol=1e-13
    )


@pytest.mark.parametrize(
    ("mode", "weighted"),
    [*itertools.product(["sum", "mean", "sqrtn"], [False, True]), ("max", False)],
)
@pytest.mark.parametrize("padding", [None, 7])
def test_bags_against_the_dense_layer(rng, mode, weighted, padding):
    values = rng.standard_normal((50, 5))
    lengths = rng.integers(0, 9, 40)
    ends = np.cumsum(lengths)
    offsets = ends - lengths
    ids = rng.integers(0, 20, lengths.sum())
    dense = pe.baseline.OneHotDense(50, 5, weights=values, dtype="float64")
    bag = pe.EmbeddingBag.from_pretrained(values, trainable=True, mode=mode, padding_idx=padding)
    weights = rng.random(len(ids)) + 0.5 if weighted else None
    grad = rng.standard_normal((40, 5))

    rows = dense(ids)
    kept = ids != padding
    by_id = np.zeros((len(ids), 5))  # the gradient of each looked-up row
    out = np.zeros((40, 5))
    for b, (begin, end) in enumerate(zip(offsets, ends, strict=True)):
        inside = begin + np.flatnonzero(kept[begin:end])
        if not len(inside):
            continue
        if mode == "max":
            first = inside[np.argmax(rows[inside], axis=0)]
            out[b] = rows[inside].max(axis=0)
            by_id[first, np.arange(5)] += grad[b]
            continue
        w = np.ones(len(inside)) if weights is None else weights[inside]
        w = w / {"sum": 1.0, "mean": w.sum(), "sqrtn": np.sqrt(w @ w)}[mode]
        out[b] = w @ rows[inside]
        by_id[inside] = w[:, None] * grad[b]
    np.testing.assert_allclose(bag(ids, offsets, weights), out, rtol=0, atol=1e-13)
    np.testing.assert_allclose(
        bag.backward(ids, grad, offsets, weights).to_dense(),
        dense.backward(ids, by_id),
        rtol=0,
        atol=1e-13,
    )
