"""What may happen to a case, each beside its model."""

import math

import numpy as np

import pyembed as pe
from differential.case import COPIES
from differential.compare import Difference, close, refused, same
from differential.model import Call
from differential.settings import draw_rate


def look_up(case):
    lookup = case.lookup()
    case.note(f"  {lookup}")
    out = case.draw.out(lookup.shape, lookup.layer.dtype)
    memory = None if out is None or out.base is None else out.base
    result = lookup(out)
    if out is not None and result is not out:
        raise Difference("a lookup with out= returned another array")
    same(result, lookup.expected(), "the lookup")
    if memory is not None and not (memory[..., out.shape[-1] :] == 77).all():
        raise Difference("a lookup wrote into the gaps of out")
    lookup.check_inputs()


def make_gradient(case):
    if case.trained:
        case.pending.append(case.gradient())
        look_into(case, case.pending[-1])


def read_gradient(case):
    if case.pending:
        look_into(case, case.draw.one_of(case.pending))


def look_into(case, pending):
    """Compare a gradient in one of the ways to read it."""
    part, gradient, calls = pending
    model = part.model
    rows, values = model.summands(calls)
    way = case.draw.one_of(["none", "summands", "dense", "atomic", "coalesce", "norm"])
    case.note(f"  read: {way}")
    if way == "summands":
        gradient = gradient * 1.0  # what was read once stays, whatever is frozen later
        same(gradient.ids, rows, "ids of a gradient")
        same(gradient.values, values, "values of a gradient")
    if way == "dense":
        out = case.draw.out(model.table.shape, model.table.dtype)
        same(gradient.to_dense(out), model.dense(calls), "the dense gradient")
    largest = np.abs(values, dtype=np.float64).sum(initial=0.0)
    if way == "atomic" and largest < 1e30:  # in another order, larger ones may overflow
        tolerance = np.finfo(values.dtype).eps * largest
        close(gradient.to_dense(method="atomic"), model.dense(calls), "atomic", tolerance)
    if way == "coalesce":
        coalesced = gradient.coalesce()
        unique, sums = model.coalesced(calls)
        same(coalesced.ids, unique, "coalesced ids")
        same(coalesced.values, sums, "coalesced values")
        case.pending.append((part, coalesced, (Call(unique[:, None], sums),)))
    if way == "norm":
        close(gradient.norm(), norm_of(model, calls), "the norm")


def norm_of(model, calls):
    _, sums = model.coalesced(calls)
    return math.sqrt(np.sum(np.square(sums, dtype=np.float64)))


def combine(case):
    """Make a gradient from others: a sum, a multiple, one that is clipped."""
    if not case.pending:
        return
    draw = case.draw
    part, gradient, calls = draw.one_of(case.pending)
    way = draw.one_of(["add", "scale", "clip"])
    if way == "add":
        fitting = [other for other in case.pending if other[0] is part]
        _, other, other_calls = draw.one_of(fitting)
        if len(calls) + len(other_calls) <= 8:
            gradient, calls = gradient + other, calls + other_calls
    if way == "scale":
        factor = draw.one_of([0.3, -2, np.float32(0.7), 0.0, 1])
        gradient = factor * gradient if draw.chance(0.5) else gradient * factor
        calls = tuple(call.scaled(factor) for call in calls)
    if way == "clip":
        limit = draw.one_of([0.0, 0.1, 5.0, 1e9])
        norm = gradient.norm()
        close(norm, norm_of(part.model, calls), "the norm")
        factor = 1.0 if norm <= limit else limit / norm
        gradient = gradient.clip_norm(limit)
        calls = tuple(call.scaled(factor) for call in calls)
    case.note(f"  {way}, {len(calls)} calls")
    case.pending.append((part, gradient, calls))
    look_into(case, case.pending[-1])


def clip_together(case):
    if not case.pending:
        return
    chosen = [case.draw.one_of(case.pending) for _ in range(case.draw.integer(1, 3))]
    norms = [norm_of(part.model, calls) for part, _, calls in chosen]
    limit = case.draw.one_of([0.5, 100.0])
    clipped = pe.clip_global_norm([gradient for _, gradient, _ in chosen], limit)
    # The factor is the library's to the bit, its norm is not.
    norm = clipped.norm
    close(norm, math.sqrt(sum(each**2 for each in norms)), "the joint norm")
    factor = 1.0 if norm <= limit else limit / norm
    for (part, _, calls), gradient in zip(chosen, clipped, strict=True):
        case.pending.append((part, gradient, tuple(call.scaled(factor) for call in calls)))


def step(case):
    """Step with some gradients: new ones and older ones, perhaps an empty one, one twice."""
    if not case.trained:
        return
    draw = case.draw
    chosen = [case.gradient() for _ in range(draw.integer(0 if case.pending else 1, 2))]
    if case.pending:
        chosen += [draw.one_of(case.pending) for _ in range(draw.integer(0 if chosen else 1, 2))]
    if draw.chance(0.1):
        chosen.append(case.gradient(ids=np.empty(0, np.int32)))
    draw.rng.shuffle(chosen)
    case.note(f"  of tables {[part.number for part, _, _ in chosen]}")
    case.optimizer.step(*(gradient for _, gradient, _ in chosen))
    for part in case.trained:
        calls = [call for other, _, calls in chosen if other is part for call in calls]
        if calls:
            part.model.step(calls, case.training)
    case.pending = case.pending[-draw.integer(0, 6) :]


def set_rate(case):
    if case.trained:
        rate = draw_rate(case.draw, case.training.kind)
        case.note(f"  {rate}")
        case.optimizer.learning_rate = rate
        case.training = case.training.with_rate(rate)


def start_anew(case):
    """Give the tables to a new optimizer."""
    if case.trained:
        case.optimizer.release()
        refused(RuntimeError, case.optimizer.step)
        case.optimizer = case.training.make(case.first_layers())
        for part in case.trained:
            part.model.restart()


def freeze(case):
    part = case.draw.one_of(case.parts)
    rows = case.draw.ids((case.draw.integer(0, 5),), 0, len(part.model.table) - 1)
    case.note(f"  table {part.number}: {rows}")
    case.draw.one_of(part.layers).freeze(rows)
    part.model.frozen |= set(np.array(rows).tolist())


def unfreeze(case):
    part = case.draw.one_of(case.parts)
    if case.draw.chance(0.3):
        part.layers[0].unfreeze()
        part.model.frozen.clear()
        return
    rows = case.draw.ids((case.draw.integer(0, 5),), 0, len(part.model.table) - 1)
    case.note(f"  table {part.number}: {rows}")
    case.draw.one_of(part.layers).unfreeze(rows)
    part.model.frozen -= set(np.array(rows).tolist())


def grow(case):
    part = case.draw.one_of(case.parts)
    rows = len(part.model.table) + case.draw.one_of([0, 1, 3, 70])
    case.note(f"  table {part.number} to {rows}")
    case.draw.one_of(part.layers).grow(rows)
    part.model.grow(rows)
    part.memory = None  # the caller's own from now on
    # The winners of these were found among other rows.
    policy = part.model.settings.out_of_range
    case.pending = [
        pending
        for pending in case.pending
        if pending[0] is not part
        or policy == "raise"
        or all(call.seen is None for call in pending[2])
    ]


def write(case):
    """Write into the live table, through one of its layers."""
    part = case.draw.one_of(case.parts)
    layer = case.draw.one_of(part.layers)
    table = part.model.table
    if not layer.embeddings.flags.writeable:
        return
    if case.draw.chance(0.5):
        rows = case.draw.rng.integers(0, len(table), 3)
        values = case.draw.floats((3, table.shape[1]), table.dtype)
        layer.embeddings[rows] = values
        table[rows] = values
    else:
        layer.embeddings *= 0.75
        table *= 0.75


def copy(case):
    way = case.draw.one_of(list(COPIES))
    case.note(f"  {way}")
    case.copy(COPIES[way])


def loss(case):
    lookup = case.lookup()
    case.note(f"  {lookup}")
    close(*lookup.loss(), "the loss of a lookup", 1e-9)
    part = lookup.part
    found = lookup.layer.regularization_loss()
    close(found, part.model.loss(slice(None)), "the loss of a table", 1e-9)


def weight_gradient(case):
    part = case.draw.one_of(case.parts)
    bags = [layer for layer in part.layers if getattr(layer, "mode", "max") != "max"]
    if not bags:
        return
    lookup = case.lookup(part, case.draw.one_of(bags))
    case.note(f"  {lookup}")
    grad = case.draw.laid_out(case.draw.floats(lookup.shape, part.model.table.dtype))
    expected = lookup.expected_weight_gradient(grad)
    same(lookup.backward_weights(grad), expected, "the gradient of weights")


OPERATIONS = [
    (10, look_up),
    (8, make_gradient),
    (3, read_gradient),
    (5, combine),
    (1, clip_together),
    (10, step),
    (1, set_rate),
    (0.5, start_anew),
    (2, freeze),
    (1, unfreeze),
    (1, grow),
    (1, write),
    (1.5, copy),
    (1, loss),
    (2, weight_gradient),
]
