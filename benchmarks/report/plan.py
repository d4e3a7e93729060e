"""What ``python benchmarks --report`` runs: the jobs as they are, and sweeps along one axis each.

Sized to take about 35 minutes on 2 cores. A sweep times the work of a job at one size of all else;
sweeps of the same job and axis are panels of one figure.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jobs
from options import HERE, OPTIMIZERS, Options
from report import Report, results

DIMS = (1, 3, 16, 64, 100, 256, 1000)
BATCHES = (1, 64, 1 << 12, 1 << 16, 1 << 20)
ONE_HOT = (1_000, 16_000, 256_000, 1_000_000, 4_000_000)
WORDS = {"distributions": ("words",)}
HOT = {"distributions": ("hot",)}
HUGE_PAGES = ("--torch-huge-pages",)
SMOKE = {"dims": (3, 16), "ids": (1, 300), "rows": (97, 970)}


@dataclass(frozen=True)
class Part:
    """One run of a job. ``changes`` are options; ``only`` are labels of the cases that are kept.

    With an ``axis``, it is drawn along that label. ``apart``, it runs in a process of its own with
    these arguments: what a library reads as it loads cannot be changed here.
    """

    job: str
    title: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    axis: str | None = None
    only: Mapping[str, object] = field(default_factory=dict)
    sweep: bool = False  # it stands beside the job's own run
    apart: tuple[str, ...] = ()

    def run(self, given: Options) -> Report:
        if self.apart:
            return self._run_apart(given)
        options = replace(given, **(self._small() if given.smoke else self.changes))
        if not self.only:
            return jobs.run(self.job, options)
        chosen = (table.only(self.only) for table in jobs.tables_of(self.job, options))
        return jobs.timed([table for table in chosen if table.cases], options)

    def _run_apart(self, given: Options) -> Report:
        with tempfile.TemporaryDirectory() as folder:
            found = Path(folder) / "found.json"
            size = ["--smoke"] if given.smoke else ["--repeat", str(given.repeat)]
            common = ["--threads", str(given.threads), "--json", str(found), *size]
            command = [sys.executable, str(HERE), self.job, *common, *self.apart]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            _, (part,) = results.load(found)
        return part.report

    def _small(self) -> dict[str, Any]:
        """For a smoke run: two values along the axis, one of each other size."""
        swept = {"dim": "dims", "table": "rows"}.get(self.axis or "", self.axis)
        return {
            name: value if name not in SMOKE else SMOKE[name][: 2 if name == swept else 1]
            for name, value in self.changes.items()
        }


def _sweeps(job: str, only: Mapping[str, object] | None = None, **changes: Any) -> list[Part]:
    """A job along both axes; row widths in both dtypes, on uniform ids."""
    tables = {"dims": (64,), "ids": (1 << 14,), "rows": (1 << 18,), **changes}
    uniform = {"distributions": ("uniform",)}
    swept = [
        ("dim", dtype, {**tables, **uniform, "dims": DIMS, "dtype": dtype})
        for dtype in ("float32", "float64")
    ]
    return [
        Part(job, title, changes, axis, only or {}, sweep=True)
        for axis, title, changes in (*swept, ("ids", "batches", {**tables, "ids": BATCHES}))
    ]


PLAN = (
    Part("gather", "every cell"),
    *_sweeps("gather"),
    Part("lookup", "into a fresh array"),
    Part("lookup", "the words of English", WORDS),
    Part("lookup", "PyTorch on huge pages", apart=HUGE_PAGES),
    Part("one_id", "one id"),
    Part("scatter_add", "262,144 rows"),
    Part("scatter_add", "one id in half of the batch", HOT),
    *_sweeps("scatter_add"),
    Part("bag", "every mode"),
    *_sweeps("bag", {"mode": "sum", "bag": 32}),
    Part("step", "Adam", {"optimizers": ("adam", "adam_keras")}),
    Part(
        "step",
        "the other optimizers, on a smaller table",
        {
            "optimizers": tuple(name for name in OPTIMIZERS if not name.startswith("adam")),
            "rows": (1_000_000,),
        },
    ),
    Part(
        "step",
        "Adam, PyTorch and FBGEMM on huge pages",
        apart=("--optimizers", "adam", *HUGE_PAGES),
    ),
    Part("step", "Adam, one id in half of the batch", {**HOT, "optimizers": ("adam",)}),
    Part("step", "Adam, the words of English", {**WORDS, "optimizers": ("adam",)}),
    *_sweeps("step", {"optimizer": "adam"}, optimizers=("adam",), rows=(1 << 16,)),
    Part("bag_step", "bags of 1 and of 32"),
    Part("bag_step", "FBGEMM on huge pages", apart=HUGE_PAGES),
    Part("tables", "20 tables in one step"),
    Part("torch_module", "a few ids and many"),
    Part("torch_step", "one import changed, or two"),
    Part("keras"),
    Part("exact", "exact Adam"),
    Part("growth", "growing tables", axis="table"),
    Part("threads", "1 thread and more", axis="threads"),
    Part("isa", "every kernel"),
    Part("keys", "rows by key"),
    Part("vectors", "files of word vectors"),
    Part("similar", "words near to words"),
    Part("sharding", "ranks on this machine, and a model of more"),
    Part("sentences", "texts as vectors"),
    Part("word2vec", "speed and quality"),
    *(
        Part("word2vec", f"by {axis}", axis=axis, only={"swept": axis})
        for axis in ("dim", "table", "window", "threads")
    ),
    Part("memory", "memory"),
    Part("onehot", "growing tables", {"rows": ONE_HOT}, axis="table"),
)
