"""Write words for TensorBoard's embedding projector: tensors.tsv and metadata.tsv in FOLDER.

Load both at https://projector.tensorflow.org, by "Load", or point TensorBoard at the folder.

example:
  pyembed project glove.6B.zip/glove.6B.50d.txt projection --first 10000
"""

from __future__ import annotations

import argparse
import os

from pyembed.cli import _arguments, _chosen, _output
from pyembed.cli._parser import Parser

_FIRST = 10_000  # about what the projector shows without effort
_CONFIG = """embeddings {
  tensor_path: "tensors.tsv"
  metadata_path: "metadata.tsv"
}
"""


def add_arguments(parser: Parser) -> None:
    """Add the command's arguments."""
    _arguments.add_vectors(parser)
    parser.add_argument("folder", metavar="FOLDER", help="made where it is not there")
    _chosen.add_arguments(parser, _FIRST)
    _arguments.add_output(parser)


def run(options: argparse.Namespace) -> bool:
    """Do what the command line says; return whether every word was there."""
    import numpy as np

    from pyembed import _core
    from pyembed.io._replacing import replacing

    _arguments.check_folder_of(options.folder)
    _, words, vectors, all_there = _chosen.chosen(options, "project")
    os.makedirs(options.folder, exist_ok=True)
    # Rows with an empty word: each begins with a blank, which is cut off.
    nothing = np.zeros(0, np.uint8), np.zeros(len(words) + 1, np.int64)
    rows = _core.lines_of_rows(*nothing, np.ascontiguousarray(vectors))
    tensors = b"\n" + rows.replace(b" ", b"\t")
    files = {
        "tensors.tsv": tensors.replace(b"\n\t", b"\n")[1:],
        "metadata.tsv": "".join(f"{_cell(word)}\n" for word in words).encode(),
        "projector_config.pbtxt": _CONFIG.encode(),
    }
    for name, data in files.items():
        with replacing(os.path.join(options.folder, name)) as file:
            file.write(data)
    _output.say_written(options, options.folder, words=len(words), dim=vectors.shape[1])
    return all_there


def _cell(word: str) -> str:
    """Return a word without tabs and ends of lines, which would part cells; none is empty."""
    return " ".join(word.split()) or repr(word)
