"""An open checkpoint: its contents, and its arrays where they fit."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pyembed.io._contents import KEY, Contents
from pyembed.io._safetensors import Reader, StoredArray


class Checkpoint:
    """What an open file holds, of which the header alone has been read.

    Parameters
    ----------
    file : binary file
        Unbuffered.

    Raises
    ------
    TypeError, ValueError
        If it is no checkpoint that this version reads.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.reader = Reader(file)
        if KEY not in self.reader.metadata:
            raise ValueError(f"no checkpoint of pyembed: its metadata have no {KEY!r}")
        self.contents = Contents.from_json(self.reader.metadata[KEY])
        self._groups: dict[str, dict[str, StoredArray]] = {}  # by name, up to its last dot
        for name, stored in self.reader.arrays.items():
            group, _, key = name.rpartition(".")
            self._groups.setdefault(group, {})[key] = stored

    def table(self, layer: str, shape: tuple[int, int], dtype: str) -> str:
        """Return the name of the array of a layer's table, which has this shape and dtype.

        Raises
        ------
        TypeError
            If it has another dtype.
        ValueError
            If it has another shape, or is not there.
        """
        array = f"{self.contents.layers[layer].table}.embeddings"
        stored = self.reader[array]
        if stored.dtype != dtype:
            raise TypeError(f"the table has dtype {stored.dtype} in the file, but here {dtype}")
        if stored.shape != shape:
            raise ValueError(f"the table has shape {stored.shape} in the file, but here {shape}")
        return array

    def frozen_rows(self, layer: str, rows: int) -> NDArray[np.int64]:
        """Return the frozen rows of a layer's table, which has so many rows.

        Raises
        ------
        ValueError
            If they are not rows of it.
        """
        array = f"{self.contents.layers[layer].table}.frozen_rows"
        stored = self.reader[array]
        if stored.dtype != np.int64 or len(stored.shape) != 1:
            raise ValueError(f"frozen_rows are {stored.dtype} of shape {stored.shape}")
        frozen = self._read(array, stored)
        if not ((frozen >= 0) & (frozen < rows)).all():
            raise ValueError("frozen_rows are outside the table")
        return frozen

    def state(self, optimizer: str) -> list[dict[str, Any]]:
        """Return the state of each of an optimizer's tables, as far as it can be refused.

        That is as `state_dict` has it, but with zeros that take no memory for arrays of floats:
        these are refused by dtype and shape alone.
        """
        tables: list[dict[str, Any]] = []
        for number, t in enumerate(self.contents.optimizers[optimizer].steps):
            prefix = f"{optimizer}.{number}"
            arrays = {
                key: self._read(f"{prefix}.{key}", stored)
                if stored.dtype == np.int64
                else np.broadcast_to(np.zeros((), stored.dtype), stored.shape)
                for key, stored in self._groups.get(prefix, {}).items()
            }
            tables.append({**arrays, "t": t})
        return tables

    def _read(self, name: str, stored: StoredArray) -> NDArray[Any]:
        array = np.empty(stored.shape, stored.dtype)
        self.reader.read_into(name, array)
        return array
