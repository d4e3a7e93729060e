"""What was saved comes back, and training goes on from there to the same bits."""

import numpy as np
import pytest
from safetensors.numpy import load_file

import checkpoint_jobs
import pyembed as pe
from checkpoint_jobs import run, trained, values
from kinds import OPTIMIZERS

ROWS = np.arange(12.0).reshape(4, 3)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_new_objects(path, name):
    objects = trained(name)
    pe.save(path, **objects)
    again = pe.load(path)
    assert {name: type(item) for name, item in again.items()} == {
        name: type(item) for name, item in objects.items()
    }
    np.testing.assert_equal(values(again), values(objects))
    assert np.shares_memory(again["emb"].embeddings, again["bag"].embeddings)
    assert again["opt"].tables == (again["emb"], again["wide"])
    with pytest.raises(ValueError, match=r"opt.release\(\)"):
        pe.SparseSGD(again["bag"])
    for these in (objects, again):
        checkpoint_jobs.train(**these, steps=range(4, 7))
    np.testing.assert_equal(values(again), values(objects))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_objects_that_there_are(path, name):
    objects = trained(name)
    pe.save(path, **objects)
    saved = values(objects)
    checkpoint_jobs.train(**objects, steps=range(4, 7))
    gone_on = values(objects)
    objects["emb"].freeze([1])
    objects["emb"].unfreeze([7])
    objects["opt"].learning_rate = 0.125
    views = [layer.embeddings for layer in objects["opt"].tables]
    assert pe.load(path, **objects) == objects
    np.testing.assert_equal(values(objects), saved)
    for view, layer in zip(views, objects["opt"].tables, strict=True):
        assert np.shares_memory(view, layer.embeddings)
    checkpoint_jobs.train(**objects, steps=range(4, 7))
    np.testing.assert_equal(values(objects), gone_on)


def test_another_process_with_other_threads_goes_on(tmp_path):
    expected = {}
    for name in OPTIMIZERS:
        objects = trained(name, 6)
        pe.save(tmp_path / f"{name}.safetensors", **objects)
        checkpoint_jobs.train(**objects, steps=range(6, 12))
        expected[name] = values(objects)
    names = list(OPTIMIZERS)
    for order in (names, [*names[1:], names[0]]):  # each into new objects, and into old ones
        for name in names:
            objects = trained(name, 6)
            pe.save(tmp_path / f"{name}.safetensors", **objects)
        run("go_on", tmp_path, ",".join(order), "6,12")
        for name in names:
            theirs = pe.load(tmp_path / f"{name}.safetensors")
            np.testing.assert_equal(values(theirs), expected[name])


def test_a_layer_of_every_argument(path, layer, dtype):
    made = layer(
        9,
        4,
        "normal",
        {"class_name": "L1L2", "config": {"l1": 0.1, "l2": 0.3}},
        "l1",
        pe.constraints.MaxNorm(2.0, axis=(1,)),
        mask_zero=True,
        input_length=(3, 2),
        trainable=False,
        padding_idx=2,
        max_norm=3.0,
        norm_type=np.inf,
        scale_grad_by_freq=True,
        out_of_range="wrap",
        dtype=dtype,
        seed=2**64 - 1,
        name="wörds",
    )
    made.freeze([8])
    pe.save(path, made=made)
    (again,) = pe.load(path).values()
    assert type(again) is layer
    shown = [repr(item.get_config()) for item in (again, made)]
    assert shown[0].replace("axis=[1]", "axis=(1,)") == shown[1]
    np.testing.assert_array_equal(again.embeddings, made.embeddings, strict=True)
    assert again.frozen_rows.tolist() == [8]
    pe.load(path, made=made)


def test_a_shared_layer_keeps_what_is_its_own(path):
    emb = pe.Embedding(5, 3, mask_zero=True)
    bag = pe.EmbeddingBag.sharing(
        emb, "sum", True, mask_zero=False, activity_regularizer="l2", scale_grad_by_freq=True
    )
    pe.save(path, bag=bag, emb=emb)
    again = pe.load(path)
    assert set(load_file(path)) == {"bag.embeddings", "bag.frozen_rows"}
    for name, item in (("bag", bag), ("emb", emb)):
        assert repr(again[name].get_config()) == repr(item.get_config())
    again["emb"].grow(6)
    assert again["bag"].input_dim == 6


def test_rows_with_a_gap_between_them_and_odd_sizes(path):
    matrix = np.arange(20.0).reshape(4, 5)
    gap = pe.Embedding.from_pretrained(matrix[:, 1:4], trainable=True)
    nothing = pe.Embedding(3, 0)
    opt = pe.SparseAdagrad([gap, nothing])
    pe.save(path, gap=gap, nothing=nothing, opt=opt)
    matrix[:] = -1.0
    pe.load(path, gap=gap, nothing=nothing, opt=opt)
    np.testing.assert_array_equal(matrix[:, 1:4], np.arange(20.0).reshape(4, 5)[:, 1:4])
    assert (matrix[:, [0, 4]] == -1).all()
    assert pe.load(path)["nothing"].embeddings.shape == (3, 0)
    assert pe.load(path, mmap=True)["nothing"].embeddings.shape == (3, 0)


def test_a_layer_alone_and_an_optimizer_of_a_sharing_layer(path):
    objects = trained()
    pe.save(path, **objects)
    fresh = checkpoint_jobs.make("momentum")["bag"]
    pe.load(path, bag=fresh)
    np.testing.assert_array_equal(fresh.embeddings, objects["emb"].embeddings)
    pe.save(path, bag=objects["bag"], wide=objects["wide"], opt=objects["opt"])
    again = pe.load(path)
    assert again["opt"].tables == (again["bag"], again["wide"])


def test_an_optimizer_of_a_layer_that_became_untrainable(path):
    emb = pe.Embedding(4, 3)
    opt = pe.SparseSGD(emb)
    emb.trainable = False
    pe.save(path, emb=emb, opt=opt)
    again = pe.load(path)
    assert again["emb"].trainable is False
    assert again["opt"].tables == (again["emb"],)


def test_memory_maps(path, dtype):
    objects = trained()
    objects["table"] = pe.Embedding(1, 3, weights=ROWS[:1], dtype=dtype)
    pe.save(path, **objects)
    mapped = pe.load(path, mmap=True)
    assert mapped.keys() == {"emb", "bag", "wide", "table"}
    for name, layer in mapped.items():
        assert layer.trainable is False
        assert not layer.embeddings.flags.writeable
        np.testing.assert_array_equal(layer.embeddings, objects[name].embeddings, strict=True)
    assert mapped["emb"].frozen_rows.tolist() == [5, 7]
    assert np.shares_memory(mapped["emb"].embeddings, mapped["bag"].embeddings)
    with pytest.raises(ValueError, match="read-only and cannot be trained"):
        mapped["emb"].trainable = True
    ids = np.array([[1, 5], [39, 0]])
    np.testing.assert_array_equal(mapped["bag"](ids), objects["bag"](ids))
    pe.save(path, emb=pe.Embedding(1, 1))  # the map keeps the old file
    np.testing.assert_array_equal(mapped["emb"].embeddings, objects["emb"].embeddings)
    with pytest.raises(ValueError, match="mmap=True makes new layers"):
        pe.load(path, mmap=True, emb=objects["emb"])
    pe.save(path, emb=pe.Embedding(4, 3, max_norm=1.0))
    with pytest.raises(ValueError, match=r"emb: max_norm=1.0 scales rows in place"):
        pe.load(path, mmap=True)
    read_only = ROWS.copy()
    read_only.flags.writeable = False
    with pytest.raises(ValueError, match="emb: the table here is read-only"):
        pe.load(path, emb=pe.Embedding.from_pretrained(read_only))
