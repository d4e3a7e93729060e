import json
import re
import threading

import numpy as np
import pytest

import pyembed as pe

MATRIX = np.array([[1.0, -2.0], [-3.0, 4.0], [0.5, 0.0], [-6.0, -8.0]])


def table(cls=pe.Embedding, **options):
    return cls(4, 2, weights=MATRIX, dtype="float64", **options)


def step(emb, ids, grad=0.0, **options):
    """One step of SGD at a learning rate of 1, with the same gradient for every id."""
    opt = pe.SparseSGD(emb, 1.0, **options)
    shape = emb(ids).shape
    opt.step(emb.backward(ids, np.full(shape, grad)))
    opt.release()


class Cubes:
    """A user's own: the sum of w³."""

    def __init__(self):
        self.seen = []

    def __call__(self, w):
        return (w**3).sum()

    def gradient(self, w):
        self.seen.append(w.copy())
        return 3 * w**2


# --- what a layer takes ---


@pytest.mark.parametrize(
    ("given", "loss"),
    [
        ("l1", 0.01 * 24.5),
        ("l2", 0.01 * 130.25),
        ("L2", 0.01 * 130.25),
        (pe.regularizers.L1(2.0), 49.0),
        (pe.regularizers.L2(0.5), 65.125),
        (pe.regularizers.L1L2(2.0, 0.5), 114.125),
        (Cubes(), (MATRIX**3).sum()),
        (lambda w: np.abs(w).max(), 8.0),
        (None, 0.0),
    ],
)
def test_the_loss_is_over_the_whole_table(layer, given, loss):
    made = table(layer, embeddings_regularizer=given)
    total = made.regularization_loss()
    assert type(total) is float
    np.testing.assert_allclose(total, loss, rtol=1e-14)


def test_attributes_are_objects(layer):
    made = table(
        layer,
        embeddings_regularizer="l1",
        activity_regularizer={"class_name": "L2", "config": {"l2": 0.5}},
        embeddings_constraint="max_norm",
    )
    assert type(made.embeddings_regularizer) is pe.regularizers.L1
    assert type(made.activity_regularizer) is pe.regularizers.L2
    assert made.activity_regularizer.l2 == 0.5
    assert type(made.embeddings_constraint) is pe.constraints.MaxNorm
    own = Cubes()
    assert table(layer, embeddings_regularizer=own).embeddings_regularizer is own
    plain = table(layer)
    assert plain.embeddings_regularizer is None
    assert plain.activity_regularizer is None
    assert plain.embeddings_constraint is None


def test_config(layer):
    made = table(
        layer,
        embeddings_regularizer=pe.regularizers.L1L2(0.25, 0.5),
        activity_regularizer="l2",
        embeddings_constraint=pe.constraints.MinMaxNorm(0.5, 2.0, 0.75, axis=1),
    )
    config = json.loads(json.dumps(made.get_config()))
    assert config["embeddings_regularizer"] == {
        "class_name": "L1L2",
        "config": {"l1": 0.25, "l2": 0.5},
    }
    assert config["embeddings_constraint"]["class_name"] == "MinMaxNorm"
    again = layer.from_config(config)
    assert again.get_config() == made.get_config()
    assert again.embeddings_regularizer(MATRIX) == made.embeddings_regularizer(MATRIX)
    np.testing.assert_array_equal(
        again.embeddings_constraint(MATRIX), made.embeddings_constraint(MATRIX)
    )


@pytest.mark.parametrize(
    "argument", ["embeddings_regularizer", "activity_regularizer", "embeddings_constraint"]
)
@pytest.mark.parametrize("given", ["l3", "", 3, True, {"class_name": "L3"}, {}])
def test_unknown_names(layer, argument, given):
    with pytest.raises(ValueError, match=re.escape(f"{argument}={given!r}")):
        layer(3, 2, **{argument: given})


# --- losses of a lookup ---


def test_the_loss_of_ids_is_over_the_distinct_rows_looked_up(layer):
    made = table(layer, embeddings_regularizer=pe.regularizers.L2(1.0))
    assert made.regularization_loss(np.array([[1, 2, 1], [2, 2, 1]])) == 25.25
    assert made.regularization_loss(ids=np.array([[3]], np.uint8)) == 100.0
    assert made.regularization_loss(np.empty((0, 3), int)) == 0.0


def test_the_loss_of_an_activity_is_divided_by_the_batch():
    emb = table(activity_regularizer=pe.regularizers.L1(1.0))
    assert emb.regularization_loss([[1, 1], [1, 2], [1, 0]]) == (4 * 7 + 0.5 + 3) / 3
    assert emb.regularization_loss([1, 2]) == 7.5 / 2
    assert emb.regularization_loss(1) == 7.0
    assert emb.regularization_loss([]) == 0.0
    assert emb.regularization_loss(np.empty((0, 4), int)) == 0.0
    assert emb.regularization_loss() == 0.0  # nothing was looked up
    assert type(emb.regularization_loss([1])) is float


def test_both_losses_add_up():
    emb = table(
        activity_regularizer=lambda y: y.sum(),
        embeddings_regularizer=pe.regularizers.L1(0.5),
    )
    assert emb.regularization_loss([1, 1]) == 0.5 * 7 + (1 + 1) / 2
    assert emb.regularization_loss() == 0.5 * 24.5


def test_the_batch_of_bags_is_their_number():
    bag = table(
        pe.EmbeddingBag,
        mode="sum",
        activity_regularizer=pe.regularizers.L2(1.0),
        embeddings_regularizer=pe.regularizers.L1(1.0),
    )
    # Bags of rows 0 + 1, of none, and of 1: (-2, 2), (0, 0) and (-3, 4).
    assert bag.regularization_loss([0, 1, 1], [0, 2, 2]) == 3 + 7 + (8 + 0 + 25) / 3
    assert bag.regularization_loss([[0, 1], [1, 1]]) == 3 + 7 + (8 + 100) / 2
    weights = np.array([2.0, 1.0, 3.0])
    loss = bag.regularization_loss([0, 1, 1], offsets=[0, 2], per_sample_weights=weights)
    assert loss == 3 + 7 + (1 + 81 + 144) / 2


@pytest.mark.parametrize("policy", ["clip", "zero", "wrap"])
def test_rows_that_ids_out_of_range_stand_for(layer, policy):
    made = table(layer, out_of_range=policy, embeddings_regularizer=pe.regularizers.L1(1.0))
    expected = {"clip": 14, "zero": 0, "wrap": 7}[policy]
    assert made.regularization_loss(np.array([[5]])) == expected


@pytest.mark.parametrize("embeddings_regularizer", [None, "l1"])
@pytest.mark.parametrize("activity_regularizer", [None, "l1"])
def test_arguments_are_checked_as_a_lookups(embeddings_regularizer, activity_regularizer):
    options = {
        "embeddings_regularizer": embeddings_regularizer,
        "activity_regularizer": activity_regularizer,
    }
    for cls in (pe.Embedding, pe.EmbeddingBag):
        made = table(cls, input_length=2, **options)
        with pytest.raises(IndexError, match=r"id 4 at position \(0, 1\) is outside"):
            made.regularization_loss([[1, 4]])
        with pytest.raises(TypeError, match="ids must be integers"):
            made.regularization_loss([[1.5, 4.0]])
        with pytest.raises(ValueError, match="input_length=2"):
            made.regularization_loss([[1, 2, 3]])
    bag = table(pe.EmbeddingBag, **options)
    with pytest.raises(ValueError, match=r"offsets\[1\] is 5"):
        bag.regularization_loss([1, 2], [0, 5])
    with pytest.raises(TypeError, match="per_sample_weights must have dtype float64"):
        bag.regularization_loss([[1, 2]], None, np.ones((1, 2), np.float32))


def test_a_loss_changes_nothing(layer):
    made = table(layer, embeddings_regularizer="l1", activity_regularizer="l1")
    made.regularization_loss([[1, 2]])
    made.regularization_loss()
    np.testing.assert_array_equal(made.embeddings, MATRIX)


# --- embeddings_regularizer in a step ---


@pytest.mark.parametrize(
    ("regularizer", "gradient"),
    [
        (pe.regularizers.L1(0.5), 0.5 * np.sign(MATRIX)),
        (pe.regularizers.L2(0.25), 0.5 * MATRIX),
        (pe.regularizers.L1L2(0.5, 0.25), 0.5 * np.sign(MATRIX) + 0.5 * MATRIX),
        (Cubes(), 3 * MATRIX**2),
    ],
)
def test_a_step_adds_the_gradient_to_each_touched_row_once(regularizer, gradient):
    emb = table(embeddings_regularizer=regularizer)
    step(emb, [1, 2, 1, 1], 0.125)
    expected = MATRIX.copy()
    expected[1] -= 3 * 0.125 + gradient[1]
    expected[2] -= 0.125 + gradient[2]
    np.testing.assert_allclose(emb.embeddings, expected, rtol=1e-14)


def test_it_is_not_scaled_with_the_gradient():
    emb = table(embeddings_regularizer=pe.regularizers.L2(0.25))
    pe.SparseSGD(emb, 1.0).step(emb.backward([1], [[8.0, 8.0]]) * 0.125)
    np.testing.assert_array_equal(emb.embeddings[1], MATRIX[1] / 2 - 1)
    emb = table(embeddings_regularizer=pe.regularizers.L2(0.25))
    pe.SparseSGD(emb, 1.0).step(emb.backward([1], [[3.0, 4.0]]).clip_norm(1.0))
    np.testing.assert_allclose(emb.embeddings[1], MATRIX[1] / 2 - [0.6, 0.8], rtol=1e-14)
    often = table(embeddings_regularizer=pe.regularizers.L2(0.25), scale_grad_by_freq=True)
    step(often, [1, 1], 0.0)
    np.testing.assert_array_equal(often.embeddings[1], MATRIX[1] / 2)


def test_several_gradients_count_it_once():
    emb = table(embeddings_regularizer=pe.regularizers.L2(0.25))
    grads = [emb.backward(ids, np.zeros((2, 2))) for ids in ([1, 2], [2, 2], [1, 3])]
    pe.SparseSGD(emb, 1.0).step(*grads[:2], grads[2])
    np.testing.assert_array_equal(emb.embeddings, [MATRIX[0], *(MATRIX[1:] / 2)])


def test_rows_that_are_not_touched_stay():
    emb = table(embeddings_regularizer=pe.regularizers.L2(0.25), padding_idx=0)
    emb.freeze([2])
    opt = pe.SparseSGD(emb, 1.0)
    opt.step(emb.backward([], np.empty((0, 2))))
    np.testing.assert_array_equal(emb.embeddings, MATRIX)
    opt.step(emb.backward([0, 1, 2], np.zeros((3, 2))))
    np.testing.assert_array_equal(emb.embeddings, [MATRIX[0], MATRIX[1] / 2, *MATRIX[2:]])


def test_the_sparse_gradient_is_without_it():
    emb = table(embeddings_regularizer="l2")
    assert emb.backward([1], [[1.0, 2.0]]).to_dense()[1].tolist() == [1, 2]


def test_a_users_regularizer_gets_the_touched_rows(dtype):
    regularizer = Cubes()
    emb = pe.Embedding(4, 2, weights=MATRIX, dtype=dtype, embeddings_regularizer=regularizer)
    opt = pe.SparseSGD(emb, 0.5)
    opt.step(emb.backward([3, 1, 3], np.ones((3, 2), dtype)))
    (seen,) = regularizer.seen
    np.testing.assert_array_equal(seen, MATRIX[[1, 3]].astype(dtype), strict=True)
    expected = MATRIX.copy()
    expected[1] -= 0.5 * (1 + 3 * MATRIX[1] ** 2)
    expected[3] -= 0.5 * (2 + 3 * MATRIX[3] ** 2)
    np.testing.assert_array_equal(emb.embeddings, expected.astype(dtype))


def test_momentum_and_adam_see_it():
    def train(make, regularizer):
        emb = table(embeddings_regularizer=regularizer)
        opt = make(emb)
        for ids in ([1, 2], [2, 2], [1]):
            grad = np.full((len(ids), 2), 0.25)
            if regularizer is None:
                rows = np.unique(ids)
                ids, grad = [*ids, *rows], np.concatenate([grad, emb.embeddings[rows]])
            opt.step(emb.backward(ids, grad))
        return emb.embeddings

    for make in (
        lambda e: pe.SparseSGD(e, 0.1, 0.9, True),
        lambda e: pe.SparseAdam(e, 0.1),
        lambda e: pe.SparseAdam(e, 0.1, step_bias="row"),
    ):
        np.testing.assert_allclose(
            train(make, pe.regularizers.L2(0.5)), train(make, None), rtol=1e-12
        )


class TestARefusedStepChangesNothing:
    def refuse(self, error, message, regularizer):
        first, second = table(), table(embeddings_regularizer=regularizer)
        opt = pe.SparseAdam([first, second], 0.5)
        grads = [emb.backward([1, 2], np.ones((2, 2))) for emb in (first, second)]
        with pytest.raises(error, match=message):
            opt.step(*grads)
        for emb in (first, second):
            np.testing.assert_array_equal(emb.embeddings, MATRIX)
        # Neither t nor the moments moved: the first step is worth the learning rate.
        opt.step(grads[0])
        np.testing.assert_allclose(first.embeddings[1:3], MATRIX[1:3] - 0.5, atol=1e-5)

    def test_no_gradient(self):
        self.refuse(TypeError, r"embeddings_regularizer.*gradient", lambda w: (w**2).sum())

    def test_a_gradient_that_raises(self):
        class Broken(Cubes):
            def gradient(self, w):
                raise ArithmeticError("out of coal")

        self.refuse(ArithmeticError, "out of coal", Broken())

    @pytest.mark.parametrize("made", [np.ones((4, 2)), np.ones((2, 3)), None], ids=str)
    def test_a_gradient_of_another_shape(self, made):
        class Wrong(Cubes):
            def gradient(self, w):
                return made

        self.refuse((ValueError, TypeError), "gradient", Wrong())


# --- activity_regularizer in backward ---


def test_backward_adds_the_activitys_gradient():
    emb = table(activity_regularizer=pe.regularizers.L2(1.5))
    ids = np.array([[1, 1], [2, 0], [3, 1]])
    grad = np.arange(12.0).reshape(3, 2, 2)
    given = grad.copy()
    sparse = emb.backward(ids, grad)
    np.testing.assert_array_equal(grad, given)
    np.testing.assert_allclose(
        sparse.values, (grad + 3 * MATRIX[ids] / 3).reshape(6, 2), rtol=1e-14
    )
    expected = np.zeros((4, 2))
    np.add.at(expected, ids, grad + 3 * MATRIX[ids] / 3)
    np.testing.assert_allclose(sparse.to_dense(), expected, rtol=1e-14)
    one = emb.backward(1, [0.0, 0.0])  # a batch of one
    np.testing.assert_allclose(one.to_dense()[1], 3 * MATRIX[1], rtol=1e-14)


def test_a_users_activity_gets_the_output():
    regularizer = Cubes()
    bag = table(pe.EmbeddingBag, mode="sum", activity_regularizer=regularizer)
    ids, offsets, weights = [0, 1, 1], [0, 2], np.array([1.0, 2.0, -1.0])
    dense = bag.backward(ids, np.zeros((2, 2)), offsets, weights).to_dense()
    y = bag(ids, offsets, weights)
    np.testing.assert_array_equal(regularizer.seen, [y])
    by_bag = 3 * y**2 / 2
    expected = [by_bag[0], 2 * by_bag[0] - by_bag[1], [0, 0], [0, 0]]
    np.testing.assert_allclose(dense, expected, rtol=1e-14)


def test_the_activity_of_nothing():
    emb = table(activity_regularizer="l2")
    assert emb.backward([], np.empty((0, 2))).ids.shape == (0,)
    bag = table(pe.EmbeddingBag, activity_regularizer="l2")
    assert bag.backward([], np.empty((0, 2)), []).ids.shape == (0,)


def test_an_activity_without_a_gradient_gives_a_loss_alone(layer):
    made = table(layer, activity_regularizer=lambda y: y.sum())
    ids = np.array([[1]])
    assert made.regularization_loss(ids) == 1.0
    with pytest.raises(TypeError, match=r"activity_regularizer.*gradient"):
        made.backward(ids, np.ones(made(ids).shape))


def test_bad_gradients_are_refused_with_an_activity_too(layer):
    made = table(layer, activity_regularizer="l2")
    ids = np.array([[1]])
    shape = made(ids).shape
    with pytest.raises(TypeError, match="grad_output must have dtype float64"):
        made.backward(ids, np.ones(shape, np.float32))
    with pytest.raises(ValueError, match="grad_output has shape"):
        made.backward(ids, np.ones((7, *shape)))
    with pytest.raises(IndexError, match="id 4 "):
        made.backward(np.array([[4]]), np.ones(shape)).coalesce()


# --- constraints in a step ---


def constrained(constraint, w):
    """What a row-wise constraint makes of rows, in float64."""
    norm = np.linalg.norm(w, axis=1, keepdims=True)
    return {
        "non_neg": np.maximum(w, 0),
        "max_norm": w * np.clip(norm, 0, 2.5) / (1e-7 + norm),
        "unit_norm": w / (1e-7 + norm),
        "min_max_norm": w * (0.75 * np.clip(norm, 1, 3) + 0.25 * norm) / (1e-7 + norm),
    }[constraint]


def row_wise(axis):
    return {
        "non_neg": pe.constraints.NonNeg(),
        "max_norm": pe.constraints.MaxNorm(2.5, axis=axis),
        "unit_norm": pe.constraints.UnitNorm(axis=axis),
        "min_max_norm": pe.constraints.MinMaxNorm(1.0, 3.0, 0.75, axis=axis),
    }


@pytest.mark.parametrize("name", row_wise(1))
@pytest.mark.parametrize("axis", [1, -1, (1,), [1]], ids=str)
def test_row_wise_constraints_act_on_the_updated_rows(name, axis):
    emb = table(embeddings_constraint=row_wise(axis)[name], padding_idx=0)
    np.testing.assert_array_equal(emb.embeddings, MATRIX)  # not before a step
    emb.freeze([3])
    opt = pe.SparseSGD(emb, 1.0)
    opt.step(emb.backward([], np.empty((0, 2))))
    np.testing.assert_array_equal(emb.embeddings, MATRIX)
    opt.step(emb.backward([1, 1, 0, 3], np.full((4, 2), 0.5)))
    expected = MATRIX.copy()
    expected[1] = constrained(name, MATRIX[1:2] - 1)[0]
    np.testing.assert_allclose(emb.embeddings, expected, rtol=1e-12)
    np.testing.assert_array_equal(emb.embeddings[[0, 2, 3]], MATRIX[[0, 2, 3]])


@pytest.mark.parametrize(
    ("constraint", "meaning"),
    [
        ("max_norm", lambda w, n: w * np.clip(n, 0, 2) / (1e-7 + n)),
        (pe.constraints.MaxNorm(3.0), lambda w, n: w * np.clip(n, 0, 3) / (1e-7 + n)),
        ("unit_norm", lambda w, n: w / (1e-7 + n)),
        ("min_max_norm", lambda w, n: w * np.clip(n, 0, 1) / (1e-7 + n)),
    ],
    ids=["max_norm", "of 3", "unit_norm", "min_max_norm"],
)
def test_keras_default_is_over_the_columns_of_the_whole_table(constraint, meaning):
    emb = table(embeddings_constraint=constraint, padding_idx=0)
    emb.freeze([3])
    step(emb, [1, 0], 0.5)
    updated = MATRIX.copy()
    updated[1] -= 0.5
    expected = meaning(updated, np.linalg.norm(updated, axis=0, keepdims=True))
    np.testing.assert_allclose(emb.embeddings[[1, 2]], expected[[1, 2]], rtol=1e-12)
    np.testing.assert_array_equal(emb.embeddings[[0, 3]], MATRIX[[0, 3]])


def test_a_users_constraint_gets_the_whole_table(dtype):
    shapes = []

    def constraint(w):
        shapes.append((w.shape, w.dtype))
        return np.clip(w, -1.5, 1.5)

    emb = pe.Embedding(
        4, 2, weights=MATRIX, dtype=dtype, embeddings_constraint=constraint, padding_idx=1
    )
    view = emb.embeddings
    emb.freeze([3])
    assert shapes == []
    pe.SparseSGD(emb, 1.0).step(emb.backward([2], np.full((1, 2), -2.0, dtype)))
    assert shapes == [((4, 2), dtype)]
    np.testing.assert_array_equal(view, [[1, -1.5], [-3, 4], [1.5, 1.5], [-6, -8]])
    assert np.shares_memory(view, emb.embeddings)


def test_a_constraint_acts_after_the_regularizer_and_the_decay():
    emb = table(
        embeddings_regularizer=pe.regularizers.L2(0.25),
        embeddings_constraint=pe.constraints.UnitNorm(axis=1),
    )
    step(emb, [1], 1.0, weight_decay=0.5)
    updated = (MATRIX[1:2] * 0.5) - 1 - MATRIX[1:2] / 2
    np.testing.assert_allclose(emb.embeddings[1:2], constrained("unit_norm", updated), rtol=1e-12)


def test_constraints_of_bags_and_of_every_step():
    bag = table(pe.EmbeddingBag, mode="sum", embeddings_constraint="NonNeg")
    opt = pe.SparseSGD(bag, 1.0)
    for _ in range(3):
        opt.step(bag.backward([[0, 1]], np.full((1, 2), 0.5)))
    np.testing.assert_array_equal(bag.embeddings, [[0, 0], [0, 2.5], *MATRIX[2:]])


def test_users_code_may_look_at_the_table_during_a_step():
    class Looking(Cubes):
        def gradient(self, w):
            emb([0, 1])
            return emb.embeddings[[1]]

    def constraint(w):
        return w + emb([0])

    emb = table(embeddings_regularizer=Looking(), embeddings_constraint=constraint)
    worker = threading.Thread(target=step, args=(emb, [1]), daemon=True)
    worker.start()
    worker.join(20)
    assert not worker.is_alive(), "it waits for itself"
    np.testing.assert_array_equal(emb.embeddings, MATRIX * [[1], [0], [1], [1]] + MATRIX[0])
