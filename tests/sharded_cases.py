"""What ranks that share a table must come to: the bits of one process.

A case is a function of a communicator, called on all of its ranks: each makes the data of all from
one seed, does in one process what all do together, and compares what is its own.
"""

import copy
import pickle
from functools import partial

import numpy as np
import pytest

import pyembed as pe
from kinds import OPTIMIZERS

V, D = 23, 5
SUM_BY = ("rank", "position")


def same(actual, expected):
    np.testing.assert_array_equal(actual, expected, strict=True)


def draw_ids(rng, size, low=0, high=V, length=None):
    """Return each rank's ids: other numbers of them, one rank perhaps none."""
    counts = rng.integers(0, 9, size)
    return [rng.integers(low, high, (n, 3 if length is None else length)) for n in counts]


def ups(rng, arrays_of_ids, dim=D, dtype="f4"):
    return [rng.standard_normal((*ids.shape, dim)).astype(dtype) for ids in arrays_of_ids]


def stepped(opt, grads, sum_by):
    """Do in one process what ranks with these gradients do; None is a rank that passes none."""
    grads = [grad for grad in grads if grad is not None]
    opt.step(*(grad.coalesce() for grad in grads) if sum_by == "rank" else grads)


def same_state(comm, sharded, opt):
    """Compare a rank's state with its share of one process's."""
    pairs = zip(sharded.state_dict()["tables"], opt.state_dict()["tables"], strict=True)
    for part, whole in pairs:
        assert part["t"] == whole["t"]
        for name, array in part.items():
            if name != "t":
                same(array, whole[name][comm.rank :: comm.size])


def same_table(comm, sharded, emb):
    same(sharded.local, emb.embeddings[comm.rank :: comm.size])


def pair(comm, cls=pe.Embedding, sum_by="rank", input_dim=V, output_dim=D, **options):
    """Return one layer of all ranks, and one of this process."""
    options = {"seed": 5, **options}
    sharded = cls(input_dim, output_dim, comm=comm, sum_by=sum_by, **options)
    return sharded, cls(input_dim, output_dim, **options)


def every_optimizer(comm):
    for sum_by in SUM_BY:
        for make in OPTIMIZERS.values():
            rng = np.random.default_rng(1)
            sharded, emb = pair(comm, sum_by=sum_by, padding_idx=2, out_of_range="wrap")
            theirs, opt = make(sharded), make(emb)
            for _ in range(4):
                ids = draw_ids(rng, comm.size, -V, 2 * V)
                dys = ups(rng, ids)
                same(sharded(ids[comm.rank]), emb(ids[comm.rank]))
                theirs.step(sharded.backward(ids[comm.rank], dys[comm.rank]))
                grads = [emb.backward(*call) for call in zip(ids, dys, strict=True)]
                stepped(opt, grads, sum_by)
            same_table(comm, sharded, emb)
            same_state(comm, theirs, opt)


def every_mode_of_bags(comm):
    for sum_by in SUM_BY:
        for mode in ("mean", "sum", "max", "sqrtn"):
            for by_frequency in (False, True):
                if mode != "max" or not by_frequency:
                    bags_of_a_mode(comm, sum_by, mode, by_frequency)


def bags_of_a_mode(comm, sum_by, mode, by_frequency):
    rng = np.random.default_rng(2)
    options = {"mode": mode, "padding_idx": 0, "out_of_range": "zero", "dtype": "float64"}
    if by_frequency:
        options["scale_grad_by_freq"] = True
    sharded, bag = pair(comm, pe.EmbeddingBag, sum_by, **options)
    theirs, opt = pe.SparseAdagrad(sharded, 0.1), pe.SparseAdagrad(bag, 0.1)
    for step in range(3):
        calls = [draw_bags(rng, mode, step) for _ in range(comm.size)]
        for rank, (ids, offsets, weights, dy) in enumerate(calls):
            expected = bag(ids, offsets, weights)
            if rank == comm.rank:
                same(sharded(ids, offsets, weights), expected)
                if mode != "max":
                    slope = sharded.backward_weights(ids, dy, offsets, weights)
                    same(slope, bag.backward_weights(ids, dy, offsets, weights))
        ids, offsets, weights, dy = calls[comm.rank]
        theirs.step(2.0 * sharded.backward(ids, dy, offsets, weights))
        grads = [bag.backward(i, dy, o, w) for i, o, w, dy in calls]
        stepped(opt, [2.0 * grad for grad in grads], sum_by)
    same_table(comm, sharded, bag)
    same_state(comm, theirs, opt)


def draw_bags(rng, mode, step):
    """Return ids, offsets, weights and the upstream gradient of some bags, perhaps none."""
    count = rng.integers(0, 5)
    if step == 1:
        ids, offsets = rng.integers(-2, V + 2, (count, 4)), None
    else:
        offsets = np.cumsum(rng.integers(0, 4, count)) if count else np.zeros(0, np.int64)
        offsets = offsets - offsets[:1] if count else offsets
        ids = rng.integers(-2, V + 2, (offsets[-1] + 3 if count else 0))
    weights = None if mode == "max" else rng.standard_normal(ids.shape)
    return ids, offsets, weights, rng.standard_normal((count, D))


def policies_and_max_norm(comm):
    for policy in ("clip", "zero", "wrap"):
        rng = np.random.default_rng(3)
        options = {"out_of_range": policy, "max_norm": 0.08, "norm_type": 1.5, "padding_idx": -1}
        sharded, emb = pair(comm, **options)
        ids = draw_ids(rng, comm.size, -3 * V, 3 * V)
        expected = emb(np.concatenate(ids))
        ends = np.cumsum([len(part) for part in ids])
        mine = expected[ends[comm.rank] - len(ids[comm.rank]) : ends[comm.rank]]
        same(sharded(ids[comm.rank]), mine)
        same_table(comm, sharded, emb)


def dropout(comm):
    for max_norm in (None, 0.1):
        for rate in (0.0, 0.3, 1.0):
            rng = np.random.default_rng(4)
            sharded, emb = pair(comm, max_norm=max_norm)
            theirs, opt = pe.SparseAdam(sharded), pe.SparseAdam(emb)
            ids = draw_ids(rng, comm.size)
            dys = ups(rng, ids)
            how = {"dropout": rate, "key": 77}
            ends = np.cumsum([len(part) for part in ids])
            mine = slice(ends[comm.rank] - len(ids[comm.rank]), ends[comm.rank])
            same(sharded(ids[comm.rank], **how), emb(np.concatenate(ids), **how)[mine])
            theirs.step(sharded.backward(ids[comm.rank], dys[comm.rank], **how))
            stepped(
                opt, [emb.backward(i, dy, **how) for i, dy in zip(ids, dys, strict=True)], "rank"
            )
            same_table(comm, sharded, emb)


def initial_tables(comm):
    for name in ("uniform", "normal", "truncated_normal", "zeros", "ones", "identity"):
        same_table(comm, *pair(comm, embeddings_initializer=name))
    for name in ("glorot_uniform", "he_normal", "lecun_uniform", "variance_scaling"):
        same_table(comm, *pair(comm, embeddings_initializer=name, padding_idx=1))
    matrix = np.arange(V * D, dtype="f4").reshape(V, D)
    same_table(comm, *pair(comm, embeddings_initializer=matrix))
    same_table(comm, *pair(comm, weights=matrix, padding_idx=1))
    same_table(comm, *pair(comm, embeddings_initializer="orthogonal", weights=[matrix]))
    own = pe.Embedding(V, D, weights=matrix[comm.rank :: comm.size], comm=comm)
    same(own.local, matrix[comm.rank :: comm.size])
    mine = matrix.copy()
    shared = pe.Embedding.from_pretrained(mine, comm=comm)
    assert np.shares_memory(shared.local, mine)
    same(shared([3, 1]), matrix[[3, 1]])
    drawn = [pe.Embedding(V, D, comm=comm), pe.Embedding(V, D, comm=comm)]
    assert drawn[0].embeddings_initializer.seed != drawn[1].embeddings_initializer.seed
    for emb in drawn:
        again = pe.Embedding(V, D, seed=emb.embeddings_initializer.seed)
        same_table(comm, emb, again)
        same(emb([0, 1, 2, 3]), again([0, 1, 2, 3]))  # so it is rank 0's
    few = pair(comm, input_dim=2)
    same_table(comm, *few)
    same(few[0]([1, 0]), few[1]([1, 0]))


def ranks_without_gradients(comm):
    """Several tables: one stepped by all, one by the last rank alone, one by none."""
    rng = np.random.default_rng(6)
    pairs = [pair(comm, output_dim=dim) for dim in (1, 4, 3)]
    plain = pe.Embedding(4, 2, "zeros")  # a table of this rank's own
    theirs = pe.SparseRMSprop([*(sharded for sharded, _ in pairs), plain], 0.1)
    opt = pe.SparseRMSprop([emb for _, emb in pairs], 0.1)
    for step in range(3):
        ids = draw_ids(rng, comm.size)
        dys = [ups(rng, ids, dim) for dim in (1, 4)]
        last = comm.size - 1
        own = [pairs[0][0].backward(ids[comm.rank], dys[0][comm.rank])] if step < 2 else []
        own += [plain.backward([1], np.ones((1, 2), "f4"))] if comm.rank == 0 else []
        if comm.rank == last:
            own.append(pairs[1][0].backward(ids[last], dys[1][last]))
            own.append(pairs[1][0].backward(ids[last], dys[1][last]))
        theirs.step(*own)
        grads = []
        if step < 2:
            grads = [
                pairs[0][1].backward(i, dy).coalesce() for i, dy in zip(ids, dys[0], strict=True)
            ]
        two = pairs[1][1].backward(ids[last], dys[1][last])
        opt.step(*grads, (two + two).coalesce())
        for sharded, emb in pairs:
            same_table(comm, sharded, emb)
    assert [table["t"] for table in theirs.state_dict()["tables"][:3]] == [2, 3, 0]
    assert theirs.state_dict()["tables"][3]["t"] == (3 if comm.rank == 0 else 0)
    fails(ValueError, "step\\(\\) needs at least one gradient", lambda: theirs.step())


def norms(comm):
    """Also where squares leave the range of a double."""
    for sum_by in SUM_BY:
        for scale in (1.0, 1e-160, 1e200):
            clip_and_step(comm, sum_by, scale)


def clip_and_step(comm, sum_by, scale):
    rng = np.random.default_rng(7)
    options = {"sum_by": sum_by, "dtype": "float64"}
    pairs = [pair(comm, **options), pair(comm, output_dim=3, **options)]
    own, of_ranks = [], []
    for sharded, emb in pairs:
        sharded.freeze([1, 7] if comm.rank == 0 else [])
        emb.freeze([1, 7])
        ids = draw_ids(rng, comm.size)
        dys = [scale * dy for dy in ups(rng, ids, sharded.output_dim, "f8")]
        own.append(sharded.backward(ids[comm.rank], dys[comm.rank]))
        of_ranks.append([emb.backward(i, dy) for i, dy in zip(ids, dys, strict=True)])

    def summed(grads):
        return sum(grad.coalesce() if sum_by == "rank" else grad for grad in grads)

    whole = [summed(grads) for grads in of_ranks]
    assert own[0].norm() == whole[0].norm()
    limit = 0.5 * scale
    clipped = pe.clip_global_norm(own, limit)
    assert clipped.norm == pe.clip_global_norm(whole, limit).norm
    assert clipped.norm > limit
    theirs = pe.SparseSGD([sharded for sharded, _ in pairs])
    opt = pe.SparseSGD([emb for _, emb in pairs])
    theirs.step(*clipped)
    factor = limit / clipped.norm
    opt.step(*(summed([grad * factor for grad in grads]) for grads in of_ranks))
    for sharded, emb in pairs:
        same_table(comm, sharded, emb)


def regularized(comm):
    for make in (lambda: pe.regularizers.L1(0.3), lambda: pe.regularizers.L1L2(0.1, 0.2)):
        for constraint in (None, "non_neg", pe.constraints.MaxNorm(0.1, axis=1)):
            rng = np.random.default_rng(8)
            options = {"embeddings_regularizer": make(), "embeddings_constraint": constraint}
            options["activity_regularizer"] = "l2"
            sharded, emb = pair(comm, **options)
            theirs, opt = pe.SparseAdam(sharded), pe.SparseAdam(emb)
            for _ in range(2):
                ids = draw_ids(rng, comm.size)
                dys = ups(rng, ids)
                theirs.step(sharded.backward(ids[comm.rank], dys[comm.rank]))
                stepped(opt, [emb.backward(i, dy) for i, dy in zip(ids, dys, strict=True)], "rank")
                assert sharded.regularization_loss() == emb.regularization_loss()
                loss = sharded.regularization_loss(ids[comm.rank])
                table = emb._table.penalty(np.concatenate(ids))
                activity = [emb.regularization_loss(i) - emb._table.penalty(i) for i in ids]
                np.testing.assert_allclose(loss, table + sum(activity), rtol=1e-12)
            same_table(comm, sharded, emb)


def frozen_and_grown(comm):
    for make in (pe.SparseAdam, lambda layer: pe.SparseAdam(layer, 0.1, update="exact")):
        freeze_and_grow(comm, make)


def freeze_and_grow(comm, make):
    rng = np.random.default_rng(9)
    sharded, emb = pair(comm, padding_idx=3)
    theirs, opt = make(sharded), make(emb)

    def step():
        ids = draw_ids(rng, comm.size, high=emb.input_dim)
        dys = ups(rng, ids)
        theirs.step(sharded.backward(ids[comm.rank], dys[comm.rank]))
        stepped(opt, [emb.backward(i, dy) for i, dy in zip(ids, dys, strict=True)], "rank")

    step()
    sharded.freeze([[1, 4], [4, 22]] if comm.rank == 0 else [comm.rank])
    emb.freeze([1, 4, 22, *range(1, comm.size)])
    step()
    mine = [row for row in emb.frozen_rows if row % comm.size == comm.rank]
    assert sharded.frozen_rows.tolist() == mine
    sharded.unfreeze([4] if comm.rank == comm.size - 1 else [])
    emb.unfreeze([4])
    step()
    for rows in (24, 24, 31):
        sharded.grow(rows)
        emb.grow(rows)
        assert sharded.input_dim == rows
        same_table(comm, sharded, emb)
        step()
    sharded.unfreeze(None if comm.rank == 0 else [1])
    emb.unfreeze()
    assert sharded.frozen_rows.size == 0
    step()
    same_table(comm, sharded, emb)
    same_state(comm, theirs, opt)


def exact_adam_sweeps(comm):
    """Past 32,768 steps, each step settles those rows that have waited longest."""
    rng = np.random.default_rng(10)
    sharded, emb = pair(comm, input_dim=40_000, output_dim=1)
    optimizers = [
        pe.SparseAdam(layer, 0.1, weight_decay=0.1, update="exact") for layer in (sharded, emb)
    ]
    ids = rng.integers(0, 40_000, 400)
    dy = np.ones((400, 1), "f4")
    nothing = sharded.backward([], dy[:0])
    optimizers[0].step(sharded.backward(ids, dy) if comm.rank == 0 else nothing)
    optimizers[1].step(emb.backward(ids, dy))
    for opt in optimizers:
        state = opt.state_dict()
        state["tables"][0] = {**state["tables"][0], "t": 32_766}
        state["tables"][0]["stamp"] = np.where(state["tables"][0]["stamp"] < 0, -1, 32_766)
        opt.load_state_dict(state)
    for _ in range(6):
        optimizers[0].step(nothing)
        optimizers[1].step(emb.backward([], dy[:0]))
    stamps = [opt._arrays(opt.tables[0]._table.part)["stamp"] for opt in optimizers]
    same(stamps[0], stamps[1][comm.rank :: comm.size])
    assert len(np.unique(stamps[1])) > 3  # some were settled on the way
    same_table(comm, sharded, emb)
    same_state(comm, *optimizers)


def long_segments(comm):
    """More than 256 summands of one row, which are summed in chunks."""
    rng = np.random.default_rng(11)
    for sum_by in SUM_BY:
        sharded, emb = pair(comm, sum_by=sum_by, output_dim=70)
        theirs, opt = pe.SparseSGD(sharded), pe.SparseSGD(emb)
        ids = [rng.integers(0, 3, 400 + 100 * rank) for rank in range(comm.size)]
        dys = ups(rng, ids, 70)
        theirs.step(sharded.backward(ids[comm.rank], dys[comm.rank]))
        stepped(opt, [emb.backward(i, dy) for i, dy in zip(ids, dys, strict=True)], sum_by)
        same_table(comm, sharded, emb)


def rows_without_elements(comm):
    sharded, _ = pair(comm, output_dim=0)
    opt = pe.SparseAdam(sharded)
    sharded.prefetch([[1, 2]])
    assert sharded([[1, 2]]).shape == (1, 2, 0)
    grad = sharded.backward([[1, 2]], np.zeros((1, 2, 0), "f4"))
    assert grad.norm() == 0.0
    opt.step(grad)
    assert opt.state_dict()["tables"][0]["t"] == 1


def prefetched(comm):
    rng = np.random.default_rng(12)
    sharded, emb = pair(comm)
    theirs, opt = pe.SparseAdam(sharded), pe.SparseAdam(emb)
    batches = [draw_ids(rng, comm.size) for _ in range(5)]
    for at, ids in enumerate(batches):
        mine = ids[comm.rank].copy()
        # What was begun counts for the batch after this one, but on one rank for another.
        later = batches[(at + 1) % 5][comm.rank].copy()
        if at == 2 and comm.rank == comm.size - 1:
            later = np.zeros_like(later) + 1
        same(sharded(mine), emb(mine))
        sharded.prefetch(later)
        later[:] = 0
        dys = ups(rng, ids)
        theirs.step(sharded.backward(mine, dys[comm.rank]))
        stepped(opt, [emb.backward(i, dy) for i, dy in zip(ids, dys, strict=True)], "rank")
    rows = [emb.input_dim, 1]
    sharded, emb = pair(comm, out_of_range="wrap")
    sharded.prefetch(rows)
    sharded.grow(V + 5)  # the ids mean other rows
    emb.grow(V + 5)
    same(sharded(rows), emb(rows))
    sharded.prefetch([])
    same(sharded([1], dropout=0.5, key=3), emb([1], dropout=0.5, key=3))
    same_table(comm, sharded, emb)


def gradients_of_one_rank(comm):
    """Ids and values are those that the rank passes to a step, by rows of the whole table."""
    rng = np.random.default_rng(13)
    sharded, emb = pair(comm, padding_idx=4, out_of_range="wrap")
    ids = rng.integers(-V, 2 * V, (comm.rank + 2, 3))
    dy = rng.standard_normal((*ids.shape, D)).astype("f4")
    theirs, ours = sharded.backward(ids, dy) * 3.0, emb.backward(ids, dy) * 3.0
    assert theirs.shape == (V, D)
    same(theirs.ids, ours.ids)
    same(theirs.values, ours.values)
    same(theirs.coalesce().ids, ours.coalesce().ids)
    same(theirs.coalesce().values, ours.coalesce().values)


def fails(error, pattern, body):
    """Assert that ``body()`` raises here, as it does on all ranks."""
    with pytest.raises(error, match=pattern):
        body()


def bad_ids(comm):
    sharded, _ = pair(comm, sum_by="position", max_norm=0.01)
    before = sharded.local.copy()
    last = comm.size - 1
    ids = np.array([[1, 2], [3, V]]) if comm.rank == last else np.array([[1, 2], [3, 4]])
    prefix = f"rank {last}: " if comm.size > 1 else ""
    message = f"^{prefix}id {V} at position \\(1, 1\\) is outside a table of {V} rows"
    out = np.full((2, 2, D), 7, "f4")
    fails(IndexError, message, lambda: sharded(ids, out=out))
    assert (out == 7).all()
    fails(IndexError, message, lambda: sharded(ids, dropout=0.5, key=1))
    fails(IndexError, message, lambda: sharded.prefetch(ids))
    fails(IndexError, message, lambda: sharded.freeze(ids))
    assert sharded.frozen_rows.size == 0
    opt = pe.SparseAdam(sharded)
    grad = sharded.backward(ids, np.ones((2, 2, D), "f4"))
    fails(IndexError, message, lambda: opt.step(grad))
    fails(IndexError, message, grad.norm)
    assert opt.state_dict()["tables"][0]["t"] == 0
    same(sharded.local, before)
    bag = pe.EmbeddingBag.sharing(sharded, "max")
    fails(IndexError, message, lambda: bag.backward(ids, np.ones((2, D), "f4")))
    assert sharded([1]).shape == (1, D)  # and on they go


def other_failures(comm):
    sharded, _ = pair(comm, input_length=2)
    bag = pe.EmbeddingBag.sharing(sharded, "mean")
    last = comm.rank == comm.size - 1
    prefix = f"^rank {comm.size - 1}: " if comm.size > 1 else "^"
    ids = np.ones((1, 3) if last else (1, 2), int)
    fails(ValueError, prefix + "ids have shape", lambda: sharded(ids))
    floats = np.ones((1, 2)) if last else np.ones((1, 2), int)
    fails(TypeError, prefix + "ids must be integers", lambda: sharded(floats))
    pairs = np.ones((1, 2), int)
    out = np.empty((1, 2, D + last), "f4")
    fails(ValueError, prefix + "out has shape", lambda: sharded(pairs, out=out))
    rate = 2.0 if last else 0.5
    fails(ValueError, prefix + "dropout=2.0", lambda: sharded(pairs, dropout=rate, key=0))
    weights = np.ones((1, 2 + last), "f4")
    fails(ValueError, prefix + "per_sample_weights", lambda: bag(pairs, None, weights))
    rows = -1 if last else 30
    fails(ValueError, prefix + "new_input_dim=-1", lambda: sharded.grow(rows))
    opt = pe.SparseAdam(sharded, lambda t: 0.1)
    other = pe.Embedding(3, D)
    grad = (other if last else sharded).backward(pairs, np.ones((1, 2, D), "f4"))
    fails(ValueError, prefix + "gradient 0 is of a table", lambda: opt.step(grad))

    def rate_of(t):
        if last:
            raise KeyError("no such rate")
        return 0.1

    opt.learning_rate = rate_of
    grad = sharded.backward(pairs, np.ones((1, 2, D), "f4"))
    before = sharded.local.copy()
    fails(KeyError, "no such rate", lambda: opt.step(grad))
    assert opt.state_dict()["tables"][0]["t"] == 0
    same(sharded.local, before)
    opt.learning_rate = 0.1
    opt.step(grad)


def one_rank_s_arguments(comm):
    """What the last rank alone gives is refused on all, and then all go on."""
    last = comm.size - 1
    prefix = f"^rank {last}: " if comm.size > 1 else "^"
    matrix = np.zeros((V, D), "f4")

    def check(error, pattern, body, good, bad):
        """Assert that ``body(bad)`` on one rank raises on all; return ``body(good)`` of all."""
        fails(error, prefix + pattern, lambda: body(bad if comm.rank == last else good))
        return body(good)

    def layer(options, cls=pe.Embedding):
        return cls(**{"input_dim": V, "output_dim": D, "comm": comm, "seed": 0, **options})

    for bad, pattern in (
        ({"input_dim": 0}, "input_dim=0"),
        ({"output_dim": "x"}, "output_dim='x'"),
        ({"weights": matrix[:-1]}, "weights has shape"),
        ({"padding_idx": V}, f"padding_idx={V}"),
        ({"max_norm": -1.0}, "max_norm=-1"),
        ({"input_length": -1}, "input_length=-1"),
        ({"out_of_range": "no"}, "out_of_range='no'"),
        ({"sum_by": "row"}, "sum_by='row'"),
        ({"embeddings_initializer": "no"}, "embeddings_initializer='no'"),
        ({"activity_regularizer": 3}, "activity_regularizer=3"),
    ):
        good = {"weights": matrix} if "weights" in bad else {}
        check((TypeError, ValueError), f".*{pattern}", layer, good, bad)
    check(ValueError, "mode='no'", partial(layer, cls=pe.EmbeddingBag), {}, {"mode": "no"})
    load = partial(pe.Embedding.from_pretrained, comm=comm)
    check(ValueError, "matrix must have two axes", load, matrix, matrix[0])
    check(TypeError, "matrix has dtype int64", load, matrix, matrix.astype("i8"))

    emb = layer({})
    for cls, bad, pattern in (
        (pe.SparseSGD, {"momentum": 2.0}, "momentum=2.0"),
        (pe.SparseAdagrad, {"epsilon": -1.0}, "epsilon=-1.0"),
        (pe.SparseRMSprop, {"rho": 1.0}, "rho=1.0"),
        (pe.SparseLion, {"beta_1": 1.0}, "beta_1=1.0"),
        (pe.SparseFTRL, {"beta": -1.0}, "beta=-1.0"),
        (pe.SparseAdam, {"update": "no"}, "update='no'"),
        (pe.SparseAdam, {"learning_rate": -1.0}, "learning_rate=-1.0"),
        (pe.SparseAdam, {"weight_decay": np.nan}, "weight_decay=nan"),
    ):
        check(ValueError, pattern, lambda given, cls=cls: cls(emb, **given).release(), {}, bad)
    check(TypeError, "tables must be layers", pe.SparseAdam, [layer({})], [layer({}), None])
    check(TypeError, "array 0", lambda array: pe.baseline.Adam(array, comm=comm), matrix, [None])

    opt = pe.SparseAdam(emb)
    dense = pe.baseline.Adam(matrix, comm=comm)
    grad = emb.backward([1], np.ones((1, D), "f4"))
    empty = emb.backward([], np.ones((0, D), "f4"))
    clip = pe.clip_global_norm
    check(ValueError, "max_norm=-1.0", partial(clip, [grad]), 1.0, -1.0)
    check(ValueError, "max_norm=nan", grad.clip_norm, 1.0, np.nan)
    check(TypeError, "gradient 1 must be a SparseGrad", lambda g: clip(g, 1.0), [grad], [grad, 0])
    check(TypeError, "gradient 0 must be a SparseGrad", opt.step, empty, None)
    check(ValueError, "gradients have shapes", dense.step, matrix, matrix[0])
    check(TypeError, "gradient 0 must be real", dense.step, matrix, matrix.astype(complex))
    check(TypeError, "rows must be integers|ids must be integers", emb.freeze, [1], [0.5])
    check(IndexError, f"id {V} at", emb.unfreeze, None, [V])
    check(TypeError, "ids must be integers", emb.regularization_loss, [1], [0.5])
    check(ValueError, "new_input_dim='more'", emb.grow, V, "more")
    assert opt.state_dict()["tables"][0]["t"] == 1


def activity_that_fails(comm):
    """A function of the user's that fails on one rank does on all, wherever it is called."""
    last = comm.rank == comm.size - 1
    prefix = f"^rank {comm.size - 1}: " if comm.size > 1 else "^"

    class Activity(pe.regularizers.L2):
        def gradient(self, x):
            if last:
                raise OverflowError("too active")
            return super().gradient(x)

    ids, dy = np.ones((1, 2), int), np.ones((1, D), "f4")
    for mode in ("max", "sum"):
        bag = pe.EmbeddingBag(V, D, mode=mode, activity_regularizer=Activity(0.1), comm=comm)
        fails(OverflowError, prefix + "too active", partial(bag.backward, ids, dy))
        assert bag(ids).shape == (1, D)
    fails(OverflowError, prefix + "too active", partial(bag.backward_weights, ids, dy))
    assert bag(ids).shape == (1, D)


def steps_without_gradients(comm):
    """A step that no rank has a gradient of the shared table for, or that one rank cannot make."""
    last = comm.rank == comm.size - 1
    prefix = f"^rank {comm.size - 1}: " if comm.size > 1 else "^"
    sharded, _ = pair(comm)
    plain = pe.Embedding(3, 2, "zeros")
    opt = pe.SparseSGD([sharded, plain])
    grad = plain.backward([1], np.ones((1, 2), "f4"))
    if comm.size > 1:
        pattern = prefix + r"step\(\) needs at least one gradient"
        fails(ValueError, pattern, lambda: opt.step(*() if last else [grad]))
        assert not plain.embeddings.any()
    grad = sharded.backward([1], np.ones((1, D), "f4"))
    opt.step(grad)
    if last:
        opt.release()
    fails(RuntimeError, prefix + "this optimizer gave", lambda: opt.step(grad))
    assert sharded([1]).shape == (1, D)


def begun_and_refused(comm):
    """What was begun is forgotten on all ranks with a lookup that one of them cannot make."""
    sharded, emb = pair(comm, input_length=2)
    last = comm.rank == comm.size - 1
    prefix = f"^rank {comm.size - 1}: " if comm.size > 1 else "^"
    ids, long = np.array([[1, 2], [3, 4]]) + comm.rank, np.ones((1, 3), int)
    for wrong, options in ((long, {}), (ids, {"dropout": 2.0, "key": 1})):
        sharded.prefetch(ids)
        given, how = (wrong, options) if last else (ids, {})
        fails(ValueError, prefix, lambda given=given, how=how: sharded(given, **how))
        same(sharded(ids), emb(ids))
    sharded.prefetch(ids)
    same(sharded(ids, dropout=0.0, key=1), emb(ids))
    same(sharded(ids), emb(ids))


def calls_of_one_rank(comm):
    """What takes no other rank fails on one alone; the next call of all finds who is elsewhere."""
    if comm.size == 1:
        return
    last = comm.rank == comm.size - 1
    sharded, _ = pair(comm)
    opt = pe.SparseSGD(sharded)
    dy = np.ones((1, D), "f4")
    grad = sharded.backward([1], dy)
    for error, pattern, alone in (
        (ValueError, "^grad_output has shape", lambda: sharded.backward([1], dy[:, :-1])),
        (TypeError, "^grad_output must have dtype", lambda: sharded.backward([1], dy.astype("f8"))),
        (ValueError, "^learning_rate=-1", lambda: setattr(opt, "learning_rate", -1)),
        (TypeError, "^tables must be layers", lambda: pe.SparseSGD([3])),
        (TypeError, "^gradient 0 must be", lambda: pe.clip_global_norm([3], 1.0)),
        (KeyError, "^'tables'", lambda: opt.load_state_dict({})),
    ):
        if last:
            fails(error, pattern, alone)
        first = (lambda: sharded([1])) if last else (lambda: opt.step(grad))
        fails(RuntimeError, f"^rank {comm.rank} is in .*, but rank", first)
        sharded([1])
        opt.step(grad)
    prefetching = (lambda: sharded.prefetch([1])) if last else (lambda: sharded([1]))
    fails(RuntimeError, f"^rank {comm.rank} is in .*a prefetch|in a prefetch", prefetching)
    sharded([1])


def different_arguments(comm):
    if comm.size == 1:
        return
    last = comm.rank == comm.size - 1
    at = f"on rank 0, but {{}} on rank {comm.size - 1}; all ranks must give the same"

    def made(**options):
        return pe.EmbeddingBag(**{"input_dim": V, "output_dim": D, "comm": comm, **options})

    for name, first, other in (
        ("input_dim", V, V + 1),
        ("mode", "sum", "mean"),
        ("sum_by", "rank", "position"),
        ("mask_zero", False, True),
        ("seed", 1, 2),
        ("scale_grad_by_freq", False, True),
    ):
        value = other if last else first
        pattern = f"^EmbeddingBag: .*{name}={first!r} " + at.format(f"{name}={other!r}")
        fails(ValueError, pattern, partial(made, **{"seed": 0, name: value}))
    weights = np.zeros((V, D)) if last else None
    pattern = "a layer: weights='None' " + at.format("weights='given'")
    fails(ValueError, pattern, partial(made, weights=weights))
    emb = made()
    rate = 0.1 if last else 0.2
    pattern = "SparseSGD: learning_rate=0.2 " + at.format("learning_rate=0.1")
    fails(ValueError, pattern, lambda: pe.SparseSGD(emb, rate))
    opt = pe.SparseSGD(emb, 0.2)
    opt.learning_rate = rate
    grad = emb.backward([[1]], np.ones((1, D), "f4"))
    pattern = r"step: learning_rate=\[0.2\] " + at.format(r"learning_rate=\[0.1\]")
    fails(ValueError, pattern, lambda: opt.step(grad))
    assert opt.state_dict()["tables"][0]["t"] == 0
    emb2 = made()
    grads = [emb2.backward([[1]], np.ones((1, D), "f4")), grad]
    pattern = "the gradients of a norm: tables="
    fails(ValueError, pattern, lambda: pe.clip_global_norm(grads[:: -1 if last else 1], 1))
    pattern = "the gradients of a norm: max_norm=1.0 " + at.format("max_norm=2.0")
    fails(ValueError, pattern, lambda: pe.clip_global_norm(grads, 2 if last else 1))


def refused(comm):
    """What needs all rows at once, or an array of them."""
    options = {"input_dim": V, "output_dim": D, "comm": comm}
    for name, value, what in (
        ("embeddings_initializer", "orthogonal", "weights"),
        ("embeddings_initializer", lambda shape, dtype: np.zeros(shape, dtype), "weights"),
        ("embeddings_regularizer", "orthogonal_regularizer", "L1L2"),
        ("embeddings_regularizer", lambda w: 0.0, "L1L2"),
        ("embeddings_constraint", "max_norm", "axis=1"),
        ("embeddings_constraint", lambda w: w, "axis=1"),
        ("sum_by", "row", "position"),
    ):
        fails(ValueError, what, partial(pe.Embedding, **options, **{name: value}))
    wrong = np.zeros((V + 1, D))
    fails(ValueError, "weights has shape", lambda: pe.Embedding(**options, weights=wrong))
    emb = pe.Embedding(**options)
    for read in (lambda: emb.embeddings, lambda: np.asarray(emb)):
        fails(RuntimeError, "emb.local", read)
    grad = emb.backward([1], np.ones((1, D), "f4"))
    fails(RuntimeError, "emb.local", grad.to_dense)
    for copied in (emb, pe.SparseAdam(emb)):
        fails(TypeError, "cannot be copied or pickled", partial(copy.deepcopy, copied))
        fails(TypeError, "cannot be copied or pickled", partial(pickle.dumps, copied))
    plain = pe.Embedding(V, D)
    other = plain.backward([1], np.ones((1, D), "f4"))
    fails(ValueError, "no common norm", lambda: pe.clip_global_norm([grad, other], 1.0))


def another_order(comm):
    """Calls that differ from other ranks' raise on all; nothing of a table has passed by then."""
    if comm.size == 1:
        return
    one, two = (pair(comm, embeddings_regularizer="l2")[0] for _ in range(2))
    opt = pe.SparseSGD(one)
    grad = one.backward([1], np.ones((1, D), "f4"))
    before = one.local.copy()
    for first, others in (
        (lambda: one([1]), lambda: two([1])),
        (lambda: one([1]), lambda: opt.step(grad)),
        (lambda: one.freeze([1]), lambda: one([1])),
        (lambda: grad.norm(), lambda: opt.step(grad)),
        (lambda: one.regularization_loss(), lambda: one.freeze([1])),
    ):
        with pytest.raises(
            RuntimeError, match=rf"^rank {comm.rank} is in .* rank \d+ in .*: all r"
        ):
            (first if comm.rank == 0 else others)()
    same(one.local, before)
    same(one.frozen_rows, np.empty(0, np.int64))
    opt.step(grad)
    same((one.local != before).any(axis=1).sum(), np.intp(comm.rank == 1 % comm.size))


CASES = {
    case.__name__: case
    for case in (
        every_optimizer,
        every_mode_of_bags,
        policies_and_max_norm,
        dropout,
        initial_tables,
        ranks_without_gradients,
        norms,
        regularized,
        frozen_and_grown,
        exact_adam_sweeps,
        long_segments,
        rows_without_elements,
        prefetched,
        gradients_of_one_rank,
        bad_ids,
        other_failures,
        one_rank_s_arguments,
        activity_that_fails,
        steps_without_gradients,
        begun_and_refused,
        calls_of_one_rank,
        another_order,
        different_arguments,
        refused,
    )
}
