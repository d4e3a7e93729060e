"""Indexes of strings beside a Python dict."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyembed import _core

WORDS = st.text(st.characters(), max_size=20)


def rows_of(known, words):
    return [known.setdefault(word, len(known)) for word in words]


@given(
    batches=st.lists(st.lists(st.one_of(WORDS, st.sampled_from("abc")), max_size=40), max_size=5),
    sought=st.lists(WORDS),
)
def test_rows_are_those_of_a_dict(batches, sought):
    index, known = _core.StringIndex(), {}
    for words in batches:
        assert index.insert(words).tolist() == rows_of(known, words)
    assert index.words(0, len(index)) == list(known)
    assert index.find(sought).tolist() == [known.get(word, -1) for word in sought]


def test_rows_are_the_same_with_any_threads(threads):
    rng = np.random.default_rng(1)
    words = [f"word {number}" for number in rng.zipf(1.2, 200_000)]
    index, known = _core.StringIndex(), {}
    assert index.insert(words).tolist() == rows_of(known, words)
    assert index.find(words[::-1]).tolist() == [known[word] for word in words[::-1]]
    assert index.words(5, 8) == list(known)[5:8]
    assert index.words(len(known) - 1, 10**9) == list(known)[-1:]


FIRST, SECOND, MASK = 0x9E3779B97F4A7C15, 0xD1342543DE82EF95, 2**64 - 1


def colliding(count):
    """Texts of 24 bytes with one hash: their second words make a product zero, see hash.h."""
    for number in range(count):
        product = ((FIRST ^ 24 ^ number) & MASK) * SECOND
        second = (product & MASK) ^ (product >> 64)
        yield number.to_bytes(8, "little") + second.to_bytes(8, "little") + b"the same"


def test_texts_of_equal_hashes_stay_apart(threads):
    texts = list(colliding(300))
    data = np.frombuffer(b"".join(texts), np.uint8)
    starts = np.arange(301) * 24
    index = _core.StringIndex()
    assert index.insert_bytes(data[: 24 * 200], starts[:201]).tolist() == list(range(200))
    want = [*range(200), *[-1] * 100]
    assert index.find_bytes(data, starts).tolist() == want
    assert index.insert_bytes(data, starts).tolist() == list(range(300))
    assert index.find_bytes(data, starts).tolist() == list(range(300))
    kept, bounds = index.bytes()
    assert (kept == data).all()
    assert (bounds == starts).all()


def test_those_texts_have_equal_hashes():
    """Or the test above says nothing: of 64 parts of an index, they fill one alone."""
    data = np.frombuffer(b"".join(colliding(40)), np.uint8)
    index, other = _core.StringIndex(), _core.StringIndex()
    index.insert_bytes(data, np.arange(41) * 24)
    other.insert([str(number).rjust(24) for number in range(40)])
    assert index.nbytes < other.nbytes - 1000


INPUTS = {
    "list": list,
    "tuple": tuple,
    "objects": lambda words: np.array(words, object),
    "fixed width": np.array,
    "fixed width, swapped": lambda words: np.array(words).astype(">U9"),
}
if hasattr(getattr(np, "dtypes", None), "StringDType"):  # NumPy 2
    INPUTS["StringDType"] = lambda words: np.array(words, np.dtypes.StringDType())


@pytest.mark.parametrize("kind", INPUTS)
def test_strings_come_in_many_kinds(kind):
    words = ["the", "", "naïve", "東京", "𝄞 clef", "the", "x" * 5]
    given_words = INPUTS[kind](words)
    index = _core.StringIndex()
    assert index.insert(given_words).tolist() == rows_of({}, words)
    assert index.find(given_words).tolist() == rows_of({}, words)
    assert index.words(0, 9) == list(dict.fromkeys(words))


@pytest.mark.parametrize("kind", [kind for kind in INPUTS if kind not in ("list", "tuple")])
def test_arrays_keep_their_shapes(kind):
    array = INPUTS[kind](["a", "b", "c", "a", "long", "b"]).reshape(2, 3)
    index = _core.StringIndex()
    assert index.insert(array).tolist() == [[0, 1, 2], [0, 3, 1]]
    assert index.find(array.T[::2]).tolist() == [[0, 0], [2, 1]]
    assert index.find(array[:0]).shape == (0, 3)


@pytest.mark.skipif("StringDType" not in INPUTS, reason="an older NumPy")
def test_long_and_missing_strings_of_a_string_dtype():
    words = ["a", "b" * 1000, "é" * 300]
    index = _core.StringIndex()
    assert index.insert(np.array(words, np.dtypes.StringDType())).tolist() == [0, 1, 2]
    assert index.words(0, 3) == words
    for missing in (None, float("nan")):
        array = np.array(["a", missing], np.dtypes.StringDType(na_object=missing))
        with pytest.raises(TypeError, match="words must be strings, but one is missing"):
            index.find(array)
        whole = np.array(["a", "c"], np.dtypes.StringDType(na_object=missing))
        assert index.find(whole).tolist() == [0, -1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("word", "words must be a list, a tuple or an array of strings, not str"),
        (["a", 3], "words must be strings, but the one at position 1 is int"),
        (["a", b"b"], "the one at position 1 is bytes"),
        (np.array([["a", "b"], ["c", None]], object), r"the one at position \(1, 1\) is NoneType"),
        (np.array([1, 2]), "words must be strings, not an array of dtype int64"),
        (np.array([b"a"]), "not an array of dtype [|]S1"),
        ({"a"}, "not set"),
        (None, "not NoneType"),
    ],
)
def test_what_is_no_string_is_refused(words, message):
    index = _core.StringIndex()
    index.insert(["a"])
    for call in (index.find, index.insert):
        with pytest.raises(TypeError, match=message):
            call(words)
    assert len(index) == 1


def test_halves_of_surrogate_pairs_are_strings_too():
    words = ["\ud800", "\udfff", "\ud83d\ude00", "😀"]
    index = _core.StringIndex()
    assert index.insert(words).tolist() == [0, 1, 2, 3]
    assert index.words(0, 4) == words


@pytest.mark.parametrize(
    ("data", "starts"),
    [([97], [0]), ([97], [1, 1]), ([97, 98], [0, 2, 1]), ([97], []), ([97], [0, 2])],
)
def test_bytes_with_other_starts_are_refused(data, starts):
    index = _core.StringIndex()
    with pytest.raises(ValueError, match="starts must"):
        index.insert_bytes(np.array(data, np.uint8), np.array(starts, np.int64))
    with pytest.raises(TypeError, match="bytes must be an array of uint8"):
        index.find_bytes(np.array(data), np.array([0, 1]))
