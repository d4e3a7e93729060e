"""Model2Vec's folders: a table of tokens' vectors, a tokenizer, and a configuration."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from pyembed import _checks
from pyembed.io import _safetensors
from pyembed.io._errors import naming, shown
from pyembed.io._json import parsed
from pyembed.io._replacing import check_regular, replacing

_MODEL, _TOKENIZER, _CONFIG = "model.safetensors", "tokenizer.json", "config.json"
# Where a folder may have its table, tokenizer and configuration, and what the table is called
# there: as Model2Vec saves it, and as sentence-transformers does.
_LAYOUTS = (
    (_MODEL, _TOKENIZER, _CONFIG, "embeddings"),
    (_MODEL, _TOKENIZER, "config_sentence_transformers.json", "embedding.weight"),
    (
        *(f"0_StaticEmbedding/{_MODEL}", f"0_StaticEmbedding/{_TOKENIZER}"),
        *("config_sentence_transformers.json", "embedding.weight"),
    ),
)
_FLOATS = ("<f8", "<f4", "<f2")
_DTYPES = {**_safetensors.DTYPES, "F16": "<f2", "I32": "<i4", "I8": "|i1"}
_LONGEST = 512  # tokens, where the configuration says nothing


@dataclass(frozen=True)
class Model:
    """What a folder has.

    Attributes
    ----------
    matrix : ndarray, shape (rows, dim)
    weights : ndarray or None
    mapping : ndarray of int64 or None
        Of a vocabulary that was quantised: the row of each token.
    tokenizer : str
        The JSON of a tokenizer.
    normalize : bool
    max_length : int or None
    """

    matrix: NDArray[Any]
    weights: NDArray[Any] | None
    mapping: NDArray[np.int64] | None
    tokenizer: str
    normalize: bool
    max_length: int | None


def is_folder(path: str) -> bool:
    """Return whether there is a folder with the table of a model."""
    return any(os.path.isfile(os.path.join(path, model)) for model, *_ in _LAYOUTS)


def read(folder: str, dtype: str, mmap: bool) -> Model:
    """Return what a folder has, its table in a dtype.

    Raises
    ------
    OSError
        If a file is not there, or cannot be read.
    TypeError, ValueError
        If one is damaged; the message names it.
    """
    model, tokenizer, config, name = _layout(folder)
    normalize, max_length = _configuration(config)
    check_regular(model)
    with open(model, "rb", buffering=0) as file, naming(model):
        reader = _safetensors.Reader(cast(BinaryIO, file), _DTYPES)
        matrix = _table(reader, name, dtype, mmap)
        weights = mapping = None
        if "weights" in reader.arrays:
            weights = _array(reader, "weights", 1, _FLOATS).astype(dtype)
        if "mapping" in reader.arrays:
            mapping = _array(reader, "mapping", 1, ("<i8", "<i4")).astype(np.int64)
            _check_rows(mapping, len(matrix))
    return Model(matrix, weights, mapping, _text(tokenizer), normalize, max_length)


def write(folder: str, model: Model) -> None:
    """Write a folder, which is made where there is none; each file is replaced as a whole."""
    os.makedirs(folder, exist_ok=True)
    config = {
        "normalize": model.normalize,
        "max_length": model.max_length,
        "embedding_dtype": str(model.matrix.dtype),
    }
    texts = {_TOKENIZER: model.tokenizer, _CONFIG: json.dumps(config, indent=4)}
    for name, text in texts.items():
        with replacing(os.path.join(folder, name)) as file:
            file.write(text.encode())
    arrays = {"embeddings": model.matrix}
    if model.weights is not None:
        arrays["weights"] = model.weights
    with replacing(os.path.join(folder, _MODEL)) as file:
        _safetensors.write(file, arrays, {})


def _layout(folder: str) -> tuple[str, str, str, str]:
    """Return the paths of a folder's table, tokenizer and configuration, and the table's name."""
    for *files, name in _LAYOUTS:
        model, tokenizer, config = (os.path.join(folder, file) for file in files)
        if all(map(os.path.exists, (model, tokenizer, config))):
            return model, tokenizer, config, name
    os.listdir(folder)  # raises what there is to say of the folder itself
    wanted = ", ".join((_MODEL, _TOKENIZER, _CONFIG))
    raise ValueError(f"{folder}: it is no folder of Model2Vec's: it must have {wanted}")


def _table(reader: _safetensors.Reader, name: str, dtype: str, mmap: bool) -> NDArray[Any]:
    if not mmap:
        return _array(reader, name, 2, (*_FLOATS, "|i1")).astype(dtype, copy=False)
    mapped = reader.mapped(name)
    if mapped.ndim != 2 or mapped.dtype != dtype or not mapped.flags.aligned:
        raise ValueError(
            f"mmap=True: its table has shape {mapped.shape} and dtype {mapped.dtype}, and cannot "
            f"be mapped as a matrix of dtype={dtype!r}"
        )
    return mapped


def _array(
    reader: _safetensors.Reader, name: str, axes: int, dtypes: tuple[str, ...]
) -> NDArray[Any]:
    stored = reader[name]
    if len(stored.shape) != axes or stored.dtype.str not in dtypes:
        raise ValueError(f"{name} has shape {stored.shape} and dtype {stored.dtype}")
    made = np.empty(stored.shape, stored.dtype.newbyteorder("="))
    reader.read_into(name, made)
    return made


def _check_rows(mapping: NDArray[np.int64], rows: int) -> None:
    outside = np.flatnonzero((mapping < 0) | (mapping >= rows))
    if len(outside):
        token = int(outside[0])
        raise ValueError(f"mapping[{token}]={mapping[token]} is outside a table of {rows} rows")


def _configuration(path: str) -> tuple[bool, int | None]:
    """Return whether vectors are normalised, and how many tokens of a text count."""
    text = _text(path)
    with naming(path):
        config = parsed(text)
        if not isinstance(config, dict):
            raise ValueError(f"it is {shown(config)}, and must be an object")
        normalize, longest = config.get("normalize", False), config.get("max_length", _LONGEST)
        if not isinstance(normalize, bool):
            raise ValueError(f"normalize={shown(normalize)} must be true or false")
        return normalize, None if longest is None else _checks.integer(longest, "max_length", 0)


def _text(path: str) -> str:
    check_regular(path)
    with open(path, "rb") as file, naming(path):
        return file.read().decode()
