"""Files of word vectors: what is read, what is refused, and how that is told."""

import gzip
import itertools
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fasttext_files import model, vector_of
from pyembed import _core, vectors
from pyembed.vectors import Vocabulary, WordVectors

TEXT = b"the 0.5 -1 2e3\nof 1 2 3\n"
WORDS, ROWS = ["the", "of"], [[0.5, -1, 2000], [1, 2, 3]]
FEW = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


@pytest.fixture
def load(tmp_path):
    """Load bytes as a file."""

    def load_bytes(data, name="vectors.txt", **arguments):
        path = tmp_path / name
        path.write_bytes(data)
        return vectors.load(path, **arguments)

    return load_bytes


def packed(data):
    """The same bytes each time."""
    return gzip.compress(data, mtime=0)


def check(wv, words=WORDS, rows=ROWS):
    assert list(wv.words) == words
    assert wv.matrix.tolist() == rows


def word2vec_binary(words, matrix, end=b"", claimed=None):
    rows = (
        word.encode() + b" " + row.tobytes() + end
        for word, row in zip(words, np.asarray(matrix, "<f4"), strict=True)
    )
    header = b"%d %d\n" % (len(words) if claimed is None else claimed, np.shape(matrix)[1])
    return header + b"".join(rows)


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.rstrip(b"\n"),
        TEXT.replace(b"\n", b"\r\n"),
        TEXT.replace(b"\n", b" \n"),
        TEXT.replace(b" ", b"\t"),
        TEXT.replace(b" ", b"  "),
        TEXT + b"\n \n\n",
        b"\xef\xbb\xbf" + TEXT,
        b"2 3\n" + TEXT,
        b"2 3 \r\n" + TEXT,
        b"\xef\xbb\xbf2\t3\n" + TEXT,
        b"the .5 -1. +2000.0\nof 1e0 20E-1 0.03e+2",
    ],
)
def test_texts_that_say_the_same(text, load):
    check(load(text))


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_binary_rows(end, load):
    data = word2vec_binary(WORDS, ROWS, end)
    check(load(data))
    check(load(data, format="word2vec-binary"))
    check(load(data, dtype="float64"))


@pytest.mark.parametrize(
    "bytes_of_floats", [b"\n\x1c\x0f[", b"abcdefgh", b"\n 1 2 3\n", b"  1.5 2 "]
)
def test_binary_rows_that_look_like_text(bytes_of_floats, load):
    floats = np.frombuffer(bytes_of_floats, "<f4")
    data = word2vec_binary(["a", "b"], np.stack([floats, floats]))
    check(load(data), ["a", "b"], [floats.tolist()] * 2)


def test_what_zip_and_gzip_hold(tmp_path, load):
    check(load(packed(TEXT)))
    check(load(packed(TEXT[:20]) + packed(TEXT[20:])))
    path = tmp_path / "two.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/50d.txt", TEXT)
    check(vectors.load(path))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("100d.txt", b"a 1\n")
    with pytest.raises(ValueError, match=r"two\.zip: the zip file has 2 members, 'a/50d\.txt', "):
        vectors.load(path)
    check(vectors.load(path / "a/50d.txt"))
    check(vectors.load(path / "100d.txt"), ["a"], [[1.0]])
    with pytest.raises(ValueError, match=r"no member '50d\.txt', but 'a/50d\.txt', '100d\.txt'"):
        vectors.load(path / "50d.txt")
    with pytest.raises(FileNotFoundError):
        vectors.load(tmp_path / "none.zip" / "50d.txt")
    plain = tmp_path / "plain.txt"
    plain.write_bytes(TEXT)
    with pytest.raises(ValueError, match="its folder is no folder and no zip file"):
        vectors.load(plain / "50d.txt")


def test_words_with_blanks_and_of_digits(load):
    text = "New York 1 2\n. . . 3 4\n7 5 6\n8 9 10 11\nx\u00a0y 1 1\n\u0085 2 2\n".encode()
    words = ["New York", ". . .", "7", "8 9", "x\u00a0y", "\u0085"]
    rows = [[1, 2], [3, 4], [5, 6], [10, 11], [1, 1], [2, 2]]
    check(load(b"6 2\n" + text), words, rows)
    check(load(text), words, rows)
    check(load(text, keep=["8 9", "New York", "8"]), [words[0], words[3]], [rows[0], rows[3]])


def test_some_rows_alone(load):
    text = b"".join(b"w%d %d %d\n" % (i, i, -i) for i in range(1000))
    every = load(text)
    assert len(every) == 1000
    vocabulary = Vocabulary(["w7", "none", "w3", "w999"])
    check(load(text, keep=vocabulary), ["w3", "w7", "w999"], [[3, -3], [7, -7], [999, -999]])
    check(load(text, keep=iter(["w5"])), ["w5"], [[5, -5]])
    check(load(text, keep=vocabulary, limit=2), ["w3", "w7"], [[3, -3], [7, -7]])
    assert len(load(text, limit=10)) == 10
    assert load(text, limit=0).matrix.shape == (0, 2)
    assert load(text, keep=[]).matrix.shape == (0, 2)
    assert len(load(text, limit=10**12)) == 1000
    check(load(text + b"bad x y\n", limit=1), ["w0"], [[0, 0]])
    binary = word2vec_binary(every.words, every.matrix)
    for arguments in ({"limit": 7}, {"keep": ["w3", "w999"]}, {"keep": ["w3", "w999"], "limit": 1}):
        some = load(text, **arguments)
        check(load(binary, "v.bin", **arguments), list(some.words), some.matrix.tolist())


def test_pieces_and_threads_do_not_matter(threads, load, rng):
    """Lines of many blocks, and of several of the pieces that are read at once."""
    count = 300_000
    numbers = rng.integers(-99_999, 99_999, (count, 5))
    lines = [f"w{i} " + " ".join(map(str, row)) for i, row in enumerate(numbers.tolist())]
    wv = load("\n".join(lines).encode())
    assert wv.words[-1] == f"w{count - 1}"
    assert (wv.matrix == numbers).all()
    lines[200_000] += "x"
    with pytest.raises(ValueError, match=r"line 200001, column \d+: '-?\d+x' is no number"):
        load("\n".join(lines).encode())


FAULTS = {
    "b 1": "line 2, column 4: 'b 1' is too short: it has fewer numbers than others",
    "b": "line 2, column 2: 'b' is a word without numbers",
    "b 1 x": "line 2, column 5: 'x' is no number",
    "b 1 2,5": r"line 2, column 5: '2,5' is no number \(are its decimals behind a comma\?\)",
    "b 1 nan": "line 2, column 5: 'nan' is not finite",
    "b -inf 1": "line 2, column 3: '-inf' is not finite",
    "b 1 1e99": "line 2, column 5: '1e99' is beyond the numbers that the dtype has",
    "b\udcff 1 2": "line 2, column 2: 'b\ufffd' is no valid UTF-8",
    "béc 1 é": "line 2, column 7: 'é' is no number",
    " 1 2": "line 2, column 1: ' 1 2' begins with a blank, where its word should be",
    "b\0b 1 2": r"line 2, column 2: 'b\\x00b' has a zero byte in its word: is it a text\?",
    "a 3 4": "line 2, column 1: 'a' the word was there before",
    "b 1 2.5.": "line 2, column 5: '2.5.' is no number",
    "b 1 0x5": "line 2, column 5: '0x5' is no number",
    "b 1 1e": "line 2, column 5: '1e' is no number",
    "b 1 -": "line 2, column 5: '-' is no number",
    "b 1 2 x": "line 2, column 7: 'x' is no number",
}
MENDED = {
    "b 1 x": ("b", [1, 0]),
    "b 1 2,5": ("b", [1, 0]),
    "b 1 nan": ("b", [1, 0]),
    "b -inf 1": ("b", [0, 1]),
    "b 1 1e99": ("b", [1, 0]),
    "b\udcff 1 2": ("b\ufffd", [1, 2]),
    "béc 1 é": ("béc", [1, 0]),
    "b 1 2.5.": ("b", [1, 0]),
    "b 1 0x5": ("b", [1, 0]),
    "b 1 1e": ("b", [1, 0]),
    "b 1 -": ("b", [1, 0]),
    "b 1 2 x": ("b 1", [2, 0]),
}


@pytest.mark.parametrize("line", FAULTS)
def test_a_faulty_line(line, load):
    """Told, left out or mended: the other lines stay as they are."""
    text = f"a 1 2\n{line}\nc 3 4\n".encode(errors="surrogateescape")
    with pytest.raises(ValueError, match=rf"vectors\.txt: {FAULTS[line]}"):
        load(text)
    for errors in ("skip", "replace"):
        with pytest.warns(UserWarning, match=r"vectors\.txt: a fault was mended or left out; line"):
            wv = load(text, errors=errors)
        word, row = MENDED.get(line, (None, None)) if errors == "replace" else (None, None)
        between = [] if word is None else [word]
        check(wv, ["a", *between, "c"], [[1, 2], *([row] if between else []), [3, 4]])


@pytest.mark.parametrize("keep", [None, ["a", "c"]])
def test_lines_of_repeated_words_count_those_left_out(keep, load):
    text = b"a 1\n\n \nb 2\nc 4\nb 5\n\nc 3\n"
    line = 6 if keep is None else 8
    with pytest.raises(ValueError, match=f"line {line}, column 1: '.' the word was there before"):
        load(text, keep=keep)
    with pytest.warns(UserWarning, match="left out; line"):
        wv = load(text, keep=keep, errors="skip")
    check(wv, *((["a", "b", "c"], [[1], [2], [4]]) if keep is None else (["a", "c"], [[1], [4]])))


def test_many_faults(load):
    text = b"5 2\na 1 2\nb\xff\xc3\xa9 nan x\nc 3\nd 5 6\na 7 8\n"
    with pytest.warns(UserWarning, match="5 faults were mended or left out; line 3, column 5"):
        wv = load(text, errors="replace")
    check(wv, ["a", "b\ufffdé", "d"], [[1, 2], [0, 0], [5, 6]])
    with pytest.warns(UserWarning, match="3 faults were mended or left out; line 3"):
        check(load(text, errors="skip"), ["a", "d"], [[1, 2], [5, 6]])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it is empty"),
        (b"\n \n", "it is empty"),
        (b"\xef\xbb\xbf", "it is empty"),
        (b"word", "line 1 is a word without numbers: 'word'"),
        (b"1000000000000 300\na 1 2\n", "line 1: the header claims 1000000000000 rows of 300"),
        (b"1 99999999999\na 1 2\n", "line 1: the header claims 99999999999 columns"),
        (packed(b"0 2000000000\na 1 2\n"), "line 2, column 6: 'a 1 2' is too short"),
        (b"1 0\na\n", "line 1: the header claims 0 columns"),
        (b"3 2\na 1 2\nb 1 2\n", "line 1: the header claims 3 rows"),
        (b"1 2\na 1 2\nb 1 2\n", "line 1: the header claims 1 rows, but there are 2"),
        (b"2 2\na 1 2 3\nb 1 2 3\n", "line 1: the header claims 2 columns, but the rows have 3"),
        (b"2 3\na 1 2\nb 1 2 3\n", "line 2, column 6: 'a 1 2' is too short"),
        (b"\x80\x04\x95", "it is a pickle, as gensim's"),
        (b"(dp0\nS'a'\n", "it is a pickle, as gensim's"),
        (b"BZh9", "it is compressed in a way that is not read"),
        ("a 1\n".encode("utf-16"), "it is a text in UTF-16"),
        (b"\x89HDF\r\n", "it is an HDF5 file"),
        (packed(TEXT)[:-9], "it is damaged or cut short"),
        (packed(TEXT)[:-1], "it is damaged or cut short"),
        (packed(TEXT)[:15] + b"xxxx" + packed(TEXT)[19:], "it is damaged or cut"),
        (packed(b""), "it is empty"),
        (b"PK\x03\x04 and no more", "it is damaged or cut short"),
        (word2vec_binary(WORDS, ROWS)[:-1], "line 1: the header claims 2 rows of 3|row 2"),
        (word2vec_binary(WORDS, ROWS, b"\n")[:-3], "row 2, byte 21: 'of .*' is cut short"),
        (
            word2vec_binary(WORDS, ROWS, claimed=1),
            "line 1: the header claims 1 rows, but there are 2",
        ),
        (word2vec_binary(["a", "a"], ROWS), "row 2, byte 19: 'a' the word was there before|row 2"),
        (word2vec_binary(["a"], [[1, np.nan, 2]]), "row 1, byte 4: 'a' has a number that is not f"),
        (word2vec_binary(["a", ""], ROWS), "row 2, byte .*begins with a blank"),
        (
            b"\x93NUMPY",
            r"the words of its rows, a line each, are not in '.*vectors\.txt\.words\.txt'",
        ),
    ],
)
def test_files_that_are_refused(data, message, load):
    with pytest.raises(ValueError, match=rf"vectors\.txt: ({message})"):
        load(data)


def test_a_header_that_lies_of_what_is_compressed(load):
    """Its size is known when all of it was read: nothing is allocated by the header."""
    with pytest.raises(ValueError, match="header claims 1000000000000 rows"):
        load(packed(b"1000000000000 2\na 1 2\n"))
    with pytest.warns(UserWarning, match="line 1: the header claims 3 rows, but there are 2"):
        check(load(packed(b"3 3\n" + TEXT), errors="skip"))


def test_what_is_no_file(tmp_path, load):
    with pytest.raises(IsADirectoryError):
        vectors.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        vectors.load(tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"format": "csv"}, ValueError, "format='csv' is none of"),
        ({"errors": "ignore"}, ValueError, "errors='ignore' is none of"),
        ({"dtype": "float16"}, TypeError, "dtype='float16' must be"),
        ({"limit": -1}, ValueError, "limit=-1 must be an integer >= 0"),
        ({"mmap": True}, ValueError, "mmap=True is for uncompressed 'npy' and 'safetensors'"),
        ({"keep": "the"}, TypeError, "not str"),
        ({"format": "word2vec"}, ValueError, "line 1 is no header of two numbers"),
        ({"format": "fasttext"}, ValueError, "it is no model of fastText|cut short"),
        ({"format": "npy"}, ValueError, "are not in"),
        ({"format": "safetensors"}, ValueError, "no safetensors file"),
    ],
)
def test_arguments_that_are_refused(arguments, error, message, load):
    with pytest.raises(error, match=message):
        load(TEXT, **arguments)


NUMBERS = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 1e-45, 3.4028235e38, 1.17549435e-38, 16777216.0, 0.1, 1e10]),
)
WORD = st.text(min_size=1, max_size=6).filter(
    lambda word: (
        word.strip(" \t") == word
        and not any(c in word for c in "\n\r\0")
        and word[0] != "\ufeff"
        and word.isprintable()
    )
)


@FEW
@given(
    words=st.lists(WORD, min_size=1, max_size=8, unique=True),
    numbers=st.lists(NUMBERS, min_size=24, max_size=24),
    name=st.sampled_from(
        ["a.txt", "a.vec", "a.bin", "a.npy", "a.safetensors", "a.txt.gz", "a.bin.gz"]
    ),
)
def test_what_is_saved_is_loaded_again(words, numbers, name, tmp_path):
    if ".bin" in name or ".txt" in name:
        words = list(dict.fromkeys(word.replace(" ", "_") for word in words))
    words[0] = words[0].replace(" ", "_")
    words = list(dict.fromkeys(words))
    matrix = np.array(numbers, np.float32).reshape(8, 3)[: len(words)]
    vectors.save(WordVectors(words, matrix), tmp_path / name)
    kind = "glove" if "txt" in name else "auto"
    wv = vectors.load(tmp_path / name, format=kind)
    assert list(wv.words) == words
    assert wv.matrix.tobytes() == matrix.tobytes()


@given(st.lists(st.one_of(NUMBERS, st.floats(allow_nan=False, allow_infinity=False)), min_size=1))
def test_text_of_float64_is_lossless_too(numbers):
    matrix = np.array([numbers])
    words = np.frombuffer(b"w", np.uint8), np.array([0, 1])
    line = _core.lines_of_rows(*words, matrix)
    _, *texts = line.split()
    assert np.array(texts, np.float64).tobytes() == matrix.tobytes()
    reader = reading(line, len(numbers), _core.Reader_float64)
    assert reader.matrix(len(numbers)).tobytes() == matrix.tobytes()


def reading(data, dim, kind=_core.Reader_float32):
    reader = kind(
        is_text=True, dim=dim, first=1, limit=None, errors="strict", keep=None, file_bytes=0
    )
    reader.feed(data, True)
    assert reader.faults() == []
    return reader


def floats_of(texts):
    data = ("w " + " ".join(texts)).encode()
    return reading(data, len(texts)).matrix(len(texts))[0]


@given(
    st.lists(
        st.decimals(allow_nan=False, allow_infinity=False, min_value="-1e38", max_value="1e38")
    )
)
def test_text_becomes_the_nearest_float(decimals):
    """As fractions tell: a double in between would be rounded twice."""
    from fractions import Fraction

    texts = [f"{number:e}" for number in decimals] or ["0"]
    for text, got in zip(texts, floats_of(texts), strict=True):
        exact = Fraction(text)
        near = [np.nextafter(got, np.float32(s), dtype=np.float32) for s in (-np.inf, np.inf)]
        distance = abs(Fraction(float(got)) - exact)
        for other in near:
            if np.isfinite(other):
                assert distance <= abs(Fraction(float(other)) - exact)


def test_text_between_two_floats():
    """Exact middles go to the even one, and what is next to a middle to its own side."""
    middle = "1.000000059604644775390625"  # between 1 and the float after it
    after = np.nextafter(np.float32(1), np.float32(2))
    got = floats_of([middle, f"{middle}1", f"{middle[:-1]}49999", f"-{middle}0001", "1" + "0" * 38])
    assert got.tolist() == [1.0, after, 1.0, -after, float(np.float32(1e38))]
    long = "0." + "0" * 200 + "1" + "0" * 200 + "1e200"
    assert floats_of([long, "0e999999999999", "1e-999999999999"]).tolist() == [
        float(np.float32("0.1")),
        0.0,
        0.0,
    ]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.1, "0.1"),
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (16777216.0, "16777216.0"),
        (1e20, "1e20"),
        (1.5e-7, "1.5e-7"),
        (0.00012345, "0.00012345"),
        (3.4028235e38, "3.4028235e38"),
        (1e-45, "1e-45"),
        (123456.78, "123456.78"),
    ],
)
def test_numbers_are_written_in_few_digits(number, text):
    words = np.frombuffer(b"w", np.uint8), np.array([0, 1])
    line = _core.lines_of_rows(*words, np.array([[number]], np.float32))
    assert line == f"w {text}\n".encode()


@pytest.mark.parametrize("word", [" a", "a\t", "a\nb", "\r", "a\0", ""])
def test_words_that_text_cannot_hold(word, tmp_path):
    wv = WordVectors(["x", word], np.zeros((2, 1), np.float32))
    path = tmp_path / "a.txt"
    path.write_text("as it was")
    for format in ("glove", "word2vec", "word2vec-binary"):
        with pytest.raises(ValueError, match=r"word 1, .*, cannot stand in the format"):
            vectors.save(wv, path, format=format)
    assert path.read_text() == "as it was"
    vectors.save(wv, tmp_path / "a.safetensors")
    assert vectors.load(tmp_path / "a.safetensors").words == ["x", word]


def test_other_things_that_are_not_saved(tmp_path):
    wv = WordVectors(["a b", "c"], np.array([[1.0], [np.inf]], np.float32))
    with pytest.raises(ValueError, match="word 0, 'a b', cannot stand in the format 'word2vec-b"):
        vectors.save(wv, tmp_path / "a.bin")
    with pytest.raises(ValueError, match="word 0, 'a b', cannot stand in the format 'glove'"):
        vectors.save(wv, tmp_path / "a.txt")
    with pytest.raises(ValueError, match="all of the first words end with numbers"):
        vectors.save(WordVectors(["a 1"], np.ones((1, 1))), tmp_path / "a.vec")
    with pytest.raises(ValueError, match="the vector of 'c' is not finite"):
        vectors.save(wv, tmp_path / "a.vec")
    with pytest.raises(ValueError, match=r"ends with none of \.txt, "):
        vectors.save(wv, tmp_path / "a.csv")
    with pytest.raises(ValueError, match="a 'npy' file is not compressed"):
        vectors.save(wv, tmp_path / "a.npy.gz")
    with pytest.raises(ValueError, match="format='csv' is none of"):
        vectors.save(wv, tmp_path / "a.bin", format="csv")
    with pytest.raises(TypeError, match="wv must be WordVectors, not dict"):
        vectors.save({}, tmp_path / "a.txt")
    with pytest.raises(ValueError, match="half of a surrogate pair"):
        vectors.save(WordVectors(["\ud800"], np.ones((1, 1))), tmp_path / "a.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_maps_of_files(dtype, tmp_path):
    matrix = np.arange(12, dtype=dtype).reshape(4, 3)
    wv = WordVectors(["a", "b", "naïve", "東京"], matrix, counts=[4, 3, 2, 1])
    for name in ("a.npy", "a.safetensors"):
        vectors.save(wv, tmp_path / name)
        mapped = vectors.load(tmp_path / name, mmap=True, dtype=dtype)
        assert not mapped.matrix.flags.writeable
        assert not mapped.matrix.flags.owndata
        check(mapped, list(wv.words), matrix.tolist())
        assert mapped["東京"].tolist() == [9, 10, 11]
        other = "float64" if dtype == "float32" else "float32"
        assert vectors.load(tmp_path / name, dtype=other).matrix.dtype == other
        with pytest.raises(ValueError, match=f"mmap=True: the file has {dtype}, not dtype="):
            vectors.load(tmp_path / name, mmap=True, dtype=other)
        some = vectors.load(tmp_path / name, keep=["b", "東京", "x"], limit=1)
        check(some, ["b"], [[3, 4, 5]])
    assert vectors.load(tmp_path / "a.safetensors", limit=2).counts.tolist() == [4, 3]
    (tmp_path / "a.words.txt").write_text("a\nb\n")
    with pytest.raises(ValueError, match=r"it has 4 rows, but .* has 2 words"):
        vectors.load(tmp_path / "a.npy")


SMALL = ["the", "naïve", "東京", "</s>", "a"]


@pytest.mark.parametrize(
    ("shortest", "longest", "version"),
    [(3, 6, 12), (1, 3, 12), (0, 0, 12), (2, 4, 11), (3, 6, None)],
)
def test_models_of_fasttext(shortest, longest, version, load, rng, tmp_path):
    table = rng.standard_normal((len(SMALL) + (50 if longest else 0), 4)).astype(np.float32)
    data = model(SMALL, table, shortest, longest, version=version, labels=["__label__x"])
    wv = load(data, "m.bin")
    assert list(wv.words) == SMALL
    assert wv.counts.tolist() == [100, 99, 98, 97, 96]
    assert wv.has_subwords == (longest > 0)
    for word in [*SMALL, *(["unseen", "京東", "x", "ünder"] if longest else [])]:
        wanted = vector_of(word, SMALL, table, shortest, longest)
        np.testing.assert_allclose(wv[word], wanted, rtol=1e-5, atol=1e-6)
    assert "unseen" not in wv
    if longest:
        both = wv[["unseen", "the"]]
        assert both.tolist() == [wv["unseen"].tolist(), wv["the"].tolist()]
        vectors.save(wv, tmp_path / "a.safetensors")
        again = vectors.load(tmp_path / "a.safetensors", mmap=True)
        assert again["unseen"].tolist() == wv["unseen"].tolist()
        assert again.counts.tolist() == wv.counts.tolist()
    else:
        with pytest.raises(KeyError, match="'unseen' is none of the 5 words"):
            wv["unseen"]


def test_models_of_fasttext_that_are_refused(load, rng):
    table = rng.standard_normal((15, 4)).astype(np.float32)
    whole = model(SMALL, table)
    for arguments, message in (
        ({"quantised": 1}, r"it is quantised \(\.ftz\), which is not read"),
        ({"version": 13}, "it is of fastText's version 13"),
        ({"pruned": 3}, "its n-grams are pruned"),
        ({"shortest": -1}, "its arguments are damaged"),
    ):
        with pytest.raises(ValueError, match=message):
            load(model(SMALL, table, **arguments), "m.ftz")
    end_of_table = len(whole) - 1 - 16 - 4 * 4 * len(SMALL)
    for length in (*range(8, 200, 7), *range(200, end_of_table, 61)):
        with pytest.raises(ValueError, match=r"cut short|damaged|more than the file holds"):
            load(whole[:length], "m.bin")
    table[7, 2] = np.nan
    with pytest.raises(ValueError, match="row 7 of its table is not finite"):
        load(model(SMALL, table), "m.bin")
    bad = model([b"a", b"b\xff"], table[:5])
    with pytest.raises(ValueError, match=r"word 2, b'b\\xff', is no valid UTF-8"):
        load(bad, "m.bin")
    with pytest.warns(UserWarning, match="such words were mended"):
        assert load(bad, "m.bin", errors="replace").words == ["a", "b\ufffd"]


def test_nothing_is_warned_of_a_good_file(load):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for errors, data in itertools.product(
            ("strict", "replace", "skip"), (TEXT, word2vec_binary(WORDS, ROWS))
        ):
            check(load(data, errors=errors))
