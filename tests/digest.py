"""Print a digest of everything that must be the same bits on any machine: run by test_same_bits."""

import hashlib

import numpy as np

import pyembed as pe
from pyembed.vectors import WordVectors

# With their defaults, beside Adam and SGD.
KINDS = (
    pe.SparseAdagrad,
    pe.SparseRowWiseAdagrad,
    pe.SparseRMSprop,
    pe.SparseFTRL,
    pe.SparseLion,
)


def results(dtype):
    rng = np.random.default_rng(0)
    for dim in (1, 3, 16, 64, 100):
        table = rng.standard_normal((700, dim)).astype(dtype)
        ids = rng.integers(0, 700, 9000)
        ids[rng.random(9000) < 0.4] = 5
        offsets = np.arange(0, 9000, 9)
        weights = rng.random(9000).astype(dtype)
        rows = rng.standard_normal((9000, dim)).astype(dtype)
        bag = pe.EmbeddingBag(700, dim, mode="mean", weights=table, dtype=dtype)
        opt = pe.SparseAdam(bag, weight_decay=0.1)
        yield pe.ops.gather(table, ids)
        wv = WordVectors(map(str, range(700)), table)
        for answers in wv.most_similar_batch(["5", ["1", "2", "3"], *rows[:40].astype(float)]):
            yield np.array([(int(word), cosine) for word, cosine in answers])
        yield pe.ops.scatter_add(table.copy(), ids, rows)
        yield from pe.ops.coalesce(ids, rows)
        for mode in ("sum", "mean", "sqrtn"):
            yield pe.ops.gather_bag(table, ids, offsets, mode=mode, weights=weights)
            linear = pe.EmbeddingBag.from_pretrained(table, mode=mode)
            yield linear.backward_weights(ids, rows[:1000], offsets, weights)
        largest = pe.EmbeddingBag.sharing(bag, "max")
        yield largest(ids, offsets)
        yield largest.backward(ids, rows[:1000], offsets).to_dense()
        for _ in range(3):
            opt.step(bag.backward(ids, rows[:1000], offsets, weights) * 0.3)
            yield bag.embeddings
        big = rng.integers(0, 10**6, 100_000)  # enough to sort by several threads
        yield from pe.ops.coalesce(big, np.ones((100_000, 1), dtype))
        emb = pe.Embedding(
            700,
            dim,
            "truncated_normal",
            pe.regularizers.L1L2(0.1, 0.2),
            embeddings_constraint=pe.constraints.MaxNorm(0.5, axis=1),
            max_norm=0.4,
            scale_grad_by_freq=True,
            dtype=dtype,
            seed=3,
        )
        layer = pe.Embedding(700, dim, dtype=dtype, seed=4)
        exact = pe.SparseAdam(layer, update="exact")
        for start in range(0, 300, 10):
            exact.step(layer.backward(ids[start : start + 10], rows[:10]))
        yield layer(ids)
        yield layer.embeddings
        for make in KINDS:
            layer = pe.Embedding(700, dim, dtype=dtype, seed=5)
            make(layer).step(layer.backward(ids, rows))
            yield layer.embeddings
        sgd = pe.SparseSGD(emb, 0.1, 0.9, True)
        for key in range(2):
            yield emb(ids, dropout=0.2, key=key)
            sgd.step(emb.backward(ids, rows, dropout=0.2, key=key))
            yield emb.embeddings


def trained():
    rng = np.random.default_rng(0)
    texts = [[f"word{number}" for number in row] for row in rng.zipf(1.5, (400, 30)) % 300]
    for dim in (3, 16, 50):
        for model in ("skipgram", "cbow"):
            for more in ({}, {"loss": "hs"}, {"subword": (3, 5), "buckets": 500}):
                wv = pe.word2vec.train(texts, dim=dim, model=model, seed=dim, epochs=2, **more)
                yield from (wv.matrix, wv.output, np.array(wv.losses))


digest = hashlib.sha256()
for dtype in ("float32", "float64"):
    for array in results(dtype):
        digest.update(np.ascontiguousarray(array).tobytes())
for array in trained():
    digest.update(np.ascontiguousarray(array).tobytes())
print(pe.show_config("dicts")["isa"], pe.get_num_threads(), digest.hexdigest())
