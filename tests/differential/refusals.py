"""Calls that must raise the right error and change nothing: a case compares all after each."""

import numpy as np

import pyembed as pe
from differential.compare import refused, same


def lookup_of_a_bad_id(case):
    lookup = _with_bad_id(case)
    if lookup is None:
        return
    out = np.full(lookup.shape, 77, lookup.layer.dtype)
    refused(IndexError, lookup, out)
    refused(IndexError, lookup)
    same(out, np.full_like(out, 77), "out of a refused lookup")


def gradient_of_a_bad_id(case):
    """Use one, which is made unless the ids are read already, in all ways."""
    lookup = _with_bad_id(case, case.trained)
    if lookup is None:
        return
    model = lookup.part.model
    grad = np.ones(lookup.shape, lookup.layer.dtype)
    if getattr(lookup.layer, "mode", None) == "max" or lookup.layer.activity_regularizer:
        refused(IndexError, lookup.backward, grad)
        return
    bad = lookup.backward(grad)
    out = np.full_like(model.table, 77)
    refused(IndexError, bad.to_dense, out)
    refused(IndexError, bad.to_dense, out, "atomic")
    same(out, np.full_like(out, 77), "out of a refused gradient")
    for use in (bad.coalesce, bad.norm, lambda: bad.ids, lambda: bad.clip_norm(1.0)):
        refused(IndexError, use)
    refused(IndexError, case.optimizer.step, *_good_gradients(case), bad)
    refused(IndexError, case.optimizer.step, bad, *_good_gradients(case))


def ids_of_other_kinds(case):
    layer = case.lookup().layer
    for ids in (np.zeros((2, 3)), [[True, False]], [["a"]], np.zeros((2, 3), complex)):
        refused(TypeError, layer, ids)
    refused(TypeError, layer.freeze, [0.5])
    refused(TypeError, layer.unfreeze, [True])


def wrong_out(case):
    lookup = _sound_lookup(case)
    dtype = lookup.layer.dtype
    other = {"float32": "float64", "float64": "float32"}[dtype]
    refused(TypeError, lookup, np.zeros(lookup.shape, other))
    refused(TypeError, lookup, np.zeros(lookup.shape, dtype).tolist())
    refused(ValueError, lookup, np.zeros((*lookup.shape, 1), dtype))
    fixed = np.zeros(lookup.shape, dtype)
    fixed.flags.writeable = False
    refused(ValueError, lookup, fixed)
    table = lookup.layer.embeddings
    count = int(np.prod(lookup.shape[:-1]))
    if table.flags.c_contiguous and 0 < count <= len(table) and table.size > 0:
        refused(ValueError, lookup, table[:count].reshape(lookup.shape))


def wrong_gradients(case):
    if not case.trained:
        return
    lookup = _sound_lookup(case, case.trained)
    dtype = lookup.layer.dtype
    other = {"float32": "float64", "float64": "float32"}[dtype]
    refused(TypeError, lookup.backward, np.zeros(lookup.shape, other))
    refused(TypeError, lookup.backward, np.zeros(lookup.shape, np.dtype(dtype).newbyteorder()))
    *outer, dim = lookup.shape
    for shape in ((*outer, dim + 1), (2, *outer, dim), (dim,)[: len(outer)]):
        refused(ValueError, lookup.backward, np.zeros(shape, dtype))


def wrong_bags(case):
    part = case.draw.one_of(case.parts)
    bags = [layer for layer in part.layers if isinstance(layer, pe.EmbeddingBag)]
    if not bags:
        return
    bag = case.draw.one_of(bags)
    ids = [0] * 6
    # Were these without their faults, they would do with and without the last offset.
    for offsets in ([1, 6], [0, 4, 3, 6], [0, 7, 6], [0, -1, 6], [0, 7], [[0, 6]], None, []):
        refused(ValueError, bag, ids, offsets)
    for offsets in ([0.0, 6.0], np.array([0, 6], np.uint8), np.array([0, 6], np.uint64)):
        refused(TypeError, bag, ids, offsets)
    refused(ValueError, bag, [ids], [0, 6])
    refused(ValueError, bag, 0, [0, 1])
    other = {"float32": "float64", "float64": "float32"}[bag.dtype]
    if bag.mode == "max":
        refused(ValueError, bag, [ids], None, np.ones((1, 6), bag.dtype))
        refused(ValueError, bag.backward_weights, [ids], np.ones((1, bag.output_dim), bag.dtype))
    else:
        refused(TypeError, bag, [ids], None, np.ones((1, 6), other))
        refused(ValueError, bag, [ids], None, np.ones((6, 1), bag.dtype))


def foreign_gradients(case):
    if not case.trained:
        return
    good = _good_gradients(case)
    layer = case.trained[0].layers[0]
    other = pe.Embedding(layer.input_dim, layer.output_dim, dtype=layer.dtype)
    foreign = [other.backward([0], np.ones((1, layer.output_dim), layer.dtype))]
    foreign += [gradient for _, gradient, _ in case.foreign[:3]]
    for gradient in foreign:
        refused(ValueError, case.optimizer.step, *good, gradient)
        refused(ValueError, lambda gradient=gradient: good[0] + gradient)
    refused(TypeError, case.optimizer.step, *good, np.ones((1, layer.output_dim)))
    refused(TypeError, lambda: good[0] + 1)
    refused(TypeError, lambda: good[0] * "2")
    refused(ValueError, good[0].clip_norm, -1.0)
    refused(ValueError, case.optimizer.step)


def bad_learning_rates(case):
    """One that is bad when it is called for the last of the tables, one that raises."""
    if not case.trained:
        return
    good = _good_gradients(case)
    rates = iter([0.1] * (len(good) - 1) + [case.draw.one_of([-1.0, np.nan, np.inf, "0.1"])])
    before = case.optimizer.learning_rate
    case.optimizer.learning_rate = lambda t: next(rates)
    refused(ValueError, case.optimizer.step, *good)
    case.optimizer.learning_rate = lambda t: 1 // 0
    refused(ZeroDivisionError, case.optimizer.step, *good)
    case.optimizer.learning_rate = before
    zero = [0.0] if case.training.kind == "SparseFTRL" else []
    for rate in (-1.0, np.nan, None, *zero):
        refused(ValueError, setattr, case.optimizer, "learning_rate", rate)


def a_regularizer_that_raises(case):
    for part in case.trained:
        regularizer = part.layers[0].embeddings_regularizer
        if hasattr(regularizer, "fails"):
            regularizer.fails = True
            refused(ArithmeticError, case.optimizer.step, *_good_gradients(case))
            regularizer.fails = False


def rows_outside(case):
    part = case.draw.one_of(case.parts)
    layer = case.draw.one_of(part.layers)
    for rows in ([0, len(part.model.table)], [0, -1], np.array([0, 2**64 - 1], np.uint64)):
        refused(IndexError, layer.freeze, rows)
        refused(IndexError, layer.unfreeze, rows)
    for rows in (len(part.model.table) - 1, 0, 70.0, None, 2**62):
        refused(ValueError, layer.grow, rows)


def bad_dropout(case):
    layers = [layer for part in case.parts for layer in part.layers]
    for layer in layers:
        if type(layer) is pe.Embedding:
            for dropout in (
                {"dropout": 0.5},
                {"key": 1},
                {"dropout": 1.5, "key": 1},
                {"dropout": np.nan, "key": 1},
                {"dropout": 0.5, "key": -1},
                {"dropout": 0.5, "key": 2**64},
            ):
                refused(ValueError, layer, [0], **dropout)


def replaced_parts(case):
    part = case.draw.one_of(case.parts)
    layer = case.draw.one_of(part.layers)
    refused(AttributeError, setattr, layer, "embeddings", part.model.table.copy())
    refused(AttributeError, setattr, layer, "max_norm", 1.0)
    if case.trained:
        name = case.draw.one_of(list(case.training.arguments))
        refused(AttributeError, setattr, case.optimizer, name, 0.5)
        refused(ValueError, case.training.make, case.draw.one_of(case.trained).layers[0])


def training_what_is_not_trained(case):
    for part in case.parts:
        if not part.is_trained:
            lookup = _sound_lookup(case, [part])
            refused(RuntimeError, lookup.backward, np.zeros(lookup.shape, lookup.layer.dtype))
            refused(ValueError, case.training.make, part.layers)


def _sound_lookup(case, parts=None):
    lookup = case.lookup(case.draw.one_of(parts or case.parts))
    case.note(f"  {lookup}")
    return lookup


def _with_bad_id(case, parts=None):
    """Return a lookup with one bad id, where that is an error."""
    parts = case.parts if parts is None else parts
    strict = [part for part in parts if part.model.settings.out_of_range == "raise"]
    if not strict:
        return None
    part = case.draw.one_of(strict)
    layer = case.draw.one_of(part.layers)
    rows = len(part.model.table)
    ids = case.draw.rng.integers(0, rows, case.draw.integer(1, max(1, case.draw.count())))
    ids[case.draw.integer(0, ids.size - 1)] = case.draw.one_of([rows, -1, 2**62, -(2**63)])
    lookup = case.lookup(part, layer, ids=case.draw.laid_out(ids))
    case.note(f"  {lookup}")
    return lookup


def _good_gradients(case):
    """Return a gradient of each trained table."""
    return [case.gradient(part)[1] for part in case.trained]


REFUSALS = [
    (3, lookup_of_a_bad_id),
    (3, gradient_of_a_bad_id),
    (1, ids_of_other_kinds),
    (1, wrong_out),
    (1, wrong_gradients),
    (1, wrong_bags),
    (1, foreign_gradients),
    (1, bad_learning_rates),
    (1, a_regularizer_that_raises),
    (1, rows_outside),
    (1, bad_dropout),
    (1, replaced_parts),
    (1, training_what_is_not_trained),
]
