"""SparseAdam(update="exact") beside dense Adam in float64, pyembed.baseline.Adam."""

import copy
import gc
import pickle
import signal

import numpy as np
import pytest

import pyembed as pe
import reference
from pyembed import _core

V, D = 40, 3


def rate(t):
    return 1e-2 * (1 + 0.5 * np.sin(t / 50))


class Pair:
    """A table under exact Adam, and its dense double."""

    def __init__(self, dtype="float64", rule=None, dim=D, **arguments):
        rule = {"learning_rate": rate} | (rule or {})
        self.rng = np.random.default_rng(5)
        table = self.rng.standard_normal((V, dim)) * 0.05
        self.emb = pe.Embedding(V, dim, weights=table, dtype=dtype, **arguments)
        self.opt = pe.SparseAdam(self.emb, update="exact", **rule)
        self.dense = self.emb.embeddings.astype(np.float64)
        self.adam = pe.baseline.Adam(self.dense, **(rule | {"learning_rate": 0.0}))
        self.single = self.dense.astype(np.float32)
        self.single_adam = pe.baseline.Adam(self.single, **(rule | {"learning_rate": 0.0}))
        self.still = [] if self.emb.padding_idx is None else [self.emb.padding_idx]

    def step(self, ids, scale=1.0):
        ids = np.asarray(ids, int)
        grad = (self.rng.standard_normal((len(ids), self.emb.output_dim)) * scale).astype(
            self.emb.dtype
        )
        self.opt.step(self.emb.backward(ids, grad))
        total = np.zeros_like(self.dense)
        np.add.at(total, ids, grad)
        for adam in (self.adam, self.single_adam):
            array, moments = adam.arrays[0], (adam.m[0], adam.v[0])
            kept = [part[self.still].copy() for part in (array, *moments)]
            adam.learning_rate = rate(adam.t + 1)
            adam.step(total)
            for part, values in zip((array, *moments), kept, strict=True):
                part[self.still] = values

    def random_steps(self, steps, touched=0.1, scale=1.0):
        for _ in range(steps):
            self.step(self.rng.integers(0, V, max(1, round(V * touched))), scale)

    def assert_equal(self, tolerance=1e-9):
        before = self.emb(np.arange(V))
        np.testing.assert_allclose(before, self.dense, rtol=0, atol=tolerance)
        np.testing.assert_array_equal(self.emb.embeddings, before)


BETAS = [(0.9, 0.999), (0.9, 0.99), (0.99, 0.999), (0.0, 0.9)]


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("touched", [0.5, 0.1, 0.02])
@pytest.mark.parametrize(
    ("betas", "scale"),
    [(BETAS[0], scale) for scale in (1.0, 1e-3, 1e-5, 1e-8)] + [(b, 1.0) for b in BETAS[1:]],
)
def test_dense_adams_weights(betas, touched, scale, decay):
    rule = {"beta_1": betas[0], "beta_2": betas[1], "weight_decay": decay}
    pair = Pair(rule=rule)
    for _ in range(4):
        pair.random_steps(500, touched, scale)
        pair.assert_equal()


@pytest.mark.parametrize("touched", [0.5, 0.02])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_float32_is_within_the_rounding_of_dense_adam_in_float32(touched, decay):
    pair = Pair("float32", {"weight_decay": decay})
    pair.random_steps(2000, touched)
    exact = np.abs(pair.emb.embeddings - pair.dense).max()
    dense = np.abs(pair.single - pair.dense).max()
    assert 0.0 < exact < 2 * dense


def test_lazy_adam_is_far_away():
    pair = Pair()
    lazy = pe.Embedding(V, D, weights=pair.emb.embeddings, dtype="float64")
    opt = pe.SparseAdam(lazy, rate)
    for _ in range(200):
        ids = pair.rng.integers(0, V, 2)
        pair.rng, twin = (copy.deepcopy(pair.rng) for _ in range(2))
        pair.step(ids)
        opt.step(lazy.backward(ids, twin.standard_normal((2, D))))
    assert np.abs(lazy.embeddings - pair.dense).max() > 1e-2


def test_lookups_write_nothing():
    looked_at, left_alone = Pair(), Pair()
    for pair in (looked_at, left_alone):
        for _ in range(30):
            pair.random_steps(5)
            if pair is looked_at:
                pair.emb(np.arange(V))
                pair.emb(np.arange(V), dropout=0.3, key=1)
                pair.emb.regularization_loss([1, 2])
                bag = pe.EmbeddingBag.sharing(pair.emb, "max")
                bag.backward([np.arange(V)], bag([np.arange(V)])).to_dense()
    np.testing.assert_array_equal(looked_at.emb.embeddings, left_alone.emb.embeddings, strict=True)


@pytest.mark.parametrize("dim", [3, 64])
def test_every_kind_of_lookup_reads_settled_rows(dim, threads):
    pair = Pair(dim=dim, padding_idx=7)
    pair.random_steps(50)
    ids = pair.rng.integers(0, V, (600, 20))
    weights = pair.rng.standard_normal(ids.shape)
    bags = {mode: pe.EmbeddingBag.sharing(pair.emb, mode) for mode in ("sum", "mean", "max")}
    grad = pair.rng.standard_normal((600, dim))
    seen = [pair.emb(ids), pair.emb(ids, dropout=0.4, key=3)]
    seen += [bag(ids) for bag in bags.values()]
    seen += [bags["max"].backward(ids, grad).to_dense()]
    seen += [bags["mean"].backward_weights(ids, grad, None, weights)]
    table = pair.emb.embeddings.copy()  # settled
    plain = pe.Embedding(V, dim, weights=table, dtype="float64", padding_idx=7)
    bags = {mode: pe.EmbeddingBag.sharing(plain, mode) for mode in ("sum", "mean", "max")}
    expected = [plain(ids), plain(ids, dropout=0.4, key=3)]
    expected += [bag(ids) for bag in bags.values()]
    expected += [bags["max"].backward(ids, grad).to_dense()]
    expected += [bags["mean"].backward_weights(ids, grad, None, weights)]
    for ours, theirs in zip(seen, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_padding_and_frozen_rows_stand_still():
    pair = Pair(rule={"weight_decay": 0.1}, padding_idx=-1)
    pair.random_steps(100)
    pair.still += [3, 4]
    pair.emb.freeze([3, 4])
    before = pair.emb.embeddings[[3, 4, V - 1]].copy()
    np.testing.assert_allclose(before, pair.dense[[3, 4, V - 1]], rtol=0, atol=1e-9)
    pair.random_steps(200)
    np.testing.assert_array_equal(pair.emb.embeddings[[3, 4, V - 1]], before)
    pair.still.remove(3)
    pair.emb.unfreeze([3])
    pair.random_steps(200)
    pair.assert_equal()
    assert (pair.emb.embeddings[3] != before[0]).all()


def test_max_norm_settles_rescales_and_stores():
    pair = Pair(max_norm=0.3)
    for _ in range(40):
        pair.random_steps(10)
        rows = pair.rng.integers(0, V, 5)
        looked_up = pair.emb(rows)
        reference.renormalise(pair.dense, rows, 0.3)
        np.testing.assert_allclose(looked_up, pair.dense[rows], rtol=0, atol=1e-9)
    np.testing.assert_allclose(pair.emb.embeddings, pair.dense, rtol=0, atol=1e-9)
    assert (np.linalg.norm(pair.dense, axis=1) > 0.3).any()  # rows not looked up since


def test_an_empty_gradient_is_a_step_of_every_row():
    pair = Pair()
    pair.random_steps(20)
    for _ in range(30):
        pair.step([])
    pair.assert_equal()


def test_further_back_than_the_sums_reach():
    # Rows that nobody needs are settled in turns: the sums of 65,536 steps at most are kept.
    table = np.random.default_rng(5).standard_normal((7, 1))
    emb = pe.Embedding(7, 1, weights=table, dtype="float64")
    opt = pe.SparseAdam(emb, 1e-2, weight_decay=1e-3, update="exact")
    adam = pe.baseline.Adam(table, 1e-2, weight_decay=1e-3)
    zeros, gradient = np.zeros((7, 1)), np.ones((7, 1))
    nothing = emb.backward([], np.empty((0, 1)))
    opt.step(emb.backward(np.arange(7), gradient))
    adam.step(gradient)
    for _ in range(66_000):
        opt.step(nothing)
        adam.step(zeros)
    assert emb._table.stamps().min() > 0
    np.testing.assert_allclose(emb.embeddings, table, rtol=1e-9, atol=1e-12)


def test_regularizers_read_settled_rows():
    pair = Pair(embeddings_regularizer=pe.regularizers.L2(0.5), dtype="float64")
    user = Pair(embeddings_regularizer=lambda w: 0.0)
    user.emb.embeddings_regularizer.gradient = lambda w: np.float64(1.0) * w  # 2 * 0.5 * w
    for fused in (pair, user):
        fused.random_steps(100)
    np.testing.assert_array_equal(pair.emb.embeddings, user.emb.embeddings)


def test_growing():
    pair = Pair()
    pair.random_steps(100)
    before = pair.emb.embeddings.copy()
    pair.emb.grow(V + 10)
    np.testing.assert_array_equal(pair.emb.embeddings[:V], before)
    new = pair.emb.embeddings[V:].copy()
    pair.dense = np.concatenate([pair.dense, new])
    adam = pair.adam
    adam.arrays, adam.m, adam.v = (
        [pair.dense],
        [np.pad(adam.m[0], ((0, 10), (0, 0)))],
        [np.pad(adam.v[0], ((0, 10), (0, 0)))],
    )
    pair.single_adam = pair.adam
    grad = pair.rng.standard_normal((3, D))
    for t in range(101, 160):
        ids = pair.rng.integers(0, V + 10, 3)
        pair.opt.step(pair.emb.backward(ids, grad))
        total = np.zeros_like(pair.dense)
        np.add.at(total, ids, grad)
        adam.learning_rate = rate(t)
        adam.step(total)
    np.testing.assert_allclose(pair.emb.embeddings, pair.dense, rtol=0, atol=1e-9)


def copies_of(opt):
    yield copy.deepcopy(opt)
    yield pickle.loads(pickle.dumps(opt))
    other = pe.Embedding(V, D, weights=opt.tables[0].embeddings, dtype="float64")
    loaded = pe.SparseAdam(other, 0.5, update="exact")
    loaded.step(other.backward([1], np.ones((1, D))))
    loaded.load_state_dict(opt.state_dict())
    other.embeddings[:] = opt.tables[0].embeddings
    yield loaded


@pytest.mark.parametrize("way", [0, 1, 2], ids=["deepcopy", "pickle", "state_dict"])
def test_a_copy_goes_on_to_the_same_bits(way):
    pair = Pair(rule={"weight_decay": 0.0})
    pair.random_steps(100)
    opt = list(copies_of(pair.opt))[way]
    emb = opt.tables[0]
    for _ in range(50):
        ids = pair.rng.integers(0, V, 3)
        grad = np.random.default_rng(1).standard_normal((3, D))
        for optimizer, layer in ((pair.opt, pair.emb), (opt, emb)):
            optimizer.step(layer.backward(ids, grad))
    np.testing.assert_array_equal(emb.embeddings, pair.emb.embeddings)
    assert opt.state_dict()["tables"][0]["t"] == 150


def test_state_dict_is_settled_and_checked():
    pair = Pair(padding_idx=2)
    pair.random_steps(20)
    table = pair.opt.state_dict()["tables"][0]
    assert table["stamp"].tolist() == [20, 20, -1] + [20] * (V - 3)
    np.testing.assert_allclose(table["m"], pair.adam.m[0], atol=1e-12)
    np.testing.assert_allclose(table["v"], pair.adam.v[0], atol=1e-12)
    behind = table | {"stamp": np.full(V, 19)}
    with pytest.raises(ValueError, match="stamp has rows that are behind t=20"):
        pair.opt.load_state_dict(pair.opt.state_dict() | {"tables": [behind]})


@pytest.mark.parametrize("is_late", [False, True])
def test_a_state_saved_after_an_interrupt_can_be_loaded(monkeypatch, is_late):
    pair = Pair(padding_idx=2)
    pair.random_steps(3)
    step = _core.step

    def interrupted(*arguments):
        if is_late:
            step(*arguments)
        signal.default_int_handler(signal.SIGINT, None)

    with monkeypatch.context() as patched:
        patched.setattr(_core, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pair.opt.step(pair.emb.backward([1], np.ones((1, D))))
    assert pair.opt.state_dict()["tables"][0]["t"] == 3 + is_late
    opt = pickle.loads(pickle.dumps(pair.opt))
    opt.load_state_dict(pair.opt.state_dict())
    for optimizer in (pair.opt, opt):
        emb = optimizer.tables[0]
        for ids in ([1], [2, 3]):
            optimizer.step(emb.backward(ids, np.ones((len(ids), D))))
    np.testing.assert_array_equal(opt.tables[0].embeddings, pair.emb.embeddings)


def test_a_state_is_loaded_over_settled_rows():
    def trained(steps):
        emb = pe.Embedding(V, D, seed=0, dtype="float64")
        opt = pe.SparseAdam(emb, 0.5, update="exact")
        for step in range(steps):
            opt.step(emb.backward([step], np.ones((1, D))))
        return emb, opt

    emb, opt = trained(5)
    _, early = trained(1)
    opt.load_state_dict(early.state_dict())
    settled, _ = trained(5)
    np.testing.assert_array_equal(emb.embeddings, settled.embeddings)


def test_released_and_dead_optimizers_leave_settled_rows():
    pair = Pair()
    pair.random_steps(60)
    pair.opt.release()
    pair.assert_equal()
    with pytest.raises(RuntimeError, match="release"):
        pair.opt.flush()

    pair = Pair()
    pair.random_steps(60)
    pair.opt = None
    gc.collect()
    pair.assert_equal()
    pair.emb.grow(V + 1)
    pair.dense = np.concatenate([pair.dense, pair.emb.embeddings[V:]])
    np.testing.assert_allclose(pair.emb.embeddings, pair.dense, rtol=0, atol=1e-9)
    pe.SparseSGD(pair.emb).step(pair.emb.backward([1], np.zeros((1, D))))
    np.testing.assert_allclose(pair.emb.embeddings, pair.dense, rtol=0, atol=1e-9)


def test_flush_settles():
    pair = Pair()
    view = pair.emb.embeddings
    pair.random_steps(60)
    assert np.abs(view - pair.dense).max() > 1e-6  # a view lags
    pair.opt.flush()
    np.testing.assert_allclose(view, pair.dense, rtol=0, atol=1e-9)


def test_a_nan_reaches_its_own_row_alone():
    pair = Pair()
    pair.random_steps(10)
    pair.opt.step(pair.emb.backward([4], np.full((1, D), np.nan)))
    pair.random_steps(10)
    assert np.isfinite(np.delete(pair.emb.embeddings, 4, axis=0)).all()
    assert np.isnan(pair.emb(4)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_smallest_epsilon(dtype):
    emb = pe.Embedding(3, 2, dtype=dtype, seed=0)
    before = emb.embeddings.copy()
    opt = pe.SparseAdam(emb, 0.1, epsilon=np.finfo(dtype).tiny, update="exact")
    for _ in range(3):
        opt.step(emb.backward([1], np.ones((1, 2), dtype)))
    np.testing.assert_array_equal(emb.embeddings[[0, 2]], before[[0, 2]])
    np.testing.assert_allclose(emb.embeddings[1], before[1] - 0.3, rtol=1e-5)


def test_what_cannot_be_exact():
    emb = pe.Embedding(3, 2)
    with pytest.raises(ValueError, match=r"24 terms for beta_1=0.9 and beta_2=0.9"):
        pe.SparseAdam(emb, beta_2=0.9, update="exact")
    with pytest.raises(ValueError, match="step_bias='row'"):
        pe.SparseAdam(emb, update="exact", step_bias="row")
    for epsilon in (0.0, 1e-46, 1e-40):  # whose reciprocals are inf in float32
        with pytest.raises(ValueError, match=f"epsilon={epsilon} must be >= 1.17549e-38 for"):
            pe.SparseAdam(emb, epsilon=epsilon, update="exact")
    constrained = pe.Embedding(3, 2, embeddings_constraint="non_neg", name="words")
    with pytest.raises(ValueError, match="embeddings_constraint of words"):
        pe.SparseAdam([emb, constrained], update="exact")
    pe.SparseAdam(emb, update="exact")  # the refused ones hold no claim
