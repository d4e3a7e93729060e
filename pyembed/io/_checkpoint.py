"""An open checkpoint: its contents, and its arrays where they fit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pyembed.io._contents import KEY, Contents
from pyembed.io._safetensors import Reader


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

    def frozen_rows(self, layer: str) -> NDArray[np.int64]:
        """Return the frozen rows of a layer's table.

        Raises
        ------
        ValueError
            If they are not rows of it.
        """
        table = self.contents.layers[layer].table
        stored = self.reader[f"{table}.frozen_rows"]
        if stored.dtype != np.int64 or len(stored.shape) != 1:
            raise ValueError(f"frozen_rows are {stored.dtype} of shape {stored.shape}")
        rows = np.empty(stored.shape, np.int64)
        self.reader.read_into(f"{table}.frozen_rows", rows)
        if not ((rows >= 0) & (rows < self.reader[f"{table}.embeddings"].shape[0])).all():
            raise ValueError("frozen_rows are outside the table")
        return rows

    def state(self, optimizer: str) -> list[dict[str, Any]]:
        """Return the state of each of an optimizer's tables, as `state_dict` has it.

        The arrays are maps of the file: they are in memory once they are looked at.
        """
        tables: list[dict[str, Any]] = []
        for number, t in enumerate(self.contents.optimizers[optimizer].steps):
            prefix = f"{optimizer}.{number}."
            names = [name for name in self.reader.arrays if name.startswith(prefix)]
            arrays = {name.removeprefix(prefix): self.reader.mapped(name) for name in names}
            tables.append({"t": t, **arrays})
        return tables


@contextlib.contextmanager
def naming(where: str) -> Iterator[None]:
    """Let what is refused meanwhile say where."""
    try:
        yield
    except TypeError as error:
        raise TypeError(f"{where}: {error}") from error
    except KeyError as error:
        raise ValueError(f"{where}: the file has no {error}") from error
    except (OverflowError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from error
