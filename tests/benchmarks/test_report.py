"""The harness in ``benchmarks/``, of measurements that are made up."""

import ctypes
import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))  # its modules import each other by name

import options as command_line  # noqa: E402
import report  # noqa: E402
import roofline  # noqa: E402
from harness import Measurement, Roof, Timing  # noqa: E402
from report import figures, merge, plan, results, scaling, targets  # noqa: E402

FACTS = {
    "date": "2026-01-02T03:04:05",
    "processor": "a processor",
    "processors": 2,
    "system": "a system",
    "python": "3",
    "numpy": "2",
    "pyembed": "0",
    "torch": None,
    "busy_processors": 0.1,
    "threads": 2,
    "dtype": "float32",
    "copy_bytes_per_second": 48e9,
    "copy": "non-temporal stores",
    "repeat": 5,
}
HEADLINE = {"dim": 64, "ids": 1 << 18, "table": 4_000_000}


def measured(seconds, labels=(), *, in_cache=False, **more):
    """One case: seconds by contestant, ours first, for 1000 rows of 256 bytes."""
    return Measurement(
        labels={**HEADLINE, "distribution": "uniform", **dict(labels)},
        timings=[
            Timing(name, [0.9 * taken, taken, 1.1 * taken]) for name, taken in seconds.items()
        ],
        rows=1000,
        bytes=512_000,
        rtol=0.0,
        atol=0.0,
        not_compared=[],
        row_bytes=256,
        roof=Roof(48e9, 50e6, in_cache),
        **more,
    )


def made_up():
    """A part for each job, in which every target has a figure."""
    both = [{"distribution": kind} for kind in ("uniform", "zipf")]
    gather = {"pyembed": 1e-5, "np.take": 3e-5, "torch": 1.4e-5}
    step = {
        "pyembed": 1e-3,
        "torch SparseAdam": 13e-3,
        "Keras Adam, tuned": 9e-3,
        "FBGEMM row-wise Adagrad": 1e-3,
    }
    work = ("gather", "scatter_add", "bag", "step")
    grows = [
        measured({"pyembed": seconds}, {"table": rows, "work": name})
        for name in ("gather", "lazy step", "exact step")
        for rows, seconds in ((100_000, 1e-3), (20_000_000, 1.2e-3))
    ]
    found = {
        "gather": [
            measured(gather, {**kind, "table": "memory", "dim": dim})
            for kind in both
            for dim in (64, 256)
        ],
        "lookup": [measured({"pyembed": 1, "F.embedding": 3, "np.take": 3}, at) for at in both],
        "one_id": [measured({"pyembed": 1, "nn.Embedding": 3, "np.take": 1})],
        "scatter_add": [
            measured({"pyembed sorted": 1, "np.add.at": 18, "torch index_add_": 3}, at)
            for at in both
        ],
        "bag": [
            measured(
                {"pyembed": 1, "torch embedding_bag": 1.5, "FBGEMM TBE": 2},
                {**at, "mode": "sum", "bag": 32},
            )
            for at in both
        ],
        "step": [
            measured(times, {**at, "optimizer": name})
            for at in both
            for name, times in (("adam", step), ("adam_keras", {"pyembed": 1, "Keras Adam": 21}))
        ],
        "bag_step": [
            measured({"pyembed": 1, "FBGEMM row-wise Adagrad": 4.5}, {**at, "bag": bag})
            for at in both
            for bag in (1, 32)
        ],
        "tables": [
            measured(
                {"pyembed": 1, "FBGEMM row-wise Adagrad": 3},
                {**at, "dim": 32, "ids": 4096, "table": 100_000, "tables": 20},
            )
            for at in both
        ],
        "torch_step": [
            measured(
                {"a module": 1, "pyembed.torch optimizer": 1.5, "torch SparseAdam": 11},
                {**at, "timed": timed},
            )
            for at in both
            for timed in ("optimizer's step", "all")
        ],
        "exact": [measured({"pyembed exact": 1, "lazy": 0.6, "torch dense Adam": 9})],
        "growth": grows,
        "threads": [
            measured({"2 threads": 1, "1 thread": 1.9}, {**at, "work": name})
            for at in both
            for name in work
        ],
        "keys": [
            measured({"pyembed": 1e-5, "pandas": 2e-4}, {"work": "find", "keys": 20_000_000}),
            *(
                measured(
                    {"pyembed": 1, "pandas": 9, "dict loop": 8}, {**at, "work": "encode", "keys": 9}
                )
                for at in both
            ),
        ],
        "vectors": [
            measured({"pyembed": 1, name: times}, {"file": "txt"})
            for name, times in (("pandas", 3), ("gensim", 30), ("reading the bytes", 0.4))
        ],
        "sentences": [measured({"pyembed": 1, "model2vec": 1.2}, {"texts": 32})],
        "onehot": [measured({"pyembed": 1, "one-hot matrix": 99})],
    }
    axes = {"growth": "table", "threads": "threads"}
    parts = [
        results.Done(job, job, axes.get(job), False, 1.0, report.timed(cases))
        for job, cases in found.items()
    ]
    extra = [{"extra_bytes": {"pyembed": count}, "batch_bytes": 67e6} for count in (82e6, 84e6)]
    memory = report.Report(["rows"], [["1"]], records=extra)
    near = [measured({"pyembed": 1, "gensim": 12}, {"questions": count}) for count in (1, 100)]
    similar = report.timed(near)
    similar = dataclasses.replace(similar, records=[*similar.records, {"recall": 0.95}])
    return [
        *parts,
        results.Done("sharding", "ranks", None, False, 1.0, sharding()),
        results.Done("word2vec", "trained", None, False, 1.0, word2vec()),
        results.Done("memory", "memory", None, False, 1.0, memory),
        results.Done("similar", "similar", None, False, 1.0, similar),
    ]


def word2vec():
    """Trainings by three seeds each; ours of CBOW have one score of two deviations less."""
    records = []
    for model in ("skipgram", "cbow", "n-grams"):
        worse = 0.02 if model == "cbow" else 0.005
        for trainer, speed, less in (
            ("pyembed", 5e6, worse),
            ("pyembed, deterministic", 4e6, 0.5),
            ("gensim", 1e6, 0.0),
            ("fastText", 2e6, 0.3),
        ):
            outcomes = [
                {"speed": speed * factor, "scores": (0.6 + off - less, 0.3 + off, 0.2 + off)}
                for factor, off in ((0.9, -0.01), (1.0, 0.0), (1.1, 0.01))
            ]
            records.append({"model": model, "trainer": trainer, "outcomes": outcomes})
    return report.Report(["model"], [["skipgram"]], records=records)


def sharding():
    """Steps of two ranks, and of more, whose work takes 1 ms and 1 µs an id, and messages 1 ms."""
    sides = {
        "step, Adam": {"ours": 1.4, "one process, 2 threads": 1},
        "a lookup's exchange": {"ours": 2, "memcpy": 1},
        "step, row-wise Adagrad": {"ours": 1, "TorchRec row-wise": 13},
    }
    beside = [measured(seconds, {"work": work}) for work, seconds in sides.items()]
    scaled = []
    for ranks in (1, 2):
        for how, ids in (("strong", 4000), ("weak", 2000 * ranks)):
            seconds = 1e-3 + 1e-6 * ids / ranks + 1e-3 * scaling.MESSAGES * (ranks - 1)
            one = measured({"pyembed": seconds}, {"scaling": how, "ranks": ranks})
            scaled.append(dataclasses.replace(one, rows=ids))
    costs = scaling.Costs.of(scaled, crossing=1e9, message=1e-3, exchange=1.0)
    return report.stacked([report.timed(beside), scaling.report_of(scaled, {1: 0, 2: 0}, costs)])


def test_the_model_of_ranks_is_of_what_was_measured():
    found = sharding()
    (record,) = (one["costs"] for one in found.records if "costs" in one)
    costs = scaling.Costs(**record)
    assert costs.fixed == pytest.approx(1e-3)
    assert costs.an_id == pytest.approx(1e-6)
    assert (costs.row_bytes, costs.latency, costs.bandwidth) == (256, 1e-3, 1e9)
    parts = costs.parts(scaling.Network("fast", 1e-6, 1e10), 1000, 2000)
    assert parts["work"] == pytest.approx(3e-3)
    assert parts["latency"] == pytest.approx(scaling.MESSAGES * 999e-6)
    assert parts["bytes"] == pytest.approx(2000 * 2 * 264 * 0.999 / 1e10)
    told = found.summary[-1]
    assert "bound by latency" in told
    assert "1,000 ranks of one thread, 2,000 ids each" in told


def sweep():
    """A part that is no run of its own: no target is read off it."""
    cases = [
        measured({"pyembed": 9.0 * dim, "np.take": 1.0 * dim}, {"dim": dim}) for dim in (3, 64)
    ]
    return results.Done("gather", "float32", "dim", True, 1.0, report.timed(cases))


def targets_of(text):
    """The lines of the table of targets, as cells."""
    table = text.partition("## Targets")[2].partition("\n## ")[0]
    return [line[2:-2].split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]


def test_every_target_stands_in_the_report(tmp_path):
    pytest.importorskip("matplotlib")
    results.write(tmp_path, FACTS, [*made_up(), sweep()])
    lines = targets_of((tmp_path / "RESULTS.md").read_text())
    assert [line[:2] for line in lines] == [[one.what, one.beside] for one in targets.TARGETS]
    verdicts = [line[-1] for line in lines]
    assert "not measured" not in verdicts
    assert {"not reached", "**reached**", "**stretch reached**"} == set(verdicts)


@pytest.mark.parametrize(
    ("beside", "verdict"),
    [
        ("np.take(out=, mode='clip')", "**stretch reached**"),  # 3 of 2.5
        ("torch.index_select(out=)", "not reached"),  # 1.4 of 1.5
    ],
)
def test_a_verdict(beside, verdict):
    target = next(one for one in targets.TARGETS if one.beside == beside)
    assert results.verdict(target, results.read(target, made_up())) == verdict


def test_what_trainings_come_to():
    (part,) = (part for part in made_up() if part.job == "word2vec")
    for model, times, deviations in (("skipgram", 5, -0.5), ("cbow", 5, -2), ("n-grams", 5, -0.5)):
        assert targets.words_a_second(model, "gensim")(part.report) == {"uniform": times}
        found = targets.quality(model, "gensim")(part.report)
        assert found == {"uniform": pytest.approx(deviations)}
    one_seed = [{**record, "outcomes": record["outcomes"][:1]} for record in part.report.records]
    assert targets.quality("cbow", "gensim")(report.Report([], [], records=one_seed)) == {}
    without = [one for one in part.report.records if one["trainer"] != "gensim"]
    for read in (targets.words_a_second, targets.quality):
        assert read("cbow", "gensim")(report.Report([], [], records=without)) == {}


def test_goals_may_differ_by_distribution_and_have_an_upper_end():
    least = targets.Target("", "", "", dict, {"uniform": 1.5, "zipf": 4})
    assert least.reached({"uniform": 1.5, "zipf": 4}, least.goal)
    assert not least.reached({"uniform": 1.5, "zipf": 3.9}, least.goal)
    assert not least.reached({}, least.goal)
    most = targets.Target("", "", "", dict, 2, at_most=True)
    assert most.reached({"uniform": 2.0}, most.goal)
    assert not most.reached({"uniform": 2.1}, most.goal)


def test_tables_that_were_skipped_are_not_called_flat():
    (growth,) = (part.report for part in made_up() if part.job == "growth")
    flat = targets.flatness("gather")
    assert flat(growth) == {"uniform": pytest.approx(1.2)}
    small = [record for record in growth.records if record["labels"]["table"] < targets.LARGEST]
    assert flat(dataclasses.replace(growth, records=small)) == {}


def test_a_peer_that_is_missing_leaves_a_target_without_a_figure():
    target = next(one for one in targets.TARGETS if one.beside == "Keras Adam")
    without = [
        results.Done("step", "", None, False, 1.0, report.timed([measured({"pyembed": 1})])),
    ]
    assert results.read(target, without) == {}
    assert results.verdict(target, {}) == "not measured"


def test_a_report_is_written_from_what_was_saved(tmp_path):
    pytest.importorskip("matplotlib")
    parts = [*made_up(), sweep()]
    results.save(tmp_path / "times.json", FACTS, parts)
    for name, source in (("now", (FACTS, parts)), ("later", results.load(tmp_path / "times.json"))):
        results.write(tmp_path / name, *source)
    first, second = (sorted(tmp_path.glob(f"{name}/**/*.*")) for name in ("now", "later"))
    assert len(first) == len(second) == 5  # RESULTS.md, figures of three sweeps and of ranks
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    json.loads((tmp_path / "times.json").read_text())


def test_figures_of_earlier_reports_go(tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "old.svg").touch()
    results.write(tmp_path, FACTS, [sweep()])
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["gather-dim.svg"]


def test_jobs_that_are_measured_anew_take_the_place_of_what_stood_there(tmp_path):
    pytest.importorskip("matplotlib")
    results.write(tmp_path, FACTS, [*made_up(), sweep()])
    before = (tmp_path / "RESULTS.md").read_text()
    pictures = {path.name for path in (tmp_path / "figures").iterdir()}
    again = [part for part in made_up() if part.job in ("sharding", "exact")]
    later = {**FACTS, "date": "2031-01-02T03:04"}
    results.write(tmp_path, later, again, ("sharding", "exact"))
    after = (tmp_path / "RESULTS.md").read_text()
    assert {path.name for path in (tmp_path / "figures").iterdir()} == pictures
    old, new = merge.sections(before), merge.sections(after)
    assert old.keys() == new.keys()
    assert {job for job in old if old[job] != new[job]} == {"sharding", "exact"}
    assert all("Measured anew on 2031-01-02" in new[job] for job in ("sharding", "exact"))
    assert before.partition("\n## ")[0].strip() == after.partition("\n## ")[0].strip()

    slower = [dataclasses.replace(part, report=report.timed([])) for part in again]
    results.write(tmp_path, later, slower, ("sharding", "exact"))
    lines = targets_of((tmp_path / "RESULTS.md").read_text())
    for target, line in zip(targets.TARGETS, lines, strict=True):
        assert ("not measured" in line) == (target.job in ("sharding", "exact")), target.name


def test_work_without_bytes_has_no_copy_to_be_drawn_beside_it():
    found = [
        dataclasses.replace(measured({"pyembed": 1}, {"dim": dim}), bytes=count)
        for count in (0, 1 << 20)
        for dim in (16, 64)
    ]
    without, beside = (figures.panels(pair, "dim")[0] for pair in (found[:2], found[2:]))
    assert without.limit is None
    assert beside.limit is not None


def test_notes_are_of_targets_that_exist():
    assert set(merge.sections(results.NOTES.read_text())) <= {one.name for one in targets.TARGETS}


def test_the_note_of_a_missed_target_stands_in_the_report(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    missed = next(one for one in targets.TARGETS if one.beside == "torch.index_select(out=)")
    (tmp_path / "notes.md").write_text(f"# Notes\n\n## {missed.name}\n\nThe reason.\n")
    monkeypatch.setattr(results, "NOTES", tmp_path / "notes.md")
    results.write(tmp_path, FACTS, made_up())
    assert f"- **{missed.name}.** The reason." in (tmp_path / "RESULTS.md").read_text()


def test_a_table_shows_the_share_of_the_memorys_speed_or_that_it_is_in_the_cache():
    in_memory, in_cache = measured({"pyembed": 1e-4}), measured({"pyembed": 1e-4}, in_cache=True)
    shown = report.timed([in_memory, in_cache])
    assert shown.header[-2:] == ["of copy", "of row reads"]
    assert [row[-2:] for row in shown.rows] == [["11%", "20%"], ["in cache", "in cache"]]


def test_the_plan_names_jobs_and_sweeps_sizes_of_theirs():
    assert {part.job for part in plan.PLAN} == set(command_line.JOBS)
    sweeps = [part for part in plan.PLAN if part.sweep]
    assert all(part.axis in ("dim", "ids", "table") for part in sweeps)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--report", "--plot", "somewhere"],
        ["--report", "--smoke"],
        ["--into", "somewhere"],
        ["--from", "no such file"],
    ],
)
def test_a_report_refuses_what_does_not_go_with_it(arguments, capsys):
    with pytest.raises(SystemExit) as left:
        command_line.parse(arguments)
    assert left.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_the_compiled_loops_copy_and_read():
    library, _ = roofline._loops()
    if library is None:
        pytest.skip(roofline.how())
    source = np.random.default_rng(0).integers(0, 255, 1 << 12, dtype=np.uint8)
    memory = np.zeros((1 << 12) + 64, np.uint8)
    start = -memory.ctypes.data % 64
    target = memory[start : start + len(source)]
    address = roofline._address
    for threads in (1, 3):
        target[:] = 0
        assert library.copy_seconds(address(target), address(source), len(source), threads, 2) > 0
        assert np.array_equal(target, source)
    ids = np.random.default_rng(1).integers(0, len(source) // 12, 101)
    everything = np.bitwise_xor.reduce(_words(source.reshape(-1)[: len(source) // 12 * 12], ids))
    seen = ctypes.c_uint64()
    for threads, outer_only in ((1, False), (3, True)):
        arguments = (address(source), 12, address(ids), len(ids), 4, outer_only, threads, 1)
        assert library.read_seconds(*arguments, ctypes.byref(seen)) > 0
        assert seen.value == everything


def _words(table, ids):
    """What a row of 12 bytes amounts to: its first 8 as a number, each other one as another."""
    rows = table.reshape(-1, 12)[ids]
    first = np.ascontiguousarray(rows[:, :8]).view(np.uint64).ravel()
    return np.concatenate([first, rows[:, 8:].ravel().astype(np.uint64)])


def test_without_a_compiler_numpy_copies(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setattr(roofline, "COPY_BYTES", 1 << 12)
    roofline._loops.cache_clear()
    try:
        assert roofline.copy_bandwidth(2) > 0
        assert roofline.random_rows(256, 2) is None
        assert "np.copyto" in roofline.how()
    finally:
        roofline._loops.cache_clear()


def test_a_smoke_run_of_a_job_draws_it(tmp_path):
    pytest.importorskip("matplotlib")
    subprocess.run(
        [
            *(sys.executable, str(BENCHMARKS), "growth", "--smoke"),
            *("--plot", str(tmp_path), "--json", str(tmp_path / "times.json")),
        ],
        check=True,
        capture_output=True,
        cwd=tmp_path,
    )
    assert (tmp_path / "growth-table.svg").stat().st_size > 1000
    _, (part,) = results.load(tmp_path / "times.json")
    assert part.report.measurements[0].ours.name == "pyembed"
