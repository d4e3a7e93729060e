import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import pyembed as pe
from kinds import OPTIMIZERS

COPIES = {
    **{
        f"pickle {protocol}": lambda thing, protocol=protocol: pickle.loads(
            pickle.dumps(thing, protocol)
        )
        for protocol in (0, 1, 2, pickle.HIGHEST_PROTOCOL)
    },
    "deepcopy": copy.deepcopy,
}


@pytest.fixture(params=COPIES)
def copied(request):
    return COPIES[request.param]


def train(layers, opt, steps, seed):
    """Step with gradients of all layers; the same ones for the same seed."""
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        grads = []
        for layer in layers:
            ids = rng.integers(0, layer.input_dim, (8, 3))
            y = layer(ids)
            grads.append(layer.backward(ids, rng.standard_normal(y.shape).astype(y.dtype)))
        opt.step(*grads)


def test_a_layer_keeps_values_and_config(layer, copied, dtype):
    made = layer(
        9,
        4,
        "normal",
        "l2",
        "l1",
        "non_neg",
        mask_zero=True,
        padding_idx=2,
        max_norm=3.0,
        norm_type=1.0,
        scale_grad_by_freq=True,
        out_of_range="wrap",
        dtype=dtype,
        name="words",
    )
    made.embeddings[2] = [1, 2, 3, 4]
    made.freeze([5, 7])
    again = copied(made)
    assert type(again) is layer
    assert again.get_config() == made.get_config()
    assert again.frozen_rows.tolist() == [5, 7]
    np.testing.assert_array_equal(again.embeddings, made.embeddings, strict=True)
    assert not np.shares_memory(again.embeddings, made.embeddings)
    before = made.embeddings.copy()
    train([again], pe.SparseSGD(again, 0.5), 3, seed=0)
    np.testing.assert_array_equal(made.embeddings, before)
    train([made], pe.SparseSGD(made, 0.5), 3, seed=0)
    np.testing.assert_array_equal(made.embeddings, again.embeddings)


def test_what_bags_add(copied):
    again = copied(pe.EmbeddingBag(9, 4, mode="max", include_last_offset=True))
    assert (again.mode, again.include_last_offset) == ("max", True)
    assert copied(pe.EmbeddingBag(9, 4)).mode == "mean"


def test_what_may_change_after_a_layer_is_made(layer, copied):
    made = layer(9, 4)
    made.trainable = False
    made.grow(12)
    again = copied(made)
    assert again.trainable is False
    assert again.input_dim == 12
    np.testing.assert_array_equal(again.embeddings, made.embeddings)


@pytest.mark.parametrize("writeable", [True, False])
def test_a_shared_matrix_becomes_a_table_of_its_own(layer, copied, writeable):
    matrix = np.arange(15.0).reshape(3, 5)[:, 1:3]  # rows with a gap between them
    matrix.flags.writeable = writeable
    made = layer.from_pretrained(matrix)
    again = copied(made)
    np.testing.assert_array_equal(again.embeddings, matrix, strict=True)
    assert not np.shares_memory(again.embeddings, matrix)
    assert again.embeddings.flags.writeable is writeable
    if not writeable:
        with pytest.raises(ValueError, match="read-only"):
            again.trainable = True


def test_a_memory_map(tmp_path, copied):
    np.save(tmp_path / "matrix.npy", np.arange(6.0).reshape(3, 2))
    made = pe.Embedding.from_pretrained(np.load(tmp_path / "matrix.npy", mmap_mode="r"))
    again = copied(made)
    np.testing.assert_array_equal(again([2, 0]), [[4, 5], [0, 1]])
    assert type(again.embeddings) is np.ndarray


def test_an_initializer_of_ones_own_stays_with_the_layer(copied):
    again = copied(pe.Embedding(3, 2, np.ones))
    again.grow(5)
    np.testing.assert_array_equal(again.embeddings[3:], np.ones((2, 2)))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_bit_for_bit(name, copied, dtype):
    layers = [pe.Embedding(20, 5, seed=0, dtype=dtype), pe.EmbeddingBag(9, 3, seed=1)]
    opt = OPTIMIZERS[name](layers)
    train(layers, opt, 4, seed=1)
    train(layers[:1], opt, 2, seed=2)  # so that the tables' steps differ
    again = copied(opt)
    assert type(again) is type(opt)
    assert type(again.tables) is tuple
    assert [type(layer) for layer in again.tables] == [pe.Embedding, pe.EmbeddingBag]
    assert opt.tables == tuple(layers)
    for layer, was in zip(again.tables, layers, strict=True):
        assert layer.name == was.name
        np.testing.assert_array_equal(layer.embeddings, was.embeddings, strict=True)

    before = [layer.embeddings.copy() for layer in layers]
    train(again.tables, again, 4, seed=3)
    for layer, was in zip(layers, before, strict=True):
        np.testing.assert_array_equal(layer.embeddings, was)
    train(layers, opt, 4, seed=3)
    for layer, other in zip(layers, again.tables, strict=True):
        np.testing.assert_array_equal(layer.embeddings, other.embeddings)


def test_arguments_of_optimizers(copied):
    opt = copied(pe.SparseAdam(pe.Embedding(3, 2), 0.1, 0.8, 0.9, 1e-5, weight_decay=0.5))
    assert (opt.learning_rate, opt.beta_1, opt.beta_2, opt.epsilon) == (0.1, 0.8, 0.9, 1e-5)
    assert (opt.weight_decay, opt.update, opt.step_bias) == (0.5, "lazy", "global")
    opt = copied(pe.SparseSGD(pe.Embedding(3, 2), 0.1, 0.9, True))
    assert (opt.learning_rate, opt.momentum, opt.nesterov) == (0.1, 0.9, True)
    opt.learning_rate = 0.5
    assert opt.learning_rate == 0.5
    with pytest.raises(AttributeError, match="momentum cannot be changed"):
        opt.momentum = 0.5


def halving(t):
    return 0.5**t


def test_a_learning_rate_that_is_called(copied):
    emb = pe.Embedding(3, 2, "zeros")
    opt = pe.SparseSGD(emb, halving)
    grad = np.ones((1, 2), np.float32)
    opt.step(emb.backward([1], grad))
    again = copied(opt)
    (layer,) = again.tables
    again.step(layer.backward([1], grad))
    np.testing.assert_array_equal(layer.embeddings[1], -0.75)


def test_the_copy_of_an_optimizer_holds_the_claim_on_its_own_tables(copied):
    emb = pe.Embedding(3, 2)
    opt = pe.SparseAdam(emb)
    again = copied(opt)
    (table,) = again.tables
    for layer in (emb, table):
        with pytest.raises(ValueError, match=r"opt.release\(\)"):
            pe.SparseSGD(layer)
    with pytest.raises(ValueError, match="of a table that this optimizer does not update"):
        again.step(emb.backward([1], np.ones((1, 2), np.float32)))
    again.release()
    pe.SparseSGD(table)


def test_copies_of_a_layer_alone_have_no_optimizer(copied):
    emb = pe.Embedding(3, 2)
    opt = pe.SparseAdam(emb)
    pe.SparseSGD(copied(emb))
    opt.step(emb.backward([1], np.ones((1, 2), np.float32)))


def test_together_they_stay_together(copied):
    emb = pe.Embedding(5, 2)
    bag = pe.EmbeddingBag.sharing(emb, mode="sum")
    opt = pe.SparseAdam(emb)
    emb2, bag2, opt2 = copied((emb, bag, opt))
    assert opt2.tables == (emb2,)
    assert np.shares_memory(emb2.embeddings, bag2.embeddings)
    assert not np.shares_memory(emb2.embeddings, emb.embeddings)
    opt2.step(bag2.backward([[1, 2]], np.ones((1, 2), np.float32)))
    np.testing.assert_array_equal(emb2.embeddings, bag2.embeddings)
    assert (emb2.embeddings[1:3] != emb.embeddings[1:3]).all()
    bag2.grow(7)
    assert emb2.input_dim == 7
    emb2.freeze([1])
    assert bag2.frozen_rows.tolist() == [1]


def test_apart_each_has_a_table_of_its_own(copied):
    emb = pe.Embedding(5, 2)
    bag = pe.EmbeddingBag.sharing(emb, mode="sum")
    emb2, bag2 = copied(emb), copied(bag)
    assert not np.shares_memory(emb2.embeddings, bag2.embeddings)
    np.testing.assert_array_equal(bag2.embeddings, emb.embeddings)
    assert bag2.mode == "sum"


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_shallow_copy_of_an_optimizer_is_refused(name):
    emb = pe.Embedding(3, 2)
    opt = OPTIMIZERS[name](emb)
    with pytest.raises(ValueError, match=r"opt.release\(\)"):
        copy.copy(opt)
    opt.step(emb.backward([1], np.ones((1, 2), np.float32)))


def test_another_process_with_other_threads_goes_on(tmp_path):
    emb = pe.Embedding(300, 17, seed=0)
    opt = pe.SparseAdam(emb, 0.1)
    program = """
import pickle, sys
import numpy as np
import pyembed as pe
pe.set_num_threads(int(sys.argv[2]))
with open(sys.argv[1], "rb") as file:
    emb, opt = pickle.load(file)
ids = np.arange(4000) ** 2 % 300
opt.step(emb.backward(ids, np.sin(np.arange(4000 * 17)).reshape(4000, 17).astype("f4")))
with open(sys.argv[1], "wb") as file:
    pickle.dump((emb, opt), file)
"""
    opt.step(emb.backward(np.arange(300), np.ones((300, 17), np.float32)))
    path = tmp_path / "state.pickle"
    path.write_bytes(pickle.dumps((emb, opt)))
    subprocess.run([sys.executable, "-c", program, path, "5"], cwd=tmp_path, check=True)
    theirs, _ = pickle.loads(path.read_bytes())
    ids = np.arange(4000) ** 2 % 300
    grad = np.sin(np.arange(4000 * 17)).reshape(4000, 17).astype("f4")
    opt.step(emb.backward(ids, grad))
    np.testing.assert_array_equal(theirs.embeddings, emb.embeddings)
