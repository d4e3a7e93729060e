"""The safetensors format: the length of a header, the header in JSON, the arrays' bytes.

The `safetensors` library reads and writes it too, and the tests let it read what is written here.
But it would copy: its reader returns new arrays, where a table must be filled in place or mapped,
and its writer takes contiguous arrays alone, where optimizers keep theirs row by row side by side.
Here nothing is held beside the arrays themselves but one block of rows.
"""

import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_DTYPES = {"F64": "<f8", "F32": "<f4", "I64": "<i8"}
_BLOCK = 8 << 20  # bytes
_ALIGNMENT = 64  # of the first array, in the file and so in a memory map
_LONGEST_HEADER = 100_000_000  # as the library has it


@dataclass(frozen=True)
class StoredArray:
    """Where an array stands in a file."""

    dtype: np.dtype[Any]  # little-endian
    shape: tuple[int, ...]
    begin: int


def write(file: BinaryIO, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> None:
    """Write arrays of float64, float32 or int64 in any layout, the widest dtypes first."""
    names = sorted(arrays, key=lambda name: -arrays[name].itemsize)  # so that all are aligned
    codes = {np.dtype(dtype): code for code, dtype in _DTYPES.items()}
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name in names:
        array = arrays[name]
        begin, end = end, end + array.nbytes
        header[name] = {
            "dtype": codes[array.dtype.newbyteorder("<")],
            "shape": array.shape,
            "data_offsets": (begin, end),
        }
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    if len(text) > _LONGEST_HEADER:
        raise ValueError(f"names and configurations take more than {_LONGEST_HEADER} bytes")
    file.write(len(text).to_bytes(8, "little"))
    file.write(text)
    for name in names:
        for block in _blocks(arrays[name]):
            file.write(np.ascontiguousarray(block, block.dtype.newbyteorder("<")).data)


class Reader:
    """The arrays and the metadata of an open, unbuffered file.

    Parameters
    ----------
    file : binary file

    Attributes
    ----------
    arrays : dict of str to StoredArray
    metadata : dict of str to str

    Raises
    ------
    ValueError
        If the file is not of the format, or was cut short.
    TypeError
        If one of its arrays is not of float64, float32 or int64.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        size = os.fstat(file.fileno()).st_size
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > min(size - 8, _LONGEST_HEADER):
            raise ValueError(f"no safetensors file, or cut short: it has {size} bytes")
        text = bytearray(length)
        _fill(file, memoryview(text))
        try:
            header = json.loads(text)
            self.metadata: dict[str, str] = dict(header.pop("__metadata__", {}))
        except (AttributeError, RecursionError, TypeError, ValueError) as error:
            raise ValueError(f"no safetensors file: its header is damaged ({error})") from error
        self.arrays = {name: _stored(name, entry, 8 + length) for name, entry in header.items()}
        self._check_ends(8 + length, size)

    def _check_ends(self, end: int, size: int) -> None:
        """Refuse gaps, overlaps, and a file that ends elsewhere than its last array."""
        for name, array in sorted(self.arrays.items(), key=lambda item: item[1].begin):
            if array.begin != end and _size(array) > 0:
                raise ValueError(f"{name} begins at byte {array.begin}, and not at {end}")
            end += _size(array)
        if size != end:
            short = "cut short" if size < end else "too long"
            raise ValueError(f"{short}: it has {size} bytes, and should have {end}")

    def __getitem__(self, name: str) -> StoredArray:
        if name not in self.arrays:
            raise ValueError(f"there is no {name} in it")
        return self.arrays[name]

    def mapped(self, name: str) -> NDArray[Any]:
        """Return an array of the file itself, read-only, which takes no time and no memory."""
        stored = self[name]
        if 0 in stored.shape:
            return np.empty(stored.shape, stored.dtype)
        array = np.memmap(self._file, stored.dtype, "r", stored.begin, stored.shape)
        return array.view(np.ndarray)

    def read_into(self, name: str, out: NDArray[Any]) -> None:
        """Fill an array of the stored shape, in any layout; all but the last axis may be strided.

        Raises
        ------
        OSError
            If the file is cut short meanwhile, or cannot be read.
        """
        self._file.seek(self[name].begin)
        for block in _blocks(out):
            if block.flags.c_contiguous and sys.byteorder == "little":
                _fill(self._file, block.data)
            else:
                read = np.empty(block.shape, block.dtype.newbyteorder("<"))
                _fill(self._file, read.data)
                block[...] = read


def _stored(name: str, entry: Any, first_byte: int) -> StoredArray:
    try:
        dtype, shape, (begin, end) = str(entry["dtype"]), entry["shape"], entry["data_offsets"]
        valid = all(type(number) is int and number >= 0 for number in (*shape, begin, end))
    except (KeyError, TypeError, ValueError):
        valid = False
    if not valid:
        raise ValueError(f"{name} is described as {entry!r}")
    if dtype not in _DTYPES:
        raise TypeError(f"{name} has dtype {dtype}, which is none of {', '.join(_DTYPES)}")
    stored = StoredArray(np.dtype(_DTYPES[dtype]), tuple(shape), first_byte + begin)
    if end - begin != _size(stored):
        raise ValueError(f"{name} has {end - begin} bytes, and should have {_size(stored)}")
    return stored


def _size(stored: StoredArray) -> int:
    return math.prod(stored.shape) * stored.dtype.itemsize


def _blocks(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield views of a few rows each, and none of an array without elements."""
    if array.size == 0:
        return
    step = max(1, _BLOCK * len(array) // array.nbytes)
    for start in range(0, len(array), step):
        yield array[start : start + step]


def _fill(file: BinaryIO, buffer: memoryview) -> None:
    """Read as many bytes as a contiguous buffer has; one system call may return fewer."""
    left = buffer.cast("B")
    while left:
        count = file.readinto(left)  # type: ignore[attr-defined]
        if not count:
            raise OSError("the file was cut short while it was read")
        left = left[count:]
