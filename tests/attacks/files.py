"""Damaged checkpoints: each loads, or is refused at once, and then nothing has changed.

    python tests/attacks/files.py --minutes 5 --seed 1

Files of all optimizers are damaged in ways of chance and loaded as new objects, as memory maps, and
into objects, in a process that may take little memory beside what it has. A fault is an error other
than TypeError, ValueError and OSError, a message of great length, an object that a refused load has
changed, a load that takes long, or the end of the process. It is told with its case, which
``--case`` runs alone.
"""

import argparse
import contextlib
import faulthandler
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pyembed as pe
from kinds import OPTIMIZERS

REFUSALS = (OSError, TypeError, ValueError)
MEMORY = 512 << 20  # bytes, beside what the process has
SECONDS = 5.0
CHARACTERS = 2000  # of a message
VALUES = [
    *(None, True, False, 0, 1, -1, 2, 3, 7, 64, 2**31, 2**40, 2**62, 2**63 - 1, 2**63, 2**64),
    *(-(2**63), 10**30, 0.0, 0.5, -0.5, 1.0, 0.9999999, 1e-300, 1e308, float("nan")),
    *(
        float("inf"),
        -float("inf"),
        "",
        "emb",
        "F16",
        "F64",
        "I64",
        "float64",
        "inf",
        "nan",
        "x" * 9,
    ),
    *("x" * 100_000, "\ud800", [], {}, [0], [1, 2], ["emb"], [[]], {"callable": "a.b"}, {"a": 1}),
    *({"class_name": "Warmup", "config": {"learning_rate": 0.1, "steps": 2}}, "Adam", "SparseSGD"),
]


def make(name, comm=None):
    """Return layers and an optimizer of a kind: small, with all that a file can have of them."""
    emb = pe.Embedding(
        9, 3, seed=0, padding_idx=3, embeddings_regularizer="l2", name="emb", comm=comm
    )
    bag = pe.EmbeddingBag.sharing(emb, mode="sqrtn", name="bag")
    wide = pe.Embedding(5, 2, seed=1, dtype="float64", name="wide", comm=comm)
    empty = pe.Embedding(4, 0, seed=2, name="empty", comm=comm)
    emb.freeze([5, 7])
    opt = OPTIMIZERS[name]([emb, wide, empty])
    if name == "adam":
        opt.learning_rate = pe.schedules.Warmup(pe.schedules.CosineDecay(0.5, 9), 3)
    return {"emb": emb, "bag": bag, "wide": wide, "empty": empty, "opt": opt}


def train(objects, steps):
    for step in steps:
        rng = np.random.default_rng(step)
        grads = []
        for name in ("emb", "wide", "empty"):
            layer = objects[name]
            ids = rng.integers(0, layer.input_dim, 6)
            grads.append(
                layer.backward(ids, rng.standard_normal((6, layer.output_dim)).astype(layer.dtype))
            )
        objects["opt"].step(*grads)


def digest(objects):
    """Return a hash of all that files hold of layers and optimizers, of the rows here."""
    told = hashlib.sha256()
    for item in objects.values():
        if isinstance(item, pe.SparseAdam.__mro__[1]):
            state = item.state_dict()
            told.update(repr(state["config"]).encode())
            for table in state["tables"]:
                for array in table.values():
                    told.update(np.ascontiguousarray(array).tobytes())
        else:
            told.update(repr(item.get_config()).encode())
            told.update(item.local.tobytes() + item.frozen_rows.tobytes())
    return told.hexdigest()


def split(file):
    """Return the header of a file, parsed, and the bytes of its arrays."""
    length = int.from_bytes(file[:8], "little")
    return json.loads(file[8 : 8 + length]), file[8 + length :]


def joined(header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 64)  # or no array is aligned
    return len(text).to_bytes(8, "little") + text + data


def places(value):
    """Yield each container inside of a value in JSON with each of its keys."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(pairs):
        yield value, key
        if isinstance(inner, (dict, list)):
            yield from places(inner)


def edit(value, rng):
    """Change a value in JSON at a place of chance."""
    found = list(places(value))
    if not found:
        return
    container, key = found[rng.integers(len(found))]
    other, from_key = found[rng.integers(len(found))]
    how = rng.integers(6)
    if how == 0:
        del container[key]
    elif how == 1:
        container[key] = json.loads(json.dumps(other[from_key]))
    elif how == 2 and isinstance(container, dict):
        container[str(VALUES[rng.integers(len(VALUES))])[:50]] = container.pop(key)
    elif how == 3:
        container[key] = nested(int(rng.choice([3, 60, 300, 2000, 100_000])))
    elif isinstance(container[key], int) and how == 4:
        container[key] += int(rng.integers(-8, 9))
    else:
        container[key] = VALUES[rng.integers(len(VALUES))]


def nested(depth):
    """Return a placeholder that `text_of` replaces: json.dumps cannot write what is so deep."""
    return f"nested {depth}"


def text_of(value):
    """Return the JSON of a value, with what `nested` stands for."""
    text = json.dumps(value)
    for depth in (3, 60, 300, 2000, 100_000):
        warmup = '{"class_name": "Warmup", "config": {"steps": 2, "learning_rate": '
        inner = (
            warmup * depth + "0.1" + "}}" * depth if depth < 100_000 else "[" * depth + "]" * depth
        )
        text = text.replace(f'"nested {depth}"', inner)
    return text


def edited_header(file, rng):
    header, data = split(file)
    arrays = {name: entry for name, entry in header.items() if name != "__metadata__"}
    for _ in range(rng.integers(1, 4)):
        edit(arrays if rng.random() < 0.9 else header, rng)
    kept = {"__metadata__": header["__metadata__"]} if "__metadata__" in header else {}
    return joined(text_of({**kept, **arrays}).encode(), data)


def edited_metadata(file, rng):
    header, data = split(file)
    about = json.loads(header["__metadata__"]["pyembed"])
    for _ in range(rng.integers(1, 4)):
        edit(about, rng)
    header["__metadata__"]["pyembed"] = text_of(about)
    return joined(header, data)


def edited_config(file, rng):
    header, data = split(file)
    about = json.loads(header["__metadata__"]["pyembed"])
    kind = ("layers", "optimizers")[rng.integers(2)]
    edit([entry["config"] for entry in about[kind].values()], rng)
    header["__metadata__"]["pyembed"] = text_of(about)
    return joined(header, data)


def repeated_name(file, rng):
    """Put a name into the header or the metadata twice."""
    header, data = split(file)
    if rng.random() < 0.5:
        about = header["__metadata__"]["pyembed"]
        name = ("tables", "layers", "optimizers", "version")[rng.integers(4)]
        header["__metadata__"]["pyembed"] = about[:-1] + f', "{name}": {json.loads(about)[name]}}}'
        return joined(header, data)
    name = list(header)[rng.integers(len(header))]
    return joined(
        (json.dumps(header)[:-1] + f', "{name}": {json.dumps(header[name])}}}').encode(), data
    )


def many_rows(file, rng):
    """Have rows without elements in numbers that no memory holds."""
    header, data = split(file)
    rows = int(rng.choice([2**17, 2**20, 2**24, 2**34, 2**45, 2**62]))
    about = json.loads(header["__metadata__"]["pyembed"])
    for entry in header.values():
        if entry.get("shape") == [4, 0]:
            entry["shape"] = [rows, 0]
    about["layers"]["empty"]["config"]["input_dim"] = rows
    header["__metadata__"]["pyembed"] = json.dumps(about)
    return joined(header, data)


def values(file, rng):
    """Put other numbers into the arrays."""
    header, data = split(file)
    data = bytearray(data)
    for _ in range(rng.integers(1, 9)):
        at = int(rng.integers(0, max(1, len(data) // 8))) * 8
        data[at : at + 8] = int(rng.choice([-1, 0, 1, 3, 2**62, -(2**62)])).to_bytes(
            8, "little", signed=True
        )
    return joined(header, bytes(data[: len(split(file)[1])]))


def flipped(file, rng):
    damaged = bytearray(file)
    end = (
        len(damaged)
        if rng.random() < 0.5
        else min(len(damaged), 8 + int.from_bytes(file[:8], "little"))
    )
    for _ in range(2 ** rng.integers(0, 6)):
        damaged[rng.integers(end)] ^= 1 << rng.integers(8)
    return bytes(damaged)


def cut(file, rng):
    return file[: rng.integers(len(file))]


def pieces(file, rng):
    """Leave bytes out, or put some in."""
    at, count = (int(number) for number in rng.integers(0, len(file), 2))
    middle = rng.bytes(min(count, 100)) if rng.random() < 0.5 else b""
    return file[:at] + middle + file[at + (count if rng.random() < 0.5 else 0) :]


def noise(file, rng):
    return rng.bytes(int(rng.integers(0, 2000)))


def nothing(file, rng):
    return file


DAMAGE = (
    *(edited_header, edited_metadata, edited_config, edited_config, repeated_name, many_rows),
    *(values, flipped, flipped, cut, pieces, noise, nothing),
)


class Attack:
    """Files of all kinds, and objects to load them into."""

    def __init__(self, folder):
        self.path = folder / "checkpoint.safetensors"
        self.originals, self.targets = {}, {}
        for name in OPTIMIZERS:
            objects = make(name)
            train(objects, range(3))
            original = folder / f"{len(self.originals)}.safetensors"
            pe.save(original, **objects)
            self.originals[name] = original.read_bytes()
            self.targets[name] = make(name)
            train(self.targets[name], range(5, 7))
        self.before = {name: digest(objects) for name, objects in self.targets.items()}

    def run(self, seed, case):
        """Run a case; return what came of each way to load, or raise AssertionError."""
        rng = np.random.default_rng([seed, case])
        name = list(OPTIMIZERS)[rng.integers(len(OPTIMIZERS))]
        damage = DAMAGE[rng.integers(len(DAMAGE))]
        self.path.unlink(missing_ok=True)  # maps keep the old one
        self.path.write_bytes(damage(self.originals[name], rng))
        told = {"new": loaded(self.path, use), "mapped": loaded(self.path, use, mmap=True)}
        objects = self.targets[name]
        told["into"] = loaded(self.path, lambda objects: None, **objects)
        if told["into"] == "loaded":
            self.targets[name] = make(name)
            train(self.targets[name], range(5, 7))
        assert digest(self.targets[name]) == self.before[name], "a refused load changed objects"
        return {f"{damage.__name__}, {how}: {result}" for how, result in told.items()}


def loaded(path, then, **arguments):
    """Load a file and call ``then(objects)``; return "loaded", or by what type it is refused."""
    began = time.perf_counter()
    result, message = "loaded", path.stem
    try:
        then(pe.load(path, **arguments))
    except REFUSALS as error:
        result, message = type(error).__name__, str(error)
    assert len(message) < CHARACTERS, f"a message of {len(message)} characters"
    assert path.stem in message, f"a message that names no file: {message}"
    took = time.perf_counter() - began
    assert took < SECONDS, f"it took {took:.1f} s"
    return result


def use(objects):
    """Look all of new objects up."""
    digest(objects)
    for item in objects.values():
        if isinstance(item, pe.Embedding) and item.input_length is None:
            item(np.arange(min(item.input_dim, 100)))


def limit_memory():
    """Let this process have little more than it has; where the system knows no such limit, all."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def attack(files, folder, seed, cases, until):
    """Run cases until a time; return how many there were, and how often what came of them."""
    limit_memory()
    counts, number = Counter(), 0
    for case in cases:
        if time.monotonic() >= until:
            break
        (folder / "case").write_text(str(case))
        counts.update(files.run(seed, case))
        number += 1
    return number, counts


def main(about, make, script):
    """Run the attack that ``make(folder)`` returns, in a process of its own."""
    parser = argparse.ArgumentParser(description=about.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="run this one alone")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)  # in the child
    arguments = parser.parse_args()
    if arguments.folder is not None:
        faulthandler.enable()
        cases = iter(range(2**62)) if arguments.case is None else [arguments.case]
        until = time.monotonic() + 60 * arguments.minutes
        files = make(arguments.folder)
        number, counts = attack(files, arguments.folder, arguments.seed, cases, until)
        for what, count in sorted(counts.items()):
            print(f"{count:8} {what}")
        print(f"{number} files: each loads or is refused, with seed {arguments.seed}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, os.path.abspath(script), *sys.argv[1:], "--folder", folder]
        done = subprocess.run(
            command, cwd=folder, check=False, timeout=60 * arguments.minutes + 120
        )
        if done.returncode != 0:
            case = Path(folder, "case")
            number = case.read_text() if case.exists() else "none"
            print(f"a fault: --seed {arguments.seed} --case {number}", file=sys.stderr)
        return min(abs(done.returncode), 1)


if __name__ == "__main__":
    sys.exit(main(__doc__, Attack, __file__))
