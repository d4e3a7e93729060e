"""An open checkpoint: its contents, and its arrays where they fit."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from pyembed.io._contents import KEY, Contents
from pyembed.io._errors import naming, short
from pyembed.io._parts import PART_KEY, common_rows, part_label, parts_with
from pyembed.io._replacing import check_regular
from pyembed.io._safetensors import Reader, Room, StoredArray


class Filled(NamedTuple):
    """What is filled with some rows of an array: a table's, or one of its optimizer's state."""

    array: str  # in the file
    table: str
    rows: range  # of the table
    live: NDArray[Any]


class Checkpoint:
    """What an open file holds, of which the header alone has been read.

    Its arrays are in it, or in parts, each with some rows of them. Of these only such are opened as
    have rows that are asked for, one after the other.

    Parameters
    ----------
    file : binary file
        Unbuffered.
    folder : str
        Where its parts are.

    Attributes
    ----------
    contents : Contents
    digest : str
        Of what the file says of them.

    Raises
    ------
    TypeError, ValueError
        If it is no checkpoint that this version reads.
    """

    def __init__(self, file: BinaryIO, folder: str) -> None:
        self._file = Reader(file)
        metadata = self._file.metadata
        if PART_KEY in metadata:
            raise ValueError("it is one part of a checkpoint: load the file that was saved")
        if KEY not in metadata:
            raise ValueError(f"no checkpoint of pyembed: its metadata have no {KEY!r}")
        self.contents = Contents.from_json(metadata[KEY])
        self.digest = hashlib.sha256(metadata[KEY].encode("utf-8", "replace")).hexdigest()
        self._folder = folder
        self._known: dict[int, dict[str, StoredArray]] = {}  # by the number of the part
        self._room = Room()

    def table(self, layer: str, shape: tuple[int, int], dtype: str, rows: range) -> str:
        """Return the name of the array of a layer's table, which has this shape and dtype.

        Parameters
        ----------
        layer : str
        shape : tuple of int
            Of the whole table.
        dtype : str
        rows : range
            Those that will be asked for.

        Raises
        ------
        TypeError
            If it has another dtype.
        ValueError
            If it has another shape, or is not there.
        """
        table = self.contents.layers[layer].table
        array = f"{table}.embeddings"
        stored = self._whole(array, table, rows)
        if stored.dtype != dtype:
            raise TypeError(f"the table has dtype {stored.dtype} in the file, but here {dtype}")
        if stored.shape != shape:
            raise ValueError(f"the table has shape {stored.shape} in the file, but here {shape}")
        return array

    def frozen_rows(self, layer: str, rows: range) -> NDArray[np.int64]:
        """Return which of these rows of a layer's table are frozen, by their place among them.

        Raises
        ------
        ValueError
            If a file names rows that are not in it.
        """
        table = self.contents.layers[layer].table
        array = f"{table}.frozen_rows"
        parts = self.contents.tables[table].parts
        found = [np.empty(0, np.int64)]
        for number in parts_with(rows, parts):
            stored = self._arrays_of(number)[array]
            if stored.dtype != np.int64 or len(stored.shape) != 1:
                raise ValueError(f"frozen_rows are {stored.dtype} of shape {stored.shape}")
            frozen = np.empty(stored.shape, np.int64)
            with self._opened(number) as reader:
                reader.read_into(array, frozen)
            there = range(number, rows.stop, parts)
            if not ((frozen >= 0) & (frozen < len(there))).all():
                raise ValueError("frozen_rows are outside the table")
            places, others = np.divmod(frozen * there.step + there.start - rows.start, rows.step)
            found.append(places[others == 0])
        return np.sort(np.concatenate(found))

    def state(self, optimizer: str, rows_of: Iterable[range]) -> list[dict[str, Any]]:
        """Return the state of some rows of each of an optimizer's tables, as far as needed.

        That is as `state_dict` has it, but with zeros that take no memory for arrays of floats:
        these are refused by dtype and shape alone.
        """
        entry = self.contents.optimizers[optimizer]
        layers = self.contents.layers
        of_tables = zip(rows_of, entry.layers, entry.steps, strict=True)
        return [
            {**self._state_of(f"{optimizer}.{number}", layers[layer].table, rows), "t": t}
            for number, (rows, layer, t) in enumerate(of_tables)
        ]

    def _state_of(self, prefix: str, table: str, rows: range) -> dict[str, NDArray[Any]]:
        state: dict[str, NDArray[Any]] = {}
        first, *_ = parts_with(rows, self.contents.tables[table].parts)
        for array in self._arrays_of(first):
            group, _, key = array.rpartition(".")
            if group != prefix:
                continue
            stored = self._whole(array, table, rows)
            shape = (len(range(rows.start, stored.shape[0], rows.step)), *stored.shape[1:])
            if stored.dtype == np.int64:
                state[key] = np.empty(shape, np.int64)
                self.read([Filled(array, table, rows, state[key])])
            else:
                state[key] = np.broadcast_to(np.zeros((), stored.dtype), shape)
        return state

    def make_room(self, filled: Iterable[Filled]) -> None:
        """Take the memory that `read` needs beside these arrays: then it asks for none."""
        for _, table, rows, live in filled:
            parts = self.contents.tables[table].parts
            for number in parts_with(rows, parts):
                here, there = common_rows(rows, range(number, rows.stop, parts))
                self._room.make(live[here], there.step)

    def read(self, filled: Sequence[Filled]) -> None:
        """Fill arrays, all of which fit.

        Raises
        ------
        OSError
            If a file is cut short meanwhile, or cannot be read.
        """
        parts_of = {table: saved.parts for table, saved in self.contents.tables.items()}
        needed = {
            number for _, table, rows, _ in filled for number in parts_with(rows, parts_of[table])
        }
        for number in sorted(needed):
            with self._opened(number) as reader:
                for array, table, rows, live in filled:
                    if number in parts_with(rows, parts_of[table]):
                        here, there = common_rows(rows, range(number, rows.stop, parts_of[table]))
                        out = live[here]
                        reader.read_into(array, out, there.start, there.step, self._room)

    def mapped(self, array: str) -> NDArray[Any]:
        """Return an array of the file itself: see `Reader.mapped`.

        Raises
        ------
        ValueError
            If it is not in one file.
        """
        if self.contents.parts:
            raise ValueError(
                f"mmap=True maps tables of one file, and this one is in {len(self.contents.parts)} "
                "parts: load it, and save it from one process"
            )
        return self._file.mapped(array)

    def _whole(self, array: str, table: str, rows: range) -> StoredArray:
        """Return what an array is of all rows; the parts that have any of these are checked.

        Raises
        ------
        ValueError
            If it is not there, or parts of it do not fit each other.
        """
        saved = self.contents.tables[table]
        found = None
        for number in parts_with(rows, saved.parts):
            stored = self._arrays_of(number)[array]
            if not stored.shape:
                raise ValueError(f"{short(array)} is no array of rows")
            if saved.rows is None:
                return stored
            own = len(range(number, saved.rows, saved.parts))
            whole = StoredArray(stored.dtype, (saved.rows, *stored.shape[1:]), 0)
            if stored.shape[0] != own or (found is not None and found != whole):
                raise ValueError(
                    f"{short(array)} is {stored.dtype} of shape {stored.shape} in part {number}, "
                    f"which does not fit a table of {saved.rows} rows and the other parts"
                )
            found = whole
        assert found is not None
        return found

    def _arrays_of(self, number: int) -> _Arrays:
        """Return what arrays a part has, or the file where there are no parts."""
        if number not in self._known:
            with self._opened(number) as reader:
                self._known[number] = reader.arrays
        return _Arrays(self._known[number])

    @contextlib.contextmanager
    def _opened(self, number: int) -> Iterator[Reader]:
        names = self.contents.parts
        if not names:
            yield self._file
            return
        where = os.path.join(self._folder, names[number])
        check_regular(where)
        with open(where, "rb", buffering=0) as file:
            with naming(short(names[number])):
                reader = Reader(cast(BinaryIO, file))
                if reader.metadata.get(PART_KEY) != part_label(names, number):
                    raise ValueError(f"it is not part {number} of this checkpoint")
            yield reader


def parts_of(path: str) -> list[str]:
    """Return the names of the parts of a checkpoint; none where it is another file, or not there.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    try:
        check_regular(path)
        with open(path, "rb", buffering=0) as file:
            return Checkpoint(cast(BinaryIO, file), os.path.dirname(path)).contents.parts
    except (FileNotFoundError, TypeError, ValueError):
        return []


class _Arrays(dict[str, StoredArray]):
    """What arrays there are, by name."""

    def __missing__(self, name: str) -> StoredArray:
        raise ValueError(f"there is no {short(name)} in it")
