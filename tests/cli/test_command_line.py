"""The command as a new user tries it: help, mistakes, pipes and Ctrl-C."""

import inspect
import os
import re
import shlex
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import pyembed as pe
from pyembed import word2vec
from pyembed.cli import _main
from pyembed.cli._main import COMMANDS
from pyembed.cli._parser import Parser

ROOT = Path(__file__).parents[2]
posix = pytest.mark.skipif(os.name != "posix", reason="needs signals and pipes of POSIX")


def module_of(name):
    return import_module(f"pyembed.cli.{_main._MODULES.get(name, name)}")


def started(*arguments, folder, **pipes):
    """A process of its own, away from the checkout's folder."""
    command = [sys.executable, "-m", "pyembed", *arguments]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, **pipes}
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, **pipes)


def test_help_names_every_command(pyembed):
    for arguments in (["--help"], []):
        status, out, err = pyembed(*arguments)
        assert (status, err) == (0, "")
        for name, about in COMMANDS.items():
            assert re.search(rf"^  {name} +{about}$", out, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_has_an_example_that_parses(name, pyembed):
    status, out, err = pyembed(name, "--help")
    assert (status, err) == (0, "")
    assert "usage: pyembed" in out
    example = re.search(rf"^example:\n  pyembed {name} (.*)$", out, re.MULTILINE)
    parser = Parser(prog="", about="")
    module_of(name).add_arguments(parser)
    parser.parse_intermixed_args(shlex.split(example[1]))


@pytest.mark.skipif(not (ROOT / "docs").exists(), reason="no checkout")
def test_command_lines_of_the_page_parse():
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\$ (?:.*\| )?pyembed (.*)$", page, re.MULTILINE)
    for line in lines:
        name, *arguments = shlex.split(line)
        parser = Parser(prog="", about="")
        module_of(name).add_arguments(parser)
        parser.parse_intermixed_args(arguments)
    assert {line.split()[0] for line in lines} == set(COMMANDS)


def test_defaults_of_training_are_told_as_they_are(pyembed):
    _, out, _ = pyembed("train", "--help")
    defaults = inspect.signature(word2vec.train).parameters
    told = dict(re.findall(r"--([a-z-]+) [^-]*?\(default:\s+([\w.]+)\)", out))
    assert len(told) == 8
    for name, value in told.items():
        assert str(defaults[name.replace("-", "_")].default) == value


def test_version(pyembed):
    assert pyembed("--version") == (0, f"pyembed {pe.__version__}\n", "")


@pytest.mark.skipif(not (ROOT / "pyproject.toml").exists(), reason="no checkout")
def test_the_console_script_is_the_module():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (where, name), *others = re.findall(r'^pyembed = "(.*):(.*)"$', project, re.MULTILINE)
    assert others == []
    assert getattr(import_module(where), name) is _main.main


def test_nothing_heavy_is_imported_for_help(tmp_path):
    code = (
        "import sys, pyembed.cli\n"
        "try: pyembed.cli.main(['similar', '--help'])\n"
        "except SystemExit: pass\n"
        "print(*sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    loaded = set(run.stdout.splitlines()[-1].split())
    assert "pyembed.cli.similar" in loaded
    assert loaded & {"matplotlib", "sklearn", "scipy", "tokenizers", "pyembed.cli.train"} == set()


class TestMistakes:
    """One line on standard error, and nothing else."""

    def check(self, found, status, message):
        assert found[:2] == (status, "")
        assert found[2].count("\n") == 1
        assert re.search(message, found[2]), found[2]

    def test_in_the_name_of_a_command(self, pyembed, file):
        found = pyembed("simlar", file)
        self.check(found, 2, "^pyembed: .*no command 'simlar': did you mean 'similar'[?] ")
        self.check(pyembed("xyz", file), 2, r"no command 'xyz' \(see pyembed --help\)$")

    def test_in_arguments(self, pyembed, file):
        self.check(pyembed("similar"), 2, "^pyembed similar: .* required: FILE")
        self.check(pyembed("similar", file, "a", "--top", "0"), 2, "'0' is no whole number from 1")
        self.check(pyembed("similar", file, "a", "--tpo", "3"), 2, "unrecognized arguments: --tpo")
        self.check(pyembed("convert", file, "b", "--to", "xls"), 2, "invalid choice: 'xls'")

    @pytest.mark.parametrize("name", ["info", "similar", "eval", "convert", "map", "project"])
    def test_a_file_that_is_not_there(self, name, pyembed, file, tmp_path):
        out = {"convert": ["out.txt"], "map": ["out.png"], "project": ["out"], "eval": [file]}
        end = [str(tmp_path / one) for one in out.get(name, [])]
        found = pyembed(name, tmp_path / "none.txt", *end)
        if name == "eval":
            return self.check(found, 1, "none.txt: No such file or directory")
        self.check(found, 1, rf"^pyembed {name}: .*none\.txt: No such file or directory$")
        return None

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"", "it is empty"),
            (bytes(range(256)) * 40, r"bad\.txt: "),
            (b"\x80\x04\x95pickled", "it is a pickle"),
            (b"king 1 2\nqueen 1 x\n", "line 2, column 9: 'x' is no number"),
        ],
    )
    def test_a_file_that_is_none(self, data, message, pyembed, tmp_path):
        (tmp_path / "bad.txt").write_bytes(data)
        self.check(pyembed("info", tmp_path / "bad.txt"), 1, message)

    def test_a_folder(self, pyembed, tmp_path):
        self.check(pyembed("info", tmp_path), 1, "Is a directory|Permission denied")

    @pytest.mark.parametrize("name", ["convert", "map", "project", "train"])
    def test_a_folder_that_is_not_there(self, name, pyembed, file, tmp_path):
        out = tmp_path / "no" / {"map": "a.png"}.get(name, "a.txt")
        found = pyembed(name, file, out)
        self.check(found, 1, rf"^pyembed {name}: .*: there is no folder '.*no'$")
        assert not (tmp_path / "no").exists()

    def test_an_ending_that_is_none(self, pyembed, file, tmp_path):
        self.check(pyembed("convert", file, tmp_path / "a.xls"), 1, "ends with none of .txt")
        self.check(pyembed("train", file, tmp_path / "a.xls"), 1, "ends with none of .txt")
        self.check(pyembed("map", file, tmp_path / "a.xls"), 1, "ends with none of .png, .svg")

    def test_faulty_lines_are_one_line_too(self, pyembed, tmp_path):
        path = tmp_path / "faulty.txt"
        path.write_text("king 1 2\nqueen 1 x\nman 0 1\n")
        status, out, err = pyembed("info", path, "--errors", "skip")
        assert status == 0
        assert "words\t2\n" in out
        assert re.fullmatch(r"pyembed info: warning: .*a fault was mended or left out.*\n", err)
        assert pyembed("info", path, "--errors", "skip", "--quiet")[2] == ""


@posix
class TestPipesAndSignals:
    def test_a_reader_that_leaves(self, file, tmp_path):
        (tmp_path / "words").write_bytes(b"king\n" * 20_000)
        with open(tmp_path / "words", "rb") as words:
            process = started("similar", file, folder=tmp_path, stdin=words)
        assert process.stdout.readline().startswith(b"king\tman\t")
        process.stdout.close()
        assert process.wait(30) == _main.PIPE_CLOSED
        assert process.stderr.read() == b""
        process.stderr.close()

    def test_nobody_reads_at_all(self, file, tmp_path):
        reading, writing = os.pipe()
        os.close(reading)
        process = started("info", file, folder=tmp_path, stdout=writing)
        os.close(writing)
        assert process.wait(30) == _main.PIPE_CLOSED
        assert process.stderr.read() == b""
        process.stderr.close()

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
    def test_a_full_device(self, file, tmp_path):
        with open("/dev/full", "wb") as full:
            process = started("info", file, folder=tmp_path, stdout=full)
        assert process.wait(30) == _main.USED_WRONGLY
        assert process.stderr.read() == b"pyembed info: [Errno 28] No space left on device\n"
        process.stderr.close()

    def test_nobody_reads_help(self, tmp_path):
        reading, writing = os.pipe()
        os.close(reading)
        process = started("similar", "--help", folder=tmp_path, stdout=writing)
        os.close(writing)
        assert process.wait(30) in (0, _main.PIPE_CLOSED)  # argparse may take no notice
        assert process.stderr.read() == b""
        process.stderr.close()

    @pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
    def test_what_is_closed(self, closed, file, tmp_path):
        line = f"{sys.executable} -m pyembed similar {shlex.quote(file)} nobody - {closed}"
        run = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, check=False)
        assert run.returncode == _main.USED_WRONGLY
        told = b"" if closed == "2>&-" else b"pyembed similar: 'nobody' is none of the 6 words\n"
        assert (run.stdout, run.stderr) == (b"", told)

    def test_ctrl_c(self, file, tmp_path):
        """While it waits for more words, with some answered."""
        process = started("similar", file, folder=tmp_path, stdin=subprocess.PIPE)
        process.stdin.write(b"king\n" * 600)
        process.stdin.flush()
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(30) == _main.INTERRUPTED
        assert process.stderr.read() == b""
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()

    def test_words_of_a_pipe(self, file, tmp_path):
        process = started("similar", file, "--top", "1", folder=tmp_path, stdin=subprocess.PIPE)
        out, err = process.communicate("  king\n\n東京\n".encode())
        assert process.returncode == 0
        assert [line.split("\t")[0] for line in out.decode().splitlines()] == ["king", "東京"]
        assert err == b""


def test_ctrl_c_while_training_keeps_what_is_learned(pyembed, tmp_path, monkeypatch):
    text = tmp_path / "text.txt"
    text.write_text("to be or not to be\n" * 500)
    train = word2vec.train

    def interrupted(*arguments, **others):
        def stop(progress):
            raise KeyboardInterrupt

        return train(*arguments, **others, callback=stop)

    monkeypatch.setattr(word2vec, "train", interrupted)
    status, out, err = pyembed("train", text, tmp_path / "a.vec", "--dim", "4")
    assert status == _main.INTERRUPTED
    assert out.endswith("a.vec: words 4, dim 4\n")
    assert re.fullmatch("pyembed train: warning: training was interrupted at .*\n", err)
    assert sorted(pe.vectors.load(tmp_path / "a.vec").words) == ["be", "not", "or", "to"]
