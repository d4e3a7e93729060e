"""Random inputs of a case: sizes, numbers, and arrays in odd layouts."""

from dataclasses import dataclass

import numpy as np

ID_DTYPES = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i4", ">i8", ">u8"]


@dataclass(frozen=True)
class Size:
    """Bounds of a case: rows of a table, its dims, ids of a lookup, operations."""

    rows: tuple
    dims: tuple
    ids: int
    operations: int


SMALL = Size((1, 60), (0, 1, 2, 3, 5, 8, 16, 17, 31, 64, 100), 40, 25)
WIDE = Size((1000, 4000), (31, 64, 100), 3000, 8)  # enough for several threads to update rows
LONG = Size((1, 60), (1, 2, 3), 70_000, 5)  # and to read ids


class Draw:
    """All that is random in one case of a seed."""

    def __init__(self, seed, case):
        self.rng = np.random.default_rng([seed, case])
        kind = self.rng.random()
        self.size = LONG if kind < 0.003 else WIDE if kind < 0.03 else SMALL
        self.is_wild = self.chance(0.1)  # with huge and tiny numbers, infinities and nans

    def chance(self, probability):
        return self.rng.random() < probability

    def integer(self, low, high):
        """Return an integer from low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def one_of(self, options):
        return options[self.integer(0, len(options) - 1)]

    def count(self):
        """Return a number of ids: mostly few."""
        if self.size is SMALL:
            return self.integer(0, 600 if self.chance(0.05) else self.size.ids)
        return self.integer(0, 40 if self.chance(0.3) else self.size.ids)

    def floats(self, shape, dtype):
        values = self.rng.standard_normal(shape)
        if self.chance(0.2):  # many ties and zeros
            values = np.round(2 * values) / 2
        if self.is_wild and self.chance(0.3):
            values = values * 10.0 ** self.rng.uniform(-45, 38, shape)
        if self.is_wild and self.chance(0.1):
            odd = self.rng.random(shape) < 0.02
            values = np.where(odd, self.rng.choice([np.nan, np.inf, -np.inf], shape), values)
        return values.astype(dtype)

    def ids(self, shape, low, high):
        """Return ids from low to high, as far as their dtype goes, of any dtype and layout."""
        dtype = np.dtype(self.one_of(ID_DTYPES))
        bounds = np.iinfo(dtype)
        low, high = max(low, bounds.min), min(high, bounds.max)
        native = dtype.newbyteorder("=")
        ids = np.array(self.rng.integers(low, high, shape, native, endpoint=True))
        if self.chance(0.4):
            hot = self.rng.random(shape) < self.rng.random()
            ids[hot] = self.rng.integers(low, high, dtype=native, endpoint=True)
        ids = ids.astype(dtype)
        # An empty list of lists may have lost an axis, and NumPy may not know what fits large ids.
        if self.chance(0.15) and dtype.str[1:] != "u8" and np.shape(ids.tolist()) == shape:
            return ids.tolist()
        return self.laid_out(ids)

    def laid_out(self, array):
        """Return an equal array in any layout."""
        layout = self.one_of(["C", "C", "C", "F", "reversed", "gaps", "read-only", "misaligned"])
        if layout == "F" and array.ndim:
            return np.asfortranarray(array)
        if layout == "reversed" and array.ndim:
            return array[::-1].copy()[::-1]
        if layout == "gaps" and array.ndim:
            return self.with_gaps(array)
        if layout == "read-only":
            array.flags.writeable = False
        if layout == "misaligned":
            memory = np.zeros(array.nbytes + 1, np.uint8)
            moved = memory[1 : 1 + array.nbytes].view(array.dtype).reshape(array.shape)
            moved[...] = array
            return moved
        return array

    def with_gaps(self, array):
        """Return an equal array whose last axis is part of a longer one."""
        gap = self.integer(1, 3)
        memory = np.full((*array.shape[:-1], array.shape[-1] + gap), 77, array.dtype)
        view = memory[..., : array.shape[-1]]
        view[...] = array
        return view

    def out(self, shape, dtype):
        """Return where a result may go: None, or an array of old values, with gaps or not."""
        if self.chance(0.5):
            return None
        old = np.full(shape, 77, dtype)
        return self.with_gaps(old) if self.chance(0.5) else old
