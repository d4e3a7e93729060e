"""The command line, as one checked object. Without NumPy: thread counts are set before it loads."""

from __future__ import annotations

import argparse
import importlib.util
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

# In the order in which they run; each is the module jobs/<name>.py.
JOBS = {
    "gather": "rows of a table by id, into an array that is given",
    "lookup": "rows of a table by id, into a new array",
    "one_id": "a single id, where the cost of a call is all there is",
    "scatter_add": "rows added into a dense table by id, with duplicates",
    "bag": "sums, means and maxima of bags of rows",
    "step": "forward + backward + optimizer step, the whole training step",
    "bag_step": "the same of bags, with row-wise Adagrad",
    "tables": "one step of 20 tables, with row-wise Adagrad",
    "torch_module": "forward + backward in PyTorch, by its modules and by pyembed.torch's",
    "torch_step": "training in PyTorch, with its own imports and with those of pyembed.torch",
    "keras": "steps of Keras's fit, with its own embedding layer and with those of pyembed.keras",
    "exact": "exact Adam: its errors beside dense Adam, and a step beside lazy and dense Adam's",
    "growth": "the time that a touched row takes, as the table grows",
    "threads": "the same work by one thread, and by more",
    "isa": "each kernel with each instruction set",
    "keys": "rows by key: integers found and inserted, and words encoded",
    "vectors": "word vectors read from text, and from word2vec's binary file",
    "similar": "words near to words: one question, a batch of them, and an approximate index",
    "word2vec": "word vectors trained: speed and quality, skip-gram and CBOW, with n-grams or not",
    "sharding": "a table that several ranks share: their steps beside one process's, and scaling",
    "sentences": "texts as vectors: tokenized, looked up, and the means of their tokens",
    "memory": "what a training step needs besides table and optimizer state",
    "onehot": "the one-hot matrix product, for growing tables, until it no longer fits",
}
OPTIMIZERS = ("sgd", "momentum", "adagrad", "rowwise_adagrad", "rmsprop", "adam", "adam_keras")
DISTRIBUTIONS = ("uniform", "zipf", "hot", "words")
USUAL_DISTRIBUTIONS = ("uniform", "zipf")  # words are downloaded, so only on request
DTYPES = ("float32", "float64")
TABLE_SIZES = ("cache", "memory")
DEFAULT_REPEAT, REPORT_REPEAT = 11, 7
HERE = Path(__file__).parent
BLAS_THREADS = ("OPENBLAS_NUM", "MKL_NUM", "OMP_NUM", "VECLIB_MAXIMUM")


@dataclass(frozen=True)
class Options:
    """What to run. A tuple that is None is left to each job."""

    jobs: tuple[str, ...]
    dims: tuple[int, ...] | None
    ids: tuple[int, ...] | None
    rows: tuple[int | str, ...] | None
    distributions: tuple[str, ...] | None
    dtype: str
    threads: int
    repeat: int
    json: Path | None
    smoke: bool
    plot: Path | None
    report: bool
    into: Path
    source: Path | None
    resume: bool
    optimizers: tuple[str, ...]
    keras_python: Path | None
    torchrec_python: Path | None
    torch_huge_pages: bool

    @property
    def only(self) -> tuple[str, ...]:
        """The jobs that were named, if not all are."""
        return self.jobs if len(self.jobs) < len(JOBS) else ()


def parse(argv: Sequence[str] | None = None) -> Options:
    """The options of a command line; leaves with a message and status 2 if it makes no sense."""
    parser = _parser()
    given = parser.parse_args(argv)
    _check(parser, given)
    given.jobs = tuple(name for name in JOBS if name in (given.jobs or JOBS))
    given.repeat = 1 if given.smoke else given.repeat or _repeat(given.report)
    given.report = given.report or given.source is not None
    given.into = given.into or HERE
    return Options(**vars(given))


def _check(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """That files are there, and what goes with a report, and what does not."""
    reports = given.report or given.source is not None
    if given.json is not None and not given.json.parent.is_dir():
        parser.error(f"argument --json: there is no folder {given.json.parent}")
    if given.json is not None and given.json.is_dir():
        parser.error(f"argument --json: {given.json} is a folder")
    for option, path in (
        ("--keras-python", given.keras_python),
        ("--torchrec-python", given.torchrec_python),
        ("--from", given.source),
    ):
        if path is not None and not path.is_file():
            parser.error(f"argument {option}: there is no file {path}")
    if reports and given.plot:
        parser.error("a report has figures of its own: no --plot")
    if given.into is not None and not reports:
        parser.error("argument --into: needs --report or --from")
    if given.resume and not (given.report and given.json):
        parser.error("argument --resume: needs --report and --json")
    if given.smoke and given.report and given.into is None:
        parser.error("argument --smoke: a report of it goes elsewhere, --into DIR")
    if (reports or given.plot) and importlib.util.find_spec("matplotlib") is None:
        parser.error("figures need matplotlib: pip install '.[bench]'")


def _repeat(report: bool) -> int:
    return REPORT_REPEAT if report else DEFAULT_REPEAT


def set_environment(options: Options) -> None:
    """What libraries read once, as they load."""
    for library in BLAS_THREADS:
        os.environ[f"{library}_THREADS"] = str(options.threads)
    os.environ["RAYON_NUM_THREADS"] = str(options.threads)
    # Numba refuses more threads than this.
    os.environ["NUMBA_NUM_THREADS"] = str(max(options.threads, usable_cpus()))
    if options.torch_huge_pages:  # as NumPy and we do, but PyTorch does not by itself
        os.environ["THP_MEM_ALLOC_ENABLE"] = "1"


def usable_cpus() -> int:
    """The processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python benchmarks",
        description="Time pyembed beside its peers, in one process, after checking that all agree.",
        epilog="jobs:\n" + "\n".join(f"  {name:<12} {about}" for name, about in JOBS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("jobs", nargs="*", type=_one_of("job", JOBS), metavar="JOB", help="default: all of them")
    many = _listed(_positive)
    add("--dims", type=many, metavar="D,...", help="row widths, such as 16,64")
    add("--ids", type=many, metavar="N,...", help="ids in one call, such as 256,262144")
    rows = "table rows, such as 4000000; or 'cache' (1 MiB), 'memory' (1 GiB)"
    add("--rows", type=_listed(_table_size), metavar="V,...", help=rows)
    add("--dtype", choices=DTYPES, default="float32", help="of the tables (default: float32)")
    add(
        "--distribution",
        dest="distributions",
        type=_listed(_one_of("distribution", DISTRIBUTIONS)),
        metavar="NAME,...",
        help=f"of the ids: {', '.join(DISTRIBUTIONS)} (default: those that the job has of "
        f"{', '.join(USUAL_DISTRIBUTIONS)})",
    )
    add(
        "--optimizers",
        type=_listed(_one_of("optimizer", OPTIMIZERS)),
        default=OPTIMIZERS,
        metavar="NAME,...",
        help=f"of the job step: {', '.join(OPTIMIZERS)} (default: all)",
    )
    threads = "for every contestant alike (default: the usable processors)"
    add("--threads", type=_positive, default=usable_cpus(), metavar="T", help=threads)
    usual = f"{_repeat(False)}; {_repeat(True)} of a report"
    repeat = f"timed repetitions a contestant (default: {usual})"
    add("--repeat", type=_positive, metavar="R", help=repeat)
    keras = "an interpreter that has keras and tensorflow (default: this one, if it has)"
    add("--keras-python", type=Path, metavar="PATH", help=keras)
    torchrec = "an interpreter that has torchrec (default: this one, if it has)"
    add("--torchrec-python", type=Path, metavar="PATH", help=torchrec)
    pages = "let PyTorch and FBGEMM allocate huge pages (THP_MEM_ALLOC_ENABLE=1)"
    add("--torch-huge-pages", action="store_true", help=pages)
    add("--json", type=Path, metavar="FILE", help="write every single time there too")
    add("--smoke", action="store_true", help="tiny sizes, only to check that all agree")
    add("--plot", type=Path, metavar="DIR", help="draw there what the jobs timed (matplotlib)")
    all_of_it = (
        "run what report/plan.py has of the jobs; write RESULTS.md and its figures, or of "
        "the jobs that are named their sections"
    )
    add("--report", action="store_true", help=all_of_it)
    resume = "keep the parts of a report that the file of --json has already, and run the others"
    add("--resume", action="store_true", help=resume)
    add("--into", type=Path, metavar="DIR", help="where the report goes (default: benchmarks)")
    again = "write the report of what --report --json FILE measured, with the notes of now"
    add("--from", dest="source", type=Path, metavar="FILE", help=again)
    return parser


def _positive(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return value


def _table_size(text: str) -> int | str:
    if text in TABLE_SIZES:
        return text
    try:
        return _positive(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, nor 'cache' or 'memory'") from None


def _one_of(what: str, names: Sequence[str] | dict[str, str]) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(
                f"unknown {what} {text!r} (choose from {', '.join(names)})"
            )
        return text

    return check


def _listed(item: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    def check(text: str) -> tuple[T, ...]:
        return tuple(dict.fromkeys(item(part.strip()) for part in text.split(",")))

    return check
