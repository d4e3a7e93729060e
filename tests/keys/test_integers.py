"""Indexes of integers beside a Python dict."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyembed import _core

BLOCK = 1 << 17  # keys that are inserted at once
INTEGERS = st.one_of(
    st.integers(-5, 40),
    st.integers(0, 63).map(lambda power: (1 << power) - (1 << 63 if power == 63 else 0)),
    st.integers(-(2**63), 2**63 - 1),
)


class Reference:
    """A dict of keys and rows, in the order of first occurrence."""

    def __init__(self):
        self.rows = {}

    def insert(self, keys):
        return [self.rows.setdefault(int(key), len(self.rows)) for key in keys]

    def find(self, keys):
        return [self.rows.get(int(key), -1) for key in keys]


def agree(index, reference, inserted, sought):
    for keys in inserted:
        assert index.insert(keys).tolist() == reference.insert(keys)
    assert len(index) == len(reference.rows)
    assert index.keys().tolist() == list(reference.rows)
    assert index.find(sought).tolist() == reference.find(sought)


@given(batches=st.lists(st.lists(INTEGERS, max_size=60), max_size=6), sought=st.lists(INTEGERS))
def test_rows_are_those_of_a_dict(batches, sought):
    arrays = [np.array(batch, np.int64) for batch in batches]
    agree(_core.IntegerIndex(), Reference(), arrays, np.array(sought, np.int64))


PATTERNS = {
    "ascending": lambda n: np.arange(n),
    "descending": lambda n: -np.arange(n),
    "multiples of 2**40": lambda n: np.arange(n) << 40,
    "multiples of 2**20": lambda n: np.arange(n) << 20,
    "odd multiples of 2**32 + 1": lambda n: np.arange(n) * ((1 << 32) + 1),
    "drawn with repeats": lambda n: np.random.default_rng(1).integers(0, n // 2, n),
    "drawn from all": lambda n: np.random.default_rng(2).integers(-(2**63), 2**63 - 1, n),
    "one": lambda n: np.full(n, 7),
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_of_keys(pattern, threads):
    keys = PATTERNS[pattern](BLOCK + 30_000)
    index, reference = _core.IntegerIndex(), Reference()
    agree(index, reference, [keys[:5], keys[:1000], keys], np.concatenate([keys[::-7], keys + 1]))


def mixed_back(hashes):
    """The integers that have these hashes: see csrc/keys/hash.h."""

    def unshift(x):
        return x ^ (x >> np.uint64(27)) ^ (x >> np.uint64(54))

    x = unshift(hashes) * np.uint64(0xC47C8F6B6BAFB41D)
    x ^= x >> np.uint64(33)
    return unshift(x * np.uint64(0xC09C5FE5BD6DFDDB)).astype(np.int64)


def test_keys_that_all_belong_into_one_line():
    """The first 38 bits of their hashes are alike, so that each lies far from its place."""
    low = np.random.default_rng(3).permutation(1 << 12).astype(np.uint64)
    keys = mixed_back(low | np.uint64(0xABCDEF << 40))
    others = mixed_back((low[:50] + np.uint64(1 << 13)) | np.uint64(0xABCDEF << 40))
    index = _core.IntegerIndex()
    agree(index, Reference(), [keys[:2000], keys], np.concatenate([others, keys]))


@pytest.mark.parametrize(
    "dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", ">i4"]
)
def test_values_count_and_not_dtypes(dtype):
    index = _core.IntegerIndex()
    index.insert(np.array([100, -1, 7]))
    assert index.find(np.array([[7, 100], [3, 7]], dtype)).tolist() == [[2, 0], [-1, 2]]
    assert index.insert(np.array([5, 7], dtype)).tolist() == [3, 2]


def test_equal_bits_of_other_values_are_other_keys():
    signed = _core.IntegerIndex("int64")
    signed.insert([-1, 2**63 - 1])
    large = np.array([2**64 - 1, 2**63 - 1], np.uint64)
    assert signed.find(large).tolist() == [-1, 1]
    with pytest.raises(ValueError, match=r"key 18446744073709551615 at position 0 .* no int64"):
        signed.insert(large)
    unsigned = _core.IntegerIndex("uint64")
    unsigned.insert(large)
    assert unsigned.keys().tolist() == large.tolist()
    assert unsigned.keys().dtype == np.uint64
    assert unsigned.find([-1, 2**63 - 1]).tolist() == [-1, 1]
    with pytest.raises(ValueError, match=r"key -1 at position 1 .* is no uint64"):
        unsigned.insert([3, -1])
    assert len(unsigned) == 2


def test_shapes_and_layouts():
    index = _core.IntegerIndex()
    keys = np.arange(24).reshape(2, 3, 4)
    assert index.insert(keys[:, ::2]).shape == (2, 2, 4)
    assert index.find(keys).tolist() == [
        [[0, 1, 2, 3], [-1] * 4, [4, 5, 6, 7]],
        [[8, 9, 10, 11], [-1] * 4, [12, 13, 14, 15]],
    ]
    assert index.find(np.int64(22)).shape == ()
    assert index.find([]).shape == (0,)
    assert index.insert([]).shape == (0,)
    for bad in ([1.5], [True], ["a"]):
        with pytest.raises(TypeError, match="keys must be integers"):
            index.find(bad)
        with pytest.raises(TypeError, match="keys must be integers"):
            index.insert(bad)
    with pytest.raises(ValueError, match="dtype='int32' is none of"):
        _core.IntegerIndex("int32")


@pytest.mark.parametrize("count", [1000, 10_000, 70_000, 300_000, 700_000])
def test_bytes_of_a_key_are_bounded(count):
    index = _core.IntegerIndex()
    index.insert(np.random.default_rng(count).integers(-(2**62), 2**62, count))
    assert index.nbytes <= 20 * count + 4096


def test_many_read_while_one_inserts():
    index = _core.IntegerIndex()
    keys = np.random.default_rng(5).permutation(200_000)
    index.insert(keys[:1000])
    wrong = []
    is_done = threading.Event()

    def read():
        while not is_done.is_set():
            rows = index.find(keys)
            known = rows[rows >= 0]
            if not (known == np.arange(len(known))).all():
                wrong.append(rows)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for start in range(0, len(keys), 10_000):
        index.insert(keys[start : start + 10_000])
    is_done.set()
    for reader in readers:
        reader.join()
    assert not wrong
    assert (index.find(keys) == np.arange(len(keys))).all()
