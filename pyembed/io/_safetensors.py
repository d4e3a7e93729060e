"""The safetensors format: the length of a header, the header in JSON, the arrays' bytes.

The `safetensors` library reads and writes it too, and the tests let it read what is written here.
But it would copy: its reader returns new arrays, where a table must be filled in place or mapped,
and its writer takes contiguous arrays alone, where optimizers keep theirs row by row side by side.
Here nothing is held beside the arrays themselves but one block of rows.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pyembed import _checks
from pyembed.io._errors import short, shown
from pyembed.io._json import parsed

DTYPES = {"F64": "<f8", "F32": "<f4", "I64": "<i8"}
_BLOCK = 8 << 20  # bytes
_PAGE = 4096  # bytes that a system reads at least
_ALIGNMENT = 64  # of the first array, in the file and so in a memory map
_LONGEST_HEADER = 100_000_000  # as the library has it
_MOST_AXES = 32  # of an array of NumPy's, in any version
_MOST_EMPTY_ROWS = 1 << 20  # in a file of fewer bytes


@dataclass(frozen=True)
class StoredArray:
    """Where an array stands in a file."""

    dtype: np.dtype[Any]  # little-endian
    shape: tuple[int, ...]
    begin: int


def write(file: BinaryIO, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> None:
    """Write arrays of float64, float32 or int64 in any layout, the widest dtypes first."""
    names = sorted(arrays, key=lambda name: -arrays[name].itemsize)  # so that all are aligned
    codes = {np.dtype(dtype): code for code, dtype in DTYPES.items()}
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
    _check_empty_rows([array.shape for array in arrays.values()], 8 + len(text) + end)
    file.write(len(text).to_bytes(8, "little"))
    file.write(text)
    for name in names:
        for _, block in _blocks(arrays[name]):
            file.write(np.ascontiguousarray(block, block.dtype.newbyteorder("<")).data)


class Reader:
    """The arrays and the metadata of an open, unbuffered file.

    That the arrays take the whole file, and each byte once, is checked, so that whoever makes room
    for them takes memory of the file's size.

    Parameters
    ----------
    file : binary file
    dtypes : mapping of str to str
        Those that its arrays may have: the format's names of them, and NumPy's.

    Attributes
    ----------
    arrays : dict of str to StoredArray
    metadata : dict of str to str

    Raises
    ------
    ValueError
        If the file is not of the format, or was cut short.
    TypeError
        If one of its arrays is of another dtype: by default, not of float64, float32 or int64.
    """

    def __init__(self, file: BinaryIO, dtypes: Mapping[str, str] = DTYPES) -> None:
        self._file = file
        self._size = size = os.fstat(file.fileno()).st_size
        self._map: mmap.mmap | None = None
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > min(size - 8, _LONGEST_HEADER):
            raise ValueError(f"no safetensors file, or cut short: it has {size} bytes")
        text = bytearray(length)
        _fill(file, memoryview(text))
        header, self.metadata = _header(text)
        self.arrays = {
            name: _stored(name, entry, 8 + length, dtypes) for name, entry in header.items()
        }
        self._check_ends(8 + length, size)
        _check_empty_rows([array.shape for array in self.arrays.values()], size)

    def _check_ends(self, end: int, size: int) -> None:
        """Refuse gaps, overlaps, and a file that ends elsewhere than its last array."""
        in_order = sorted(self.arrays.items(), key=lambda item: (item[1].begin, _size(item[1])))
        for name, array in in_order:
            if array.begin != end:
                raise ValueError(f"{short(name)} begins at byte {array.begin}, and not at {end}")
            end += _size(array)
        if size != end:
            how = "cut short" if size < end else "too long"
            raise ValueError(f"{how}: it has {size} bytes, and should have {end}")

    def __getitem__(self, name: str) -> StoredArray:
        if name not in self.arrays:
            raise ValueError(f"there is no {short(name)} in it")
        return self.arrays[name]

    def mapped(self, name: str) -> NDArray[Any]:
        """Return an array of the file itself, read-only, which takes no time and no memory."""
        stored = self[name]
        if self._map is None:  # one for all arrays: each would hold a descriptor of its own
            self._map = mmap.mmap(self._file.fileno(), self._size, access=mmap.ACCESS_READ)
        array: NDArray[Any] = np.ndarray(stored.shape, stored.dtype, self._map, stored.begin)
        return array

    def read_into(
        self, name: str, out: NDArray[Any], first: int = 0, step: int = 1, room: Room | None = None
    ) -> None:
        """Fill an array with every `step`-th of the stored rows, from `first` on.

        Parameters
        ----------
        name : str
        out : ndarray
            Of the stored shape, but for the number of rows, in any layout; all but the last axis
            may be strided.
        first, step : int
        room : Room, optional
            Which has been made for `out` and `step`.

        Raises
        ------
        OSError
            If the file is cut short meanwhile, or cannot be read.
        """
        room = Room() if room is None else room
        room.make(out, step)
        begin = self[name].begin
        for at, block in _blocks(out, step):
            row_bytes = block.nbytes // len(block)
            self._file.seek(begin + (first + at * step) * row_bytes)
            if _is_read_in_place(block, step):
                _fill(self._file, block.data)
                continue
            count = (len(block) - 1) * step + 1
            read = room.bytes[: count * row_bytes].view(block.dtype.newbyteorder("<"))
            _fill(self._file, read.data)
            block[...] = read.reshape(count, *block.shape[1:])[::step]


class Room:
    """The memory that reading needs beside the arrays that it fills: some rows of a file."""

    def __init__(self) -> None:
        self.bytes = np.empty(0, np.uint8)

    def make(self, out: NDArray[Any], step: int) -> None:
        """Take what `Reader.read_into` needs for `out` and `step`: then it asks for none."""
        _, block = next(_blocks(out, step), (0, None))  # none is larger than the first
        if block is None or _is_read_in_place(block, step):
            return
        needed = block.nbytes // len(block) * ((len(block) - 1) * step + 1)
        if needed > len(self.bytes):
            self.bytes = np.empty(needed, np.uint8)


def _header(text: bytearray) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the entries of a header, and its metadata."""
    try:
        header = parsed(text)
        metadata = header.pop("__metadata__", {})
        if not all(isinstance(value, str) for value in metadata.values()):
            raise TypeError("its metadata are no texts")
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"no safetensors file: its header is damaged ({error})") from error
    return header, metadata


def _stored(name: str, entry: Any, first_byte: int, dtypes: Mapping[str, str]) -> StoredArray:
    try:
        dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        numbers = (*shape, begin, end)
        valid = isinstance(dtype, str) and len(shape) <= _MOST_AXES
        valid &= all(type(number) is int and 0 <= number <= _checks.LARGEST for number in numbers)
    except (KeyError, TypeError, ValueError):
        valid = False
    if not valid:
        raise ValueError(f"{short(name)} is described as {shown(entry)}")
    if dtype not in dtypes:
        known = ", ".join(dtypes)
        raise TypeError(f"{short(name)} has dtype {short(dtype)}, which is none of {known}")
    stored = StoredArray(np.dtype(dtypes[dtype]), tuple(shape), first_byte + begin)
    if end - begin != _size(stored):
        raise ValueError(f"{short(name)} has {end - begin} bytes, and should have {_size(stored)}")
    return stored


def _check_empty_rows(shapes: Iterable[tuple[int, ...]], size: int) -> None:
    """Refuse more rows without elements than belong into a file of so many bytes.

    They take no bytes; but whoever has them keeps a bit or a step count for each.
    """
    rows = sum(max(shape) for shape in shapes if 0 in shape)
    if rows > max(size, _MOST_EMPTY_ROWS):
        raise ValueError(
            f"{rows} rows without elements are more than a file of {size} bytes may have: "
            f"{max(size, _MOST_EMPTY_ROWS)}"
        )


def _size(stored: StoredArray) -> int:
    return math.prod(stored.shape) * stored.dtype.itemsize


def _is_read_in_place(block: NDArray[Any], step: int) -> bool:
    is_as_stored = block.flags.c_contiguous and sys.byteorder == "little"
    return is_as_stored and (step == 1 or len(block) == 1)


def _blocks(array: NDArray[Any], step: int = 1) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield views of a few rows each, with their first row; none of an array without elements.

    In a file, each row is `step` rows after the one before: where a page or more lies between them,
    they are read one by one.
    """
    if array.size == 0:
        return
    row_bytes = array.nbytes // len(array)
    is_by_row = (step - 1) * row_bytes >= _PAGE
    count = 1 if is_by_row else max(1, _BLOCK // (row_bytes * step))
    for start in range(0, len(array), count):
        yield start, array[start : start + count]


def _fill(file: BinaryIO, buffer: memoryview) -> None:
    """Read as many bytes as a contiguous buffer has; one system call may return fewer."""
    left = buffer.cast("B")
    while left:
        count = file.readinto(left)  # type: ignore[attr-defined]
        if not count:
            raise OSError("the file was cut short while it was read")
        left = left[count:]
