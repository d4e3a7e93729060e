"""Damaged files of word vectors: each loads, or is refused at once.

    python tests/attacks/word_files.py --minutes 5 --seed 1

Files of all formats are damaged in ways of chance and loaded with arguments of chance, in a process
that may take little memory beside what it has. What loads must be whole: finite numbers, words that
can be made, none of them twice. A fault is another error than ValueError, TypeError and OSError, a
message of great length, a load that takes long, or the end of the process. It is told with its
case, which ``--case`` runs alone.
"""

import gzip
import io
import sys
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np
from files import CHARACTERS, SECONDS, cut, flipped, main, noise, nothing, pieces

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fasttext_files import model
from pyembed import vectors

WORDS = ["the", "of", "naïve", "東京", "New York", "</s>", "7", "x" * 40]
TOKENS = [
    *(
        b" ",
        b"\n",
        b"\r\n",
        b"\t",
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b"nan",
        b"-inf",
        b"1e999",
        b"1,5",
    ),
    *(b"1000000000000", b"-1", b"0", b"99999999999999999999999999", b".", b"e", b"0" * 500),
    *(b"\x93NUMPY", b"\x1f\x8b", b"PK\x03\x04", b"\x80\x04", b"the 1 2 3\n", b"8 3\n", b"\xc3"),
    *(b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\x00" * 8, b"\xff" * 8),
]


def originals(folder):
    """Return the bytes of a good file of each format, by the name to load it with."""
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((len(WORDS), 3)).astype(np.float32)
    wv = vectors.WordVectors(WORDS, matrix, counts=range(8, 0, -1))
    plain = vectors.WordVectors([word.replace(" ", "_") for word in WORDS], matrix)
    made = {}
    for name, saved in (
        ("a.vec", wv),
        ("a.txt", plain),
        ("a.bin", plain),
        ("a.npy", wv),
        ("a.safetensors", wv),
    ):
        vectors.save(saved, folder / name)
        made[name] = (folder / name).read_bytes()
    made["m.bin"] = model(WORDS, rng.standard_normal((40, 3)).astype(np.float32), labels=["l"])
    made["old.bin"] = model(WORDS, rng.standard_normal((40, 3)), version=None)
    made["a.vec.gz"] = gzip.compress(made["a.vec"])
    made["m.bin.gz"] = gzip.compress(made["m.bin"])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", made["a.txt"])
    made["a.zip"] = packed.getvalue()
    return made


def tokens(file, rng):
    """Put what means something to a reader into the file, or in the place of something."""
    damaged = bytearray(file)
    for _ in range(rng.integers(1, 4)):
        token = TOKENS[rng.integers(len(TOKENS))]
        end = len(damaged) if rng.random() < 0.7 else min(len(damaged), 120)
        at = int(rng.integers(end + 1))
        damaged[at : at + int(rng.choice([0, len(token)]))] = token
    return bytes(damaged)


def packed(file, rng):
    """Damage it, and compress it after that."""
    return gzip.compress(tokens(flipped(file, rng), rng))


DAMAGE = (tokens, tokens, tokens, flipped, flipped, cut, pieces, packed, noise, nothing)


def arguments_of(rng):
    """Return arguments of chance."""
    given = {"errors": ("strict", "replace", "skip")[rng.integers(3)]}
    if rng.random() < 0.3:
        given["format"] = str(rng.choice([*vectors.loading._formats.FORMATS]))
    if rng.random() < 0.2:
        given["keep"] = WORDS[:4]
    if rng.random() < 0.2:
        given["limit"] = int(rng.integers(0, 5))
    if rng.random() < 0.2:
        given["mmap"] = True
    if rng.random() < 0.2:
        given["dtype"] = "float64"
    return given


class Attack:
    def __init__(self, folder):
        self.folder = folder
        self.originals = originals(folder)

    def run(self, seed, case):
        """Run a case; return what came of it, in a list, or raise AssertionError."""
        rng = np.random.default_rng([seed, case])
        name = list(self.originals)[rng.integers(len(self.originals))]
        damage = DAMAGE[rng.integers(len(DAMAGE))]
        path = self.folder / name
        path.unlink(missing_ok=True)  # maps keep the old one
        path.write_bytes(damage(self.originals[name], rng))
        given = arguments_of(rng)
        began = time.perf_counter()
        result, message = "loaded", ""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                wv = vectors.load(path, **given)
            is_checked = name != "a.npy" and name != "a.safetensors"  # whose numbers are any
            use(wv, given, is_checked)
        except (OSError, TypeError, ValueError) as error:
            result, message = type(error).__name__, str(error)
        assert result in ("loaded", "OSError") or name in message, message
        assert len(message) < CHARACTERS, f"a message of {len(message)} characters"
        took = time.perf_counter() - began
        assert took < SECONDS, f"it took {took:.1f} s"
        return [f"{name}, {damage.__name__}: {result}"]


def use(wv, given, is_checked):
    """Look all of word vectors up."""
    words = list(wv.words)
    assert len(words) == len(wv.matrix)
    assert len(words) <= given.get("limit", len(words))
    if is_checked:
        assert np.isfinite(wv.matrix).all()
    try:
        rows = wv.rows(words)
    except ValueError:
        assert not is_checked, "a word stands there twice"
    else:
        assert (rows == np.arange(len(words))).all()
    if wv.has_subwords:
        assert wv["unseen word"].shape == (wv.dim,)


if __name__ == "__main__":
    sys.exit(main(__doc__, Attack, __file__))
