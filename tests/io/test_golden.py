"""A checkpoint of version 0.1 is read by every later one, and training goes on to the same bits.

FILE is what 0.1 wrote of `make()` after the first three steps of `train`; DIGESTS are of what it
held then, and after the fourth. None of these is ever made anew.
"""

import base64
import hashlib
import zlib

import numpy as np
import pytest

import pyembed as pe

# Of every optimizer, what 0.1 keeps of a table beside t.
STATE = {
    "adam": ("m", "v"),
    "exact": ("m", "v", "stamp"),
    "by_row": ("m", "v", "row_t"),
    "adagrad": ("accumulator",),
    "row_wise": ("accumulator",),
    "rmsprop": ("v",),
    "momentum": ("momentum",),
}


def make():
    """A layer with padding, frozen rows and a bag that shares its table; one of each optimizer."""
    emb = pe.Embedding(7, 3, padding_idx=2, embeddings_regularizer="l2", seed=1, name="emb")
    bag = pe.EmbeddingBag.sharing(emb, mode="sqrtn", name="bag")
    emb.freeze([0, 5])
    others = {
        name: pe.Embedding(7, 3, seed=seed, dtype=dtype, name=f"{name}_table")
        for seed, (name, dtype) in enumerate(
            {
                "exact": "float32",
                "by_row": "float32",
                "adagrad": "float64",
                "row_wise": "float32",
                "rmsprop": "float32",
                "momentum": "float64",
            }.items(),
            start=2,
        )
    }
    optimizers = {
        "adam": pe.SparseAdam(emb, pe.schedules.Warmup(0.1, 3), weight_decay=0.5),
        "exact": pe.SparseAdam(others["exact"], 0.1, 0.8, weight_decay=0.5, update="exact"),
        "by_row": pe.SparseAdam(others["by_row"], 0.1, step_bias="row"),
        "adagrad": pe.SparseAdagrad(others["adagrad"], 0.1, weight_decay=0.5),
        "row_wise": pe.SparseRowWiseAdagrad(others["row_wise"], 0.1),
        "rmsprop": pe.SparseRMSprop(others["rmsprop"], 0.1),
        "momentum": pe.SparseSGD(others["momentum"], 0.1, 0.9, True),
    }
    tables = {f"{name}_table": layer for name, layer in others.items()}
    return {"emb": emb, "bag": bag, **tables, **optimizers}


def train(objects, steps):
    """Step with ids that leave rows out and gradients that are exact fractions."""
    for step in steps:
        for name in STATE:
            opt = objects[name]
            (layer,) = opt.tables
            ids = np.array([step, 2, 5, step, (3 * step + 1) % 7])
            grad = ((np.arange(15) * (step + 3)) % 11 - 5.0).reshape(5, 3) / 8
            grads = [layer.backward(ids, grad.astype(layer.dtype))]
            if name == "adam":
                grads.append(objects["bag"].backward([ids[:3]], grad[:1].astype(layer.dtype)))
            opt.step(*grads)


def digest(*arrays):
    told = hashlib.sha256()
    for array in arrays:
        told.update(f"{array.dtype.str} {array.shape}".encode())
        told.update(np.ascontiguousarray(array).tobytes())
    return told.hexdigest()[:16]


def digests(objects):
    """Of each optimizer, its table and its state."""
    told = {}
    for name, names in STATE.items():
        opt = objects[name]
        (table,) = opt.state_dict()["tables"]
        (layer,) = opt.tables
        told[name] = digest(layer.embeddings, np.int64(table["t"]), *(table[n] for n in names))
    return told


# SHA-256, its first 16 digits, after three steps and after four.
DIGESTS = {
    "adam": ("a9357377b39ae531", "d34614a6b134c778"),
    "exact": ("e24c469ce396feb1", "7ac38ff5ed4717e7"),
    "by_row": ("29e0e22e27be29ea", "837c685bc77460e2"),
    "adagrad": ("a7587d2da8ab461b", "2ce747f002cf4a5e"),
    "row_wise": ("694b001a7856e1e3", "07c74b95a5e009c6"),
    "rmsprop": ("7effb4dfd71a36a6", "4af8cef34151feb5"),
    "momentum": ("06f421037a0288e1", "802405fede9909b5"),
}

FILE = """
eNrtWXl4E8cVNwZa7thA0kDzGaNijgSELMmyZO+Bgzkau044whFMl7W0FsK62F0Z21SNgZLSQjlcQ7lCABfikOIvCXa4tFpj
myPF3IQjhBscCE1CQiAcIXT2EN4Vki0fPfg+zz+jefveb95785s3u6OcPmF8m6nAMBtB4yacxjFMkRA9U+HMJWwZhAn8VsxM
V2QTJGVx2NPBMHZgdLrvKSaRpytUylilKl3BPafxDCtBcWJgDFTFX6RjBubIzKQImhOo3JwqkYMbaYw3qEMrIxfjxPWpgQjM
JG6qV4+TzbBQRP2KNspJOpz16tkcNsJOu2x1KvKaVjwXJO2J1BitOEVhdtxGCMkcxuXXZLGbJQkVnvA2nMzosGdazKK9xe50
0ZjJYuPG8dxjh4uWiDQDBVMBlMIsdgttwa2WPIIM4sFo3G5y2F63WzIdpC3AjDaLPRu3coNBKqUqjs8CniOKfBKKIEw8a4Tg
JQ6QhNllxck6HEhVB5jVqhbhRURAHku2hc71x7O7rFa/GQEORZO4xU5LFWw4lYUBIwcnzMStFMFJhXRaCbuZnirV5u19a0GT
Ll7ZifMzYBZTDidWi6nA7Hziao25MUbnOnljtVLFJ8iIWwmMJy3geCZJTJf5ARYRUAgjcbtZzApwgCKExJh8WOmKTKsDpzVi
wh4nnZ/0cT554ghZy8DN9fHuZbyFei3UaybqZfjIZHOYRBE1naTtgtBiN1pdJgIDi0BLCibviTvIIdGAeim1fdrIq66PvL4F
/j8kYy3y/56Par9SKOWEO9gbRugckxs/bSTTtJCsWUim8St6MlK4g76ghk4zP+unjWfaFp41imc6rZxnWjnP/FjhDv6FEzrT
/M2fNqrFtVCtWUpanJxq/rRwB/1IbgDV5NZPG9N0LUxrFqbp/JgmZ4U7+C1L6EzzN3/aqBbfQrVmOT/j5VTzp4VbSLPDSVts
XOZ8l3XgnLX5llm6hv5rPsaJkxSRxGvzN34ETtq5VJA4HYy043HS5nIGunTwN1Yp+W9riiaclOTlPYOgcSxWUDA8Fog3FgYD
LwIWFqt4i0sMUsX7cLAMC04JfpitjgyOfNwjl9MkzsndWublCtIZhMU8FewIwojnCuhxfveak8SLoskyPydpJtd+yjdLGsVM
SCPXN3/kor+hhy79tAycAuHD4D+VgyasPu9VQ5Ze9WT88q+ewAkQ31gblAHBoK4kBApQrNAYbjS6bKAU0g4SA9XVJbULaVn9
XrIDx+V7PQo9sNGOGeMt//X4Aiyb/5tdkACFU7kB8f1mjGDQ0MDIqQ4JnUMLQf7KEDgCX7EPPYQxI5Lrdl8KKfprJ8DEpCNb
eiCGFIP/WfRkEG63AphxFVaZSTryCDu33Sj+Pzv+3OP+sfu1Tgs8VlBTcX48SQ1gFPyfe8LtKqc+CRyzsbrJPFZtyQodUxUI
M1b3GFRaB5oPVbYNlbXvMXLU4X6ogFGaoMB6bQDkJjqs19YCy3dWsyJLCd+cwHIWNj3NHLYmTh0Iu2leA9BaZJ7GSpWSonGb
s26w+KBgWpVeQl+AxpO4EWgACKDpZOQCcJJC3bhkAsiB0TqNPJkA2PezcagAcGC0XqWa7KstQddcow4JEGABQJFP0gLTZGCO
TAad/ski01RkAAq2gEpkk9+2bSo4hwvQYzW6AFu3yeAAFoCr1Sof23hGNBIMwAAwjUorBctuJBiA4cD0etkWbaxrAAegaePl
G76xvgEcgBYXp5Pv+MY6B4C4c0qrksM11jsABODi1fJTpM4S4g8dEBcgcrg+mgtEbIKf8Tyx9Ryx3dENa2Fiayv2KVj50IXT
NqHdr++Ejs7cyRaXrKUdkbtQxem3DRFf7kM7bc0aU3XPwxYexp6/btrEboTSzmo/3YFOa6/uPxIuYt/YU+O+vXope1dx/0js
ssVocfHIT+7HrmHp/X9otXT7WrZd5y49Bic72TtfHkVNKSx77IU7+WOyGHR+2wnp5ogytmr9K/mDx73NTtlJpa5J+pC1bu5m
YKgitnxKQsFbNxahJa8vm9oHW88+6P5bVemb+1G6ImdfXu4+dmDHb/5ij61E8x8WTXRdPoBGHLv2xgdLt7BJZ7fb0gzvsR/+
Y/RBtekQOnrRzZRxX2xA91Wdmk0WTmGrJ/bofv72bLTvlbwjF5PXseX4ko6Prs5CJ7/W4+v++EZ0eatbrhM/bmMvfdPedTRr
C7pxfiRV+kEZe4DqtXdm4V72fk/zgMo5peyUqzmrHn63BF2dlZ17KmY1G3f7wEd5W95hW4t5bWgf7tf75L7WKog8k2/nUQ3f
LqDC+KQw3vIVeqCaa+Wi/DNhnNpqiPD8C1F+Bl25gmvbg/SMiHNQ1D8h9p+L81wR568JiiN4e4kVxr55feNvWWF8UNT/BN0W
NffGqG3fs/3TF1Xc7l+NjryY171khA8nWCtnhf6UqHeBFXAOolrev0MizoWgOH8/3QvuSneC3q1ZACV+GgefK7/BdJp1nJHq
RL/kTvx+kBKudOR7MrC/wrooN7PqWhn83q4Y+Poz4dvVYxzQrcVzPcnPKTymH15kzhUkIdPgId6I79RIH80CZI6xwPt17/be
kXeueByRHZATRyIgffos6OrQCTvuIwsTC6ydkPPuvt4o7SF46J6VTFb+WG80djrhq83RTOH0XR7rmm2Jw50pyKZlSu+prb9C
7g7tg2Tn9POGlxUx4ZcLmJouCEK/fznx921fYkoVu6C3EtYkZi/eDdvDn/WemRWOpF06xpzR5nnzlyRDbLcUWF/Tkdk9qedO
4/JOCBI3jxnV1QMfGj8QKbilY4w79jDtjXfhF6onen43IoUpWRLGaOPUUGbnhZ7NH/0Z/nHsWebcqbbIL/YbmLLIFGZkxSNP
5brhzNaYF+HZUYOZm+WFSE3vfqzXWYaQYQPQn73ahr0D/cD0bZ2C5Ef3hR7dbYfcvTCAGTa3yjP26k+emJgVyB87r/WuvVeC
TJs2w/tTm1e854qymSJle+jeqwmJ/e1hsrUYGh7lNedPh6BTMBxsTU92SPUMeLMHvHNGKhMWQqsuvpGQlrIgXlk52xBM552e
s+MfJnUzrNsQXKfDySImLSMCWT/sY2Z3tMrL0N3gd1dVQf1i53n7nMmFh0whIKl+x5NFnsUVLhj0TLc5Q2Cw4aApVw/L4npk
rDZU3jtumBM231D12YSEqAvh+sL5RQZ71M8Tux/sl0Beel/mz8WbwM+0bgbQG0qfLTV83PeZhMM5v0zwqyEM0uFvcK+5WUzJ
iIsM2HIQ8B3auKqNd4KhFKr4Z2+ZnweqUz0rV/SAQc9sAPE8V7IXSst4TeYntrza8PmD44Z2ivmGcV0nJhS3aq13lwX309F1
TjzIjwH0Qf2cN+8aotE8QBSKhVw9giMjpyPJyc/zv8PCIuBFFTHwtqjd0L9GFcPpi15OBFsfKt4D9sm3JDz28m2/GKoTzJmZ
EOihLoPC4YrbQ+A/JU2QxfBvl2NXqw==
"""


@pytest.fixture
def written(path):
    path.write_bytes(zlib.decompress(base64.b64decode(FILE)))
    return path


def check(objects):
    assert digests(objects) == {name: of[0] for name, of in DIGESTS.items()}
    assert objects["emb"].frozen_rows.tolist() == [0, 5]
    train(objects, [3])
    assert digests(objects) == {name: of[1] for name, of in DIGESTS.items()}


def test_new_objects_go_on(written):
    objects = pe.load(written)
    assert {name: type(item) for name, item in objects.items()} == {
        name: type(item) for name, item in make().items()
    }
    assert objects["emb"].padding_idx == 2
    assert np.shares_memory(objects["emb"].embeddings, objects["bag"].embeddings)
    assert repr(objects["adam"].learning_rate) == repr(pe.schedules.Warmup(0.1, 3))
    check(objects)


def test_objects_that_there_are_go_on(written):
    objects = make()
    train(objects, [5, 6])  # to be overwritten
    pe.load(written, **objects)
    check(objects)


def test_memory_maps_read_the_tables(written):
    mapped = pe.load(written, mmap=True)
    loaded = pe.load(written)
    for name, layer in mapped.items():
        np.testing.assert_array_equal(layer.embeddings, loaded[name].embeddings, strict=True)


def test_training_from_the_start_comes_to_the_same():
    objects = make()
    train(objects, range(3))
    check(objects)
