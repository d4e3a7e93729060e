"""Damaged checkpoints of several ranks: each loads whole, or is refused at once on all ranks.

    python tests/attacks/sharded_files.py --minutes 5 --seed 1

The index and the parts are damaged in ways of chance, left out, swapped, taken from other saves or
replaced by what is no file. They are loaded by one process, as new objects and into objects, and by
two ranks, into objects. A fault is what it is in `files.py`; also an error on one rank alone, a
message that does not name the file, and other rows than were saved where no part was written to.
(The format has no checksums: of bytes that change in a part's arrays, nothing can be told.)
"""

import itertools
import json
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from files import (
    cut,
    digest,
    edited_config,
    edited_header,
    edited_metadata,
    flipped,
    joined,
    loaded,
    main,
    make,
    noise,
    pieces,
    repeated_name,
    split,
    train,
    use,
    values,
)

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pyembed as pe
from kinds import OPTIMIZERS
from threaded import Group, ThreadCommunicator, on_ranks

INDEX = "checkpoint.safetensors"
RANKS = 2  # that load; others save
SAVING = (2, 3, 7)  # ranks: at last more than the smallest table has rows
NAMES = [
    *("../checkpoint.safetensors", "/etc/passwd", "a/../b", "", ".", "..", "nowhere", INDEX, "\0"),
    *("x" * 300, "x" * 100_000, "\ud800", "a\nb", None, 0, ["a"], {}),
]


def any_of(rng, choices):
    return choices[rng.integers(len(choices))]


def index_bytes(files, rng, others):
    """Damage the index as any file: what still loads has the rows that were saved."""
    files[INDEX] = any_of(rng, (flipped, flipped, cut, pieces, noise))(files[INDEX], rng)


def index_edited(files, rng, others):
    """Have the index say something else."""
    how = (edited_metadata, edited_metadata, edited_config, repeated_name)
    files[INDEX] = any_of(rng, how)(files[INDEX], rng)


def index_numbers(files, rng, others):
    """Have the index say something else of how the tables are in parts."""
    header, about = told_by(files)
    numbers = (-1, 0, 1, 2, 3, 7, 9, 2**20, 2**31, 2**62, 2**63 - 1, 2**64, 0.5, True, None, "2")
    for _ in range(rng.integers(1, 3)):
        table = any_of(rng, [*about["tables"].values()])
        table[any_of(rng, ("rows", "parts"))] = any_of(rng, numbers)
    tell(files, header, about)


def index_names(files, rng, others):
    """Have the index name other parts: by other names, twice, in another order, or fewer."""
    header, about = told_by(files)
    names = about["parts"]
    at = int(rng.integers(len(names)))
    how = rng.integers(5)
    if how == 0:
        names[at] = any_of(rng, names)
    elif how == 1:
        rng.shuffle(names)
    elif how == 2:
        del names[at]
    elif how == 3:
        names.insert(at, any_of(rng, names))
    else:
        names[at] = any_of(rng, NAMES)
    tell(files, header, about)


def part_bytes(files, rng, others):
    """Damage a part as any file."""
    how = any_of(rng, (flipped, flipped, cut, pieces, noise, values))
    name = any_part(files, rng)
    files[name] = how(files[name], rng)


def part_edited(files, rng, others):
    """Have a part say something else of its arrays."""
    name = any_part(files, rng)
    files[name] = edited_header(files[name], rng)


def part_forged(files, rng, others):
    """Give the part of another save, perhaps of another optimizer, the label of this one."""
    name = any_part(files, rng)
    label = split(files[name])[0]["__metadata__"]
    other = any_of(rng, others)
    header, data = split(other[any_part(other, rng)])
    files[name] = joined({**header, "__metadata__": label}, data)


def rows_without_elements(files, rng, others):
    """Have rows of no elements in numbers that no memory holds, in the index and all parts."""
    rows = any_of(rng, (2**17, 2**20, 2**24, 2**34, 2**45, 2**62))
    header, about = told_by(files)
    about["tables"]["empty"]["rows"] = about["layers"]["empty"]["config"]["input_dim"] = rows
    tell(files, header, about)
    names = parts_of(files)
    for number, name in enumerate(names):
        header, data = split(files[name])
        for entry in header.values():
            if len(entry.get("shape", ())) == 2 and entry["shape"][1] == 0:
                entry["shape"][0] = len(range(number, rows, len(names)))
        files[name] = joined(header, data)


def missing(files, rng, others):
    del files[any_of(rng, [*files])]


def swapped(files, rng, others):
    one, two = any_part(files, rng), any_part(files, rng)
    files[one], files[two] = files[two], files[one]


def mixed(files, rng, others):
    """Have parts of another save under the names of this one's."""
    other = any_of(rng, others)
    for _ in range(rng.integers(1, 4)):
        files[any_part(files, rng)] = other[any_part(other, rng)]


def no_file(files, rng, others):
    """Have something else in the place of a file."""
    files[any_of(rng, [*files])] = any_of(rng, ("folder", "pipe", "loop", "dangling link"))


def nothing(files, rng, others):
    pass


# After these, what is loaded has the rows that were saved.
KEEP_ROWS = (index_bytes, index_numbers, index_names, missing, swapped, mixed, no_file, nothing)
DAMAGE = (
    *(*KEEP_ROWS, index_edited, index_edited, part_bytes, part_bytes, part_edited, part_edited),
    *(part_forged, rows_without_elements),
)


def told_by(files):
    """Return the header of an index, and what it says of its objects."""
    header, _ = split(files[INDEX])
    return header, json.loads(header["__metadata__"]["pyembed"])


def tell(files, header, about):
    header["__metadata__"]["pyembed"] = json.dumps(about)
    files[INDEX] = joined(header, b"")


def parts_of(files):
    """Return the names of the parts, by rank."""
    return sorted(name for name in files if name != INDEX)


def any_part(files, rng):
    return any_of(rng, parts_of(files))


def write(folder, files):
    """Put files into a folder, or what `no_file` says, and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in files.items():
        path = folder / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content == "folder":
            path.mkdir()
        elif content == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to(name if content == "loop" else "nowhere")


def arrays_of(objects):
    """Return the rows here of all tables, and of their optimizer's state, by name."""
    found = {}
    for name, item in objects.items():
        if isinstance(item, pe.Embedding | pe.EmbeddingBag):
            found[name] = item.local
            continue
        for number, table in enumerate(item.state_dict()["tables"]):
            found |= {f"{name}.{number}.{key}": table[key] for key in table if key != "t"}
    return found


class Attack:
    """Checkpoints of all kinds, and objects to load them into: of one process, and of two ranks."""

    def __init__(self, folder):
        pe.set_num_threads(1)  # each rank that is a thread would start others
        self.path = folder / "checkpoint" / INDEX
        group = Group(RANKS)
        self.comms = [ThreadCommunicator(group, rank) for rank in range(RANKS)]
        self.pool = ThreadPoolExecutor(RANKS)
        self.saves = [
            self.save(name, ranks, steps)
            for name, ranks in zip(OPTIMIZERS, itertools.cycle(SAVING), strict=False)
            for steps in (2, 3)
        ]
        self.targets = {name: self.make(name) for name in OPTIMIZERS}

    def save(self, name, ranks, steps):
        """Return the optimizer's name, the files of a save, and the arrays that are in them."""
        write(self.path.parent, {})

        def body(comm):
            objects = make(name, comm)
            train(objects, range(steps))
            pe.save(self.path, **objects)

        on_ranks(ranks, body)
        files = {path.name: path.read_bytes() for path in self.path.parent.iterdir()}
        return name, files, arrays_of(pe.load(self.path))

    def make(self, name):
        """Return objects to load into and their digests: of one process, and of each rank."""

        def body(comm):
            objects = make(name, comm)
            train(objects, range(5, 7))
            return objects, digest(objects)

        return [body(None), *self.pool.map(body, self.comms)]

    def run(self, seed, case):
        """Run a case; return what came of each way to load, or raise AssertionError."""
        rng = np.random.default_rng([seed, case])
        name, saved, arrays = any_of(rng, self.saves)
        damage = any_of(rng, DAMAGE)
        files = dict(saved)
        damage(files, rng, [other for _, other, _ in self.saves if other is not saved])
        write(self.path.parent, files)
        expected = arrays if damage in KEEP_ROWS else {}

        def new(objects):
            use(objects)
            check(objects, expected)

        def into_those_of(rank):
            objects, _ = self.targets[name][1 + rank]
            return loaded(self.path, lambda own: check(own, expected, rank, RANKS), **objects)

        (alone, _), *_ = self.targets[name]
        told = {
            "new": loaded(self.path, new),
            "into": loaded(self.path, lambda own: check(own, expected), **alone),
        }
        told["on ranks"], *others = self.pool.map(into_those_of, range(RANKS))
        assert others == [told["on ranks"]], f"ranks differ: {told['on ranks']}, {others}"
        if "loaded" in (told["into"], told["on ranks"]):
            self.targets[name] = self.make(name)
        for objects, before in self.targets[name]:
            assert digest(objects) == before, "a refused load changed objects"
        return {f"{damage.__name__}, {how}: {result}" for how, result in told.items()}


def check(objects, expected, rank=0, ranks=1):
    """Raise AssertionError where rows here are others than those that are expected of all ranks."""
    for name, rows in arrays_of(objects).items():
        if name in expected:
            np.testing.assert_array_equal(rows, expected[name][rank::ranks], name)


if __name__ == "__main__":
    sys.exit(main(__doc__, Attack, __file__))
