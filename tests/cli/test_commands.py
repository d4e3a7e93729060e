"""What each command prints and writes."""

import importlib.util
import json

import numpy as np
import pytest

from pyembed import vectors

needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="no matplotlib"
)
needs_sklearn = pytest.mark.skipif(
    importlib.util.find_spec("sklearn") is None, reason="no scikit-learn"
)
WRITTEN = {
    "glove": "a.txt",
    "word2vec": "a.vec",
    "word2vec-binary": "a.bin",
    "npy": "a.npy",
    "safetensors": "a.safetensors",
    "packed": "b.txt.gz",
}


def cells(out):
    return [line.split("\t") for line in out.splitlines()]


def objects(out):
    return [json.loads(line) for line in out.splitlines()]


class TestSimilar:
    def test_words(self, pyembed, file, wv):
        status, out, err = pyembed("similar", file, "king", "banana", "--top", "2")
        assert (status, err) == (0, "")
        right = [
            [word, other, f"{cosine:.4f}"]
            for word in ("king", "banana")
            for other, cosine in wv.most_similar(word, topn=2)
        ]
        assert cells(out) == right

    def test_options_may_stand_between_words(self, pyembed, file):
        usual = pyembed("similar", file, "king", "queen", "--top", "1")
        assert pyembed("similar", "--top", "1", file, "king", "queen") == usual
        assert pyembed("similar", file, "--top", "1", "king", "queen") == usual
        assert pyembed("similar", file, "king", "--top", "1", "--", "queen") == usual

    def test_json(self, pyembed, file, wv):
        found = objects(pyembed("similar", file, "東京", "king", "--json")[1])
        assert [one["asked"] for one in found] == ["東京", "king"]
        pairs = [(one["word"], one["cosine"]) for one in found[1]["nearest"]]
        assert pairs == wv.most_similar("king")

    def test_unknown_words_are_told_and_others_answered(self, pyembed, file):
        status, out, err = pyembed("similar", file, "Kingg", "queen", "zzzz", "--top", "1")
        assert status == 1
        assert [line[0] for line in cells(out)] == ["queen"]
        first, second = err.splitlines()
        assert first == (
            "pyembed similar: 'Kingg' is none of the 6 words; the nearest spelling is 'king'"
        )
        assert second == "pyembed similar: 'zzzz' is none of the 6 words"

    def test_a_vector_of_zeros_stops_no_other(self, pyembed, tmp_path):
        (tmp_path / "a.txt").write_text("nothing 0 0\nking 1 2\nqueen 1 1\n")
        status, out, err = pyembed("similar", tmp_path / "a.txt", "king", "nothing", "queen")
        assert status == 1
        assert [line[0] for line in cells(out)] == ["king", "queen"]
        assert "'nothing'] has no direction" in err

    def test_many_lines(self, pyembed, file):
        lines = "".join(f"{word}\n" for word in ["king", "nobody", "queen"] * 400)
        status, out, err = pyembed("similar", file, "--top", "1", stdin=lines.encode())
        assert status == 1
        assert sorted(line[0] for line in cells(out)) == ["king"] * 400 + ["queen"] * 400
        assert len(err.splitlines()) == 400

    def test_bytes_that_are_no_text(self, pyembed, file):
        found = pyembed("similar", file, stdin=b"king\n\xff\xfe\n")
        assert found[0] == 1
        assert found[2] == "pyembed similar: standard input: line 2 is no valid UTF-8\n"

    def test_some_words_alone(self, pyembed, file):
        found = cells(pyembed("similar", file, "banana", "--among", "2")[1])
        assert {line[1] for line in found} == {"king", "queen"}
        assert pyembed("similar", file, "banana", "--limit", "3")[0] == 1


class TestAnalogy:
    def test_words(self, pyembed, file, wv):
        status, out, err = pyembed("analogy", file, "man", "king", "woman", "--top", "1")
        assert (status, err) == (0, "")
        (word, cosine), *_ = wv.analogy("man", "king", "woman")
        assert word == "queen"
        assert cells(out) == [["man", "king", "woman", "queen", f"{cosine:.4f}"]]

    def test_lines(self, pyembed, file):
        asked = b"man king woman\nwoman queen man\nman nobody woman\n"
        status, out, err = pyembed("analogy", file, "--top", "1", "--json", stdin=asked)
        assert status == 1
        assert [one["nearest"][0]["word"] for one in objects(out)] == ["queen", "king"]
        assert objects(out)[0]["asked"] == ["man", "king", "woman"]
        assert "'nobody' is none of the 6 words" in err

    def test_not_three(self, pyembed, file):
        assert pyembed("analogy", file, "a", "b")[2] == (
            "pyembed analogy: give three words, or none: there are 2\n"
        )
        found = pyembed("analogy", file, stdin=b"man king\n")
        assert found[0] == 1
        assert "must have three words: 'man king'" in found[2]


class TestEval:
    @pytest.fixture
    def tests(self, tmp_path):
        pairs, analogies = tmp_path / "pairs.tsv", tmp_path / "analogies.txt"
        pairs.write_text("# judged\nking\tman\t8\nqueen\twoman\t8.5\nking\tbanana\t1\nx\tking\t1\n")
        analogies.write_text(
            ": crowns\nman king woman queen\nwoman queen man king\n: none\nking man queen banana\n"
        )
        return pairs, analogies

    def test_both_kinds(self, pyembed, file, wv, tests):
        status, out, err = pyembed("eval", file, *tests)
        assert (status, err) == (0, "")
        pairs, analogies = wv.evaluate_word_pairs(tests[0]), wv.evaluate_analogies(tests[1])
        assert cells(out) == [
            ["pairs.tsv", "spearman", f"{pairs.spearman:.4f}", "3 pairs"],
            ["pairs.tsv", "pearson", f"{pairs.pearson:.4f}", "3 pairs"],
            ["pairs.tsv", "unknown words", "25.0%", ""],
            ["analogies.txt", "crowns", "100.0%", "2 of 2"],
            ["analogies.txt", "none", "0.0%", "0 of 1"],
            ["analogies.txt", "all of them", f"{analogies.score:.1%}", "2 of 3"],
            ["analogies.txt", "unknown words", "0.0%", ""],
        ]

    def test_json(self, pyembed, file, tests):
        pairs, analogies = objects(pyembed("eval", file, *tests, "--json")[1])
        assert pairs["test"] == str(tests[0])
        assert pairs["pairs"] == 3
        assert analogies["sections"][0] == {"section": "crowns", "right": 2, "asked": 2}

    def test_options(self, pyembed, file, tests):
        (found,) = objects(pyembed("eval", file, tests[0], "--unknown-wrong", "--json")[1])
        assert found["pairs"] == 4
        tests[1].write_text(": crowns\nMan King Woman Queen\n")
        status, _, _ = pyembed("eval", file, tests[1], "--case-sensitive", "--json")
        assert status == 0
        assert pyembed("eval", file, tests[0], "--among", "1")[0] == 1

    def test_files_that_are_none(self, pyembed, file, tmp_path):
        (tmp_path / "t").write_bytes(b"\n")
        assert pyembed("eval", file, tmp_path / "t")[2].endswith("t: it is empty\n")
        (tmp_path / "t").write_bytes(b"some words that are no test\n")
        assert "no pair of known words" in pyembed("eval", file, tmp_path / "t")[2]


class TestConvert:
    @pytest.mark.parametrize("source", WRITTEN)
    @pytest.mark.parametrize("target", WRITTEN)
    def test_from_each_format_to_each(self, source, target, pyembed, wv, tmp_path):
        first, second = tmp_path / WRITTEN[source], tmp_path / "out" / WRITTEN[target]
        second.parent.mkdir()
        vectors.save(wv, first)
        status, out, err = pyembed("convert", first, second)
        assert (status, out, err) == (0, f"{second}: words 6, dim 3\n", "")
        again = vectors.load(second)
        assert list(again.words) == list(wv.words)
        assert again.matrix.tobytes() == wv.matrix.tobytes()

    def test_some_words_in_another_dtype(self, pyembed, file, tmp_path):
        keep, out = tmp_path / "keep.txt", tmp_path / "out.safetensors"
        keep.write_text("queen\nbanana\nnobody\n")
        status, said, _ = pyembed(
            *("convert", file, out, "--keep", keep, "--dtype", "float64", "--quiet")
        )
        assert (status, said) == (0, "")
        wv = vectors.load(out, dtype="float64", mmap=True)
        assert list(wv.words) == ["queen", "banana"]
        assert wv["queen"].tolist() == [1, -1, 0]

    def test_a_format_that_is_named(self, pyembed, file, tmp_path):
        found = pyembed("convert", file, tmp_path / "a.dat", "--to", "word2vec-binary", "--json")
        assert objects(found[1]) == [{"written": str(tmp_path / "a.dat"), "words": 6, "dim": 3}]
        assert pyembed("info", tmp_path / "a.dat")[1].count("word2vec-binary") == 1

    def test_models_of_fasttext(self, pyembed, wv, tmp_path):
        source, out = tmp_path / "a.safetensors", tmp_path / "a.bin"
        vectors.save(vectors.WordVectors(wv.words, wv.matrix, counts=range(9, 3, -1)), source)
        assert pyembed("convert", source, out, "--to", "fasttext")[0] == 0
        assert dict(cells(pyembed("info", out)[1]))["format"] == "fasttext"
        assert vectors.load(out).matrix.tolist() == wv.matrix.tolist()

    def test_what_cannot_be_written_leaves_the_old_file(self, pyembed, file, tmp_path):
        (tmp_path / "in.vec").write_text("1 2\nNew York 1 2\n")
        (tmp_path / "out.txt").write_text("old")
        status, _, err = pyembed("convert", tmp_path / "in.vec", tmp_path / "out.txt")
        assert status == 1
        assert "'New York', cannot stand in the format 'glove'" in err
        assert (tmp_path / "out.txt").read_text() == "old"


class TestInfo:
    def test_a_text(self, pyembed, file):
        told = dict(cells(pyembed("info", file)[1]))
        assert (told["format"], told["words"], told["numbers a word"]) == ("glove", "6", "3")
        assert told["first words"] == "king queen man woman banana 東京"

    def test_json(self, pyembed, wv, tmp_path):
        made = vectors.WordVectors(wv.words, wv.matrix, counts=range(6))
        vectors.save(made, tmp_path / "a.safetensors")
        (told,) = objects(pyembed("info", tmp_path / "a.safetensors", "--json")[1])
        assert told["tokens counted"] == 15
        assert told["bytes"] == (tmp_path / "a.safetensors").stat().st_size
        assert told["longest vector"] == pytest.approx(2**0.5)

    def test_no_words(self, pyembed, tmp_path):
        (tmp_path / "a.vec").write_text("0 3\n")
        told = dict(cells(pyembed("info", tmp_path / "a.vec")[1]))
        assert told["words"] == "0"
        assert "shortest vector" not in told

    def test_a_folder_of_model2vec(self, pyembed, rng, tmp_path):
        pytest.importorskip("tokenizers")
        from sentence_models import parts

        tokenizer, matrix, weights = parts("WordLevel", rng)
        vectors.SentenceVectors(matrix, tokenizer, weights=weights).save(tmp_path)
        told = dict(cells(pyembed("info", tmp_path)[1]))
        assert (told["format"], told["words"], told["tokens of a text"]) == (
            "model2vec",
            "15",
            "512",
        )


class TestMap:
    @needs_matplotlib
    @pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
    def test_pictures(self, ending, pyembed, file, tmp_path):
        path = tmp_path / f"a.{ending}"
        status, out, err = pyembed("map", file, path, "--method", "pca")
        assert status == 0
        assert out == f"{path}: words 6, named 6, method PCA\n"
        assert err in ("", "pyembed map: warning: no font that is installed has 2 signs: 東京\n")
        data = path.read_bytes()
        assert data.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending])
        if ending == "svg":
            assert all(f">{word}<" in data.decode() for word in ("king", "banana"))
        pyembed("map", file, path, "--method", "pca")
        assert path.read_bytes() == data

    @needs_matplotlib
    def test_chosen_words(self, pyembed, file, tmp_path):
        status, out, err = pyembed("map", file, tmp_path / "a.svg", "king", "quean", "man")
        assert status == 1
        assert "words 2," in out
        assert "the nearest spelling is 'queen'" in err
        data = (tmp_path / "a.svg").read_text(encoding="utf-8")
        assert ">king<" in data
        assert ">queen<" not in data
        found = pyembed("map", file, tmp_path / "b.svg", "-", "--json", stdin=b"king\nking\nman\n")
        assert objects(found[1])[0]["words"] == 2
        found = pyembed("map", file, tmp_path / "c.svg", "nobody")
        assert found[0] == 1
        assert found[2].splitlines()[-1] == "pyembed map: none of the words is there"

    @needs_matplotlib
    def test_words_that_are_no_formulas(self, pyembed, tmp_path):
        (tmp_path / "a.txt").write_text("$ 1 2\n$x_$ 2 1\n\\alpha 1 1\n")
        assert pyembed("map", tmp_path / "a.txt", tmp_path / "a.svg")[0] == 0
        assert ">$x_$<" in (tmp_path / "a.svg").read_text(encoding="utf-8")

    @needs_matplotlib
    def test_one_word(self, pyembed, file, tmp_path):
        assert pyembed("map", file, tmp_path / "a.png", "king")[0] == 0

    @needs_matplotlib
    @needs_sklearn
    def test_neighbours_stay_neighbours(self, pyembed, rng, tmp_path):
        """Two groups of words far apart are far apart on the plane as well."""
        from pyembed.cli import _plane

        middles = np.repeat(np.eye(2, 20) * 10, 15, axis=0)
        matrix = (middles + rng.standard_normal((30, 20))).astype(np.float32)
        for method in ("pca", "tsne"):
            places, _ = _plane.on_plane(matrix, method, 0)
            near = np.linalg.norm(places[:, None] - places, axis=2)
            assert near[:15, :15].mean() < near[:15, 15:].mean()

    def test_without_the_libraries(self, pyembed, file, tmp_path, monkeypatch):
        import sys

        monkeypatch.setitem(sys.modules, "matplotlib", None)
        found = pyembed("map", file, tmp_path / "a.png", "--method", "pca")
        assert found == (1, "", "pyembed map: a picture needs matplotlib: pip install matplotlib\n")

    @needs_sklearn
    def test_too_few_words(self, pyembed, file, tmp_path):
        found = pyembed("map", file, tmp_path / "a.png", "--method", "tsne")
        assert found[2] == "pyembed map: t-SNE needs 10 words at least: there are 6\n"


class TestProject:
    def test_files(self, pyembed, file, wv, tmp_path):
        status, _, err = pyembed("project", file, tmp_path / "out", "--first", "4")
        assert (status, err) == (0, "")
        rows = np.loadtxt(tmp_path / "out/tensors.tsv", np.float32, delimiter="\t")
        assert rows.tolist() == wv.matrix[:4].tolist()
        words = (tmp_path / "out/metadata.tsv").read_text(encoding="utf-8").splitlines()
        assert words == list(wv.words[:4])
        assert "tensors.tsv" in (tmp_path / "out/projector_config.pbtxt").read_text()

    def test_words_of_standard_input(self, pyembed, file, tmp_path):
        status, _, err = pyembed("project", file, tmp_path / "out", "-", stdin=b"man\nquee\n")
        assert status == 1
        assert "the nearest spelling is 'queen'" in err
        assert (tmp_path / "out/metadata.tsv").read_text() == "man\n"

    def test_words_with_tabs(self, pyembed, tmp_path):
        words = ["a\tb", "", "c\nd"]
        made = vectors.WordVectors(words, np.eye(3, dtype=np.float32))
        vectors.save(made, tmp_path / "a.safetensors")
        pyembed("project", tmp_path / "a.safetensors", tmp_path / "out")
        assert (tmp_path / "out/metadata.tsv").read_text() == "a b\n''\nc d\n"
        assert (tmp_path / "out/tensors.tsv").read_text() == (
            "1.0\t0.0\t0.0\n0.0\t1.0\t0.0\n0.0\t0.0\t1.0\n"
        )


class TestTrain:
    def test_a_text(self, pyembed, tmp_path):
        text, out = tmp_path / "text.txt", tmp_path / "a.safetensors"
        text.write_text("to be or not to be\n" * 200)
        options = ["--dim", "8", "--seed", "3", "--min-count", "201", "--model", "cbow"]
        status, said, err = pyembed("train", text, text, out, *options)
        assert (status, said, err) == (0, f"{out}: words 4, dim 8\n", "")
        wv = vectors.load(out)
        assert sorted(zip(wv.words, wv.counts.tolist(), strict=True)) == [
            *(("be", 800), ("not", 400), ("or", 400), ("to", 800))
        ]
        data = out.read_bytes()
        pyembed("train", text, text, out, *options)
        assert out.read_bytes() == data

    def test_too_little(self, pyembed, tmp_path):
        (tmp_path / "text.txt").write_text("to be\n")
        found = pyembed("train", tmp_path / "text.txt", tmp_path / "a.vec")
        assert found[0] == 1
        assert found[2].count("\n") == 1
        assert not (tmp_path / "a.vec").exists()
