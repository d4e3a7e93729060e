"""Two builds of pyembed beside each other.

`python benchmarks/before_after.py OLD NEW`: interpreters of two environments with a build each.
Both run the same jobs, in turns; printed is of each job the median of the ratios of times, new over
old, and the 95 % interval of that median by bootstrap.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np

Job = Callable[[], object]


def jobs(rows: int, ids: int) -> dict[str, Job]:
    """What is timed: a dozen calls that use every part of the core."""
    import pyembed as pe

    rng = np.random.default_rng(0)
    few = np.array([3])
    small = pe.Embedding(1000, 16, seed=0)
    small_opt = pe.SparseAdam(small)
    one = np.ones((1, 16), np.float32)
    emb = pe.Embedding(rows, 64, seed=0)
    bag = pe.EmbeddingBag.sharing(emb, "sum")
    largest = pe.EmbeddingBag.sharing(emb, "max")
    uniform = rng.integers(0, rows, ids)
    zipf = np.minimum(rng.zipf(1.05, ids), rows) - 1
    bags = uniform.reshape(-1, 32)
    out = np.empty((ids, 64), np.float32)
    upstream = rng.standard_normal((ids, 64)).astype(np.float32)
    pooled = upstream[: len(bags)]
    dense = np.zeros((rows, 64), np.float32)
    tables = [pe.Embedding(100_000, 32, seed=n) for n in range(20)]
    each = [rng.integers(0, 100_000, 4096) for _ in tables]
    slices = rng.standard_normal((4096, 32)).astype(np.float32)
    many = pe.SparseRowWiseAdagrad(tables)
    made = {
        "adam": lambda: pe.SparseAdam(emb),
        "exact": lambda: pe.SparseAdam(emb, update="exact"),
        "adagrad": lambda: pe.SparseAdagrad(emb),
        "row-wise": lambda: pe.SparseRowWiseAdagrad(emb),
        "momentum": lambda: pe.SparseSGD(emb, 0.01, 0.9),
    }

    def stepping(name: str, step: Callable[[object], object]) -> Job:
        held: list[object] = []

        def run() -> None:
            if not held:
                for other in in_use:
                    other[0].release()  # type: ignore[attr-defined]
                    other.clear()
                in_use[:] = [held]
                held.append(made[name]())
            step(held[0])

        return run

    in_use: list[list[object]] = []

    def step(ids: np.ndarray, opt: object) -> None:
        opt.step(emb.backward(ids, upstream))  # type: ignore[attr-defined]

    def small_step() -> None:
        for _ in range(200):
            small_opt.step(small.backward(few, one))

    return {
        "200 x emb(one id)": lambda: [small(few) for _ in range(200)],
        "200 x step of one row": small_step,
        "gather(out=) uniform": lambda: emb(uniform, out=out),
        "gather(out=) Zipf": lambda: emb(zipf, out=out),
        "emb(ids) uniform": lambda: emb(uniform),
        "bags of 32, sum": lambda: bag(bags),
        "bags of 32, max": lambda: largest(bags),
        "scatter_add uniform": lambda: pe.ops.scatter_add(dense, uniform, upstream),
        "coalesce Zipf": lambda: pe.ops.coalesce(zipf, upstream),
        "adam step uniform": stepping("adam", partial(step, uniform)),
        "adam step Zipf": stepping("adam", partial(step, zipf)),
        "exact adam step uniform": stepping("exact", partial(step, uniform)),
        "adagrad step uniform": stepping("adagrad", partial(step, uniform)),
        "row-wise adagrad, bags of 32": stepping(
            "row-wise",
            lambda opt: opt.step(bag.backward(bags, pooled)),  # type: ignore[attr-defined]
        ),
        "momentum step Zipf": stepping("momentum", partial(step, zipf)),
        "20 tables, one step": lambda: many.step(
            *(t.backward(i, slices) for t, i in zip(tables, each, strict=True))
        ),
    }


def serve(rows: int, ids: int) -> None:
    """Run the job that each line of the input names, and answer its seconds."""
    work = jobs(rows, ids)
    print(json.dumps(list(work)), flush=True)
    for line in sys.stdin:
        job = work[line.rstrip("\n")]
        started = time.perf_counter()
        job()
        print(time.perf_counter() - started, flush=True)


class Build:
    """A process that runs jobs with one build."""

    def __init__(self, python: str, options: argparse.Namespace) -> None:
        sizes = ["--rows", str(options.rows), "--ids", str(options.ids)]
        self._process = subprocess.Popen(
            [python, __file__, "--serve", *sizes, python, python],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.jobs: list[str] = json.loads(self._answer())

    def seconds(self, job: str) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write(job + "\n")
        self._process.stdin.flush()
        return float(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def interval(ratios: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of the median."""
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(ratios, (4000, len(ratios))), axis=1)
    low, high = np.quantile(medians, [0.025, 0.975])
    return float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("old", help="interpreter with the build before")
    parser.add_argument("new", help="interpreter with the build after")
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--ids", type=int, default=262_144)
    parser.add_argument("--only", help="jobs whose name has this")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.rows, options.ids)
        return
    old, new = Build(options.old, options), Build(options.new, options)
    print(f"{'job':30} {'old ms':>9} {'new ms':>9} {'ratio':>7}  95 % interval")
    for job in old.jobs:
        if options.only and options.only not in job:
            continue
        for build in (old, new) * 3:
            build.seconds(job)  # warm
        pairs = []
        for pair in range(options.pairs):
            order = (old, new) if pair % 2 == 0 else (new, old)
            times = {build: build.seconds(job) for build in order}
            pairs.append((times[old], times[new]))
        measured = np.array(pairs)
        ratios = measured[:, 1] / measured[:, 0]
        low, high = interval(ratios)
        before, after = np.median(measured, axis=0) * 1e3
        line = f"{job:30} {before:9.3f} {after:9.3f} {np.median(ratios):7.3f}"
        print(f"{line}  {low:.3f} … {high:.3f}", flush=True)


if __name__ == "__main__":
    main()
