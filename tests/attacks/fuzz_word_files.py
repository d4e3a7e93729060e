"""Files of word vectors that a coverage-guided fuzzer makes: each loads, or is refused.

    pip install atheris
    python tests/attacks/fuzz_word_files.py FOLDER -max_total_time=600

FOLDER keeps what reached something new; the arguments after it are libFuzzer's.
"""

import contextlib
import sys
import tempfile
import warnings
from pathlib import Path

FORMATS = ["auto", "glove", "word2vec", "word2vec-binary", "fasttext", "npy", "safetensors"]
ERRORS = ["strict", "replace", "skip"]


def load_as_told(data, folder):
    """Load a file of all but the first two bytes, which say how; return whether it loads."""
    from pyembed import vectors

    if len(data) < 2:
        return False
    path = Path(folder, "a.npy")
    path.unlink(missing_ok=True)  # maps keep the old one
    path.write_bytes(data[2:])
    path.with_name("a.words.txt").write_text("a\nb\n")
    kind, options = data[:2]
    given = {"format": FORMATS[kind % 7], "errors": ERRORS[(kind >> 3) % 3]}
    if options & 1:
        given["limit"] = options >> 4
    if options & 2:
        given["keep"] = ["the", "a"]
    if options & 4:
        given["dtype"] = "float64"
    if options & 8:
        given["mmap"] = True
    try:
        wv = vectors.load(path, **given)
    except (OSError, TypeError, ValueError):
        return False
    assert len(list(wv.words)) == len(wv.matrix)
    with contextlib.suppress(ValueError):  # a word that stands there twice
        wv.rows(wv.words)
        if wv.has_subwords:
            assert wv["unseen word"].shape == (wv.dim,)
    return True


def main():
    import atheris

    with atheris.instrument_imports(include=["pyembed.io", "pyembed.vectors"]):
        import pyembed.vectors  # noqa: F401
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        atheris.Setup(sys.argv, lambda data: load_as_told(data, folder))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
