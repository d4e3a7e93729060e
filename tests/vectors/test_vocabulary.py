"""Vocabularies: which words, in which order, and what they make of texts."""

import collections
import copy
import pickle
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyembed as pe
from pyembed.vectors import Vocabulary

WORDS = st.text(max_size=8)
SPACE = " \t\n\x0b\x0c\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000"


def test_ids_count_from_the_entries_of_no_word():
    vocabulary = Vocabulary(["a", "b"])
    assert vocabulary.words == ["<pad>", "<unk>", "a", "b"]
    assert list(vocabulary) == vocabulary.words
    assert (vocabulary.padding, vocabulary.padding_id) == ("<pad>", 0)
    assert (vocabulary.unknown, vocabulary.unknown_id) == ("<unk>", 1)
    assert vocabulary.frozen
    assert vocabulary.counts is None
    assert "a" in vocabulary
    assert "c" not in vocabulary
    assert 2 not in vocabulary
    assert vocabulary["b"] == 3
    assert vocabulary["c"] == 1


def test_the_entries_of_no_word_may_stand_elsewhere_or_nowhere():
    vocabulary = Vocabulary(["a", "<unk>", "b"])
    assert vocabulary.words == ["<pad>", "a", "<unk>", "b"]
    assert vocabulary.unknown_id == 2
    bare = Vocabulary(["a", "b"], padding=None, unknown=None)
    assert bare.words == ["a", "b"]
    assert (bare.padding_id, bare.unknown_id) == (None, None)
    with pytest.raises(KeyError, match="'c' at position 1 is not in the vocabulary"):
        bare.encode(["a", "c"])
    with pytest.raises(KeyError, match="'x' at position 2 is not"):
        bare.encode_texts(["a b", "x"])
    with pytest.raises(KeyError, match="'x' at position 1 is not"):
        bare.encode_texts([["a", "x"], "b"])
    other = Vocabulary(["a"], padding="0", unknown="a")
    assert other.words == ["0", "a"]
    assert other.encode(["?", "a"]).tolist() == [1, 1]


def test_words_by_count_do_not_depend_on_their_order():
    counts = {"b": 2, "a": 2, "c": 9, "é": 2, "Z": 1, "": 0}
    vocabulary = Vocabulary.from_counts(counts)
    assert vocabulary.words == ["<pad>", "<unk>", "c", "a", "b", "é", "Z"]
    assert vocabulary.counts.tolist() == [0, 0, 9, 2, 2, 2, 1]
    backwards = dict(reversed(counts.items()))
    assert Vocabulary.from_counts(backwards) == vocabulary
    pair = (np.array(list(counts)), np.array(list(counts.values()), np.uint8))
    assert Vocabulary.from_counts(pair) == vocabulary
    frequent = Vocabulary.from_counts(counts, min_count=2, max_size=4)
    assert frequent.words == ["<pad>", "<unk>", "c", "a"]
    assert frequent.counts.tolist() == [0, 5, 9, 2]
    assert Vocabulary.from_counts(counts, min_count=0, padding=None).words[-1] == ""
    assert Vocabulary.from_counts(counts, max_size=2).words == ["<pad>", "<unk>"]
    assert Vocabulary.from_counts({}).words == ["<pad>", "<unk>"]
    special = Vocabulary.from_counts({"<unk>": 7, "a": 1})
    assert special.words == ["<pad>", "<unk>", "a"]
    assert special.counts.tolist() == [0, 7, 1]


@given(st.lists(st.lists(st.sampled_from(["a", "b", "é", "日本", "x1"]))))
def test_texts_are_counted_as_a_counter_does(lists):
    texts = ["  ".join(words) for words in lists]
    counts = collections.Counter(word for words in lists for word in words)
    wanted = Vocabulary.from_counts(counts)
    for made in (
        Vocabulary.from_texts(texts),
        Vocabulary.from_texts(iter(lists)),
        Vocabulary.from_texts(texts, tokenize=str.split),
        Vocabulary.from_texts([lists[0], *texts[1:]] if lists else []),
    ):
        assert made == wanted
        assert made.counts.tolist() == wanted.counts.tolist()


@given(st.lists(st.text(st.one_of(st.sampled_from(SPACE), st.characters()), max_size=30)))
def test_blank_space_is_that_of_str_split(texts):
    vocabulary = Vocabulary.from_texts(texts)
    ids, offsets = vocabulary.encode_texts(texts)
    words = [text.split() for text in texts]
    assert vocabulary.decode(ids).tolist() == [word for text in words for word in text]
    assert np.diff(offsets, append=len(ids)).tolist() == [len(text) for text in words]


def test_each_kind_of_blank_space_parts_words():
    texts = [f"a{space}b" for space in SPACE] + ["a\u200bb", "a\u2060b", "a\ufeffb"]
    for text in texts:
        assert Vocabulary.from_texts([text], padding=None, unknown=None).words == text.split()


@given(st.lists(WORDS), st.lists(WORDS))
def test_encode_and_decode(known, sought):
    words = list(dict.fromkeys(known))
    vocabulary = Vocabulary(words, padding=None)
    ids = {word: place for place, word in enumerate(vocabulary.words)}
    unknown = vocabulary.unknown_id
    assert vocabulary.encode(sought).tolist() == [ids.get(word, unknown) for word in sought]
    assert vocabulary.decode(vocabulary.encode(words)).tolist() == words


def test_shapes_of_ids_and_words():
    vocabulary = Vocabulary(["a", "b", "c"])
    array = np.array([["a", "b", "?"], ["c", "a", "a"]])
    ids = vocabulary.encode(array)
    assert ids.dtype == np.int64
    assert ids.tolist() == [[2, 3, 1], [4, 2, 2]]
    decoded = vocabulary.decode(ids[:, ::2])
    assert decoded.dtype == object
    assert decoded.tolist() == [["a", "<unk>"], ["c", "a"]]
    assert vocabulary.decode(ids.astype(np.uint8)).shape == (2, 3)
    assert vocabulary.decode(3).shape == ()
    assert vocabulary.decode(3).item() == "b"
    assert vocabulary.decode([]).shape == (0,)
    assert vocabulary.encode(word for word in "ab").tolist() == [2, 3]
    assert vocabulary.encode({"a": 1}.keys()).tolist() == [2]


@pytest.mark.parametrize(("ids", "place"), [([0, 5], 1), ([-1], 0), ([[0, 1], [9, 1]], 2)])
def test_ids_outside_are_refused(ids, place):
    with pytest.raises(IndexError, match=rf"at position {place} is outside a vocabulary of 5 ent"):
        Vocabulary(["a", "b", "c"]).decode(ids)


def test_ids_that_are_no_integers_are_refused():
    for ids in ([0.0], ["a"], [True]):
        with pytest.raises(TypeError, match="ids must be integers"):
            Vocabulary(["a"]).decode(ids)


def test_texts_are_ready_for_bags():
    vocabulary = Vocabulary.from_texts(["the cat sat", "the dog"])
    ids, offsets = vocabulary.encode_texts(["the cat", "", "a dog sat"])
    assert vocabulary.decode(ids).tolist() == ["the", "cat", "<unk>", "dog", "sat"]
    assert offsets.tolist() == [0, 2, 2]
    bag = pe.EmbeddingBag(len(vocabulary), 3, padding_idx=vocabulary.padding_id, seed=0)
    assert bag(ids, offsets).shape == (3, 3)
    lists = [["the", "cat"], (), np.array(["a", "dog", "sat"])]
    for same, mine in zip(vocabulary.encode_texts(lists), (ids, offsets), strict=True):
        assert (same == mine).all()
    pairs = vocabulary.encode_texts(["the+cat", "+"], tokenize=lambda text: text.split("+"))
    assert pairs[1].tolist() == [0, 2]
    assert vocabulary.encode_texts([])[1].shape == (0,)


def test_texts_as_a_matrix():
    vocabulary = Vocabulary(["a", "b", "c"])
    texts = ["a b", "", "c a b a"]
    assert vocabulary.encode_padded(texts).tolist() == [[2, 3, 0, 0], [0] * 4, [4, 2, 3, 2]]
    assert vocabulary.encode_padded(texts, 1).tolist() == [[2], [0], [4]]
    assert vocabulary.encode_padded(texts, 5)[2].tolist() == [4, 2, 3, 2, 0]
    assert vocabulary.encode_padded([]).shape == (0, 0)
    assert vocabulary.encode_padded(["", ""], 2).tolist() == [[0, 0], [0, 0]]
    with pytest.raises(ValueError, match="length=-1 must be an integer >= 0"):
        vocabulary.encode_padded(texts, -1)
    with pytest.raises(ValueError, match="no padding entry"):
        Vocabulary(["a"], padding=None).encode_padded(texts)


def test_a_vocabulary_that_grows():
    vocabulary = Vocabulary(["a"], frozen=False)
    assert vocabulary.decode([2]).tolist() == ["a"]
    assert vocabulary.encode(["b"]).tolist() == [1]
    assert vocabulary.add(["b", "a", "c", "b"]).tolist() == [3, 2, 4, 3]
    assert vocabulary.encode(["b"]).tolist() == [3]
    assert vocabulary.decode([4, 2]).tolist() == ["c", "a"]
    vocabulary.freeze()
    with pytest.raises(RuntimeError, match="the vocabulary is frozen"):
        vocabulary.add(["d"])
    assert len(vocabulary) == 5
    counted = Vocabulary.from_counts({"a": 3}, frozen=False)
    counted.add(["b"])
    assert counted.counts.tolist() == [0, 0, 3, 0]


@pytest.mark.parametrize(
    ("words", "arguments", "error", "message"),
    [
        (["a", "b", "a"], {}, ValueError, "'a' stands at positions 0 and 2"),
        (["a", 1], {}, TypeError, "the one at position 1 is int"),
        ("ab", {}, TypeError, "not str"),
        (3, {}, TypeError, "not int"),
        ([], {"padding": 0}, TypeError, "padding must be a str or None, not int"),
        ([], {"unknown": b"u"}, TypeError, "unknown must be a str or None, not bytes"),
        ([], {"padding": "x", "unknown": "x"}, ValueError, "padding='x' must be another entry"),
    ],
)
def test_words_that_make_no_vocabulary(words, arguments, error, message):
    with pytest.raises(error, match=message):
        Vocabulary(words, **arguments)


@pytest.mark.parametrize(
    ("counts", "arguments", "error", "message"),
    [
        ({"a": -1}, {}, ValueError, "the count of 'a' is -1"),
        ({"a": 1.5}, {}, TypeError, "counts must be integers, not float64"),
        ((["a", "a"], [1, 2]), {}, ValueError, "'a' stands at positions 0 and 1"),
        ((["a", "b"], [1]), {}, ValueError, r"counts have shape \(1,\), but there are 2 words"),
        ({"a": 1}, {"min_count": -1}, ValueError, "min_count=-1 must be an integer >= 0"),
        ({"a": 1}, {"max_size": 1}, ValueError, "max_size=1 must be an integer >= 2"),
    ],
)
def test_counts_that_make_no_vocabulary(counts, arguments, error, message):
    with pytest.raises(error, match=message):
        Vocabulary.from_counts(counts, **arguments)


def test_a_single_text_is_no_list_of_texts():
    for call in (Vocabulary.from_texts, Vocabulary([]).encode_texts, Vocabulary([]).encode_padded):
        with pytest.raises(TypeError, match="texts must be many, not a single str"):
            call("to be")
    with pytest.raises(TypeError, match="not str"):
        Vocabulary([]).encode("to be")
    with pytest.raises(TypeError, match="a word must be a str, not int: see decode"):
        Vocabulary([])[3]


def test_texts_that_are_none():
    for call in (Vocabulary.from_texts, Vocabulary([]).encode_texts):
        for text, kind in ((3, "int"), (b"to be", "bytes"), (None, "NoneType")):
            with pytest.raises(TypeError, match=f"strings or lists of words, not {kind}"):
                call(["a", text])
        with pytest.raises(TypeError, match="tokenize must return a list of words, not a str: 'A'"):
            call(["a"], tokenize=str.upper)
        with pytest.raises(TypeError, match="the one at position 1 is int"):
            call([["a", 3]])
    assert Vocabulary.from_texts([{"a": 1}, iter("bc")]).words[2:] == ["a", "b", "c"]


def example():
    return Vocabulary.from_counts({"a": 3, "naïve": 2, "日本": 2}, padding="0", frozen=False)


@pytest.mark.parametrize(
    "made", [copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))]
)
def test_copies_are_equal_and_apart(made):
    vocabulary = example()
    twin = made(vocabulary)
    assert twin == vocabulary
    assert twin.counts.tolist() == vocabulary.counts.tolist()
    assert not twin.frozen
    twin.add(["b"])
    assert len(vocabulary) == 5
    assert twin != vocabulary
    assert vocabulary != "a"
    assert repr(twin) == "<Vocabulary of 6 entries, padding='0', unknown='<unk>', frozen=False>"


def test_files_give_back_what_was_saved(tmp_path):
    vocabulary = example()
    vocabulary.save(tmp_path / "words.json")
    loaded = Vocabulary.load(tmp_path / "words.json")
    assert loaded == vocabulary
    assert loaded.counts.tolist() == vocabulary.counts.tolist()
    assert not loaded.frozen
    vocabulary.save(tmp_path / "words.txt")
    assert (tmp_path / "words.txt").read_text("utf-8") == "0\n<unk>\na\nnaïve\n日本\n"
    loaded = Vocabulary.load(tmp_path / "words.txt", padding="0", frozen=False)
    assert loaded == vocabulary
    assert loaded.counts is None
    plain = Vocabulary.load(tmp_path / "words.txt", padding=None, unknown=None)
    assert plain.words == vocabulary.words
    assert plain.padding_id is None


@pytest.mark.parametrize("word", ["", "a\nb", "a\rb", "\ufeffa", "\ud800"])
def test_words_that_are_no_line_go_into_json_alone(word, tmp_path):
    vocabulary = Vocabulary([word, "b"], padding=None, unknown=None)
    path = tmp_path / "words.txt"
    path.write_text("as it was")
    with pytest.raises(ValueError, match=r"\.json"):
        vocabulary.save(path)
    assert path.read_text() == "as it was"
    vocabulary.save(tmp_path / "words.json")
    assert Vocabulary.load(tmp_path / "words.json").words == [word, "b"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"x\ny\nx\n", r"a\.txt: line 3 has the word of line 1, 'x'"),
        ("a.txt", b"x\n\ny\n", r"a\.txt: line 2 is empty"),
        ("a.txt", b"x\n\xff\n", r"a\.txt: line 2 is no valid UTF-8"),
        ("a.json", b"", r"a\.json: "),
        ("a.json", b"\xff", r"a\.json: it is no JSON"),
        ("a.json", b"[]", r"a\.json: it is no vocabulary of pyembed"),
        ("a.json", b'{"format": "pyembed.vocabulary", "version": 2}', "of version 2, not 1"),
    ],
)
def test_damaged_files_are_refused(name, content, message, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        Vocabulary.load(path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("words", 3, "its words must be a list of strings"),
        ("words", ["a", None], "its words must be a list of strings"),
        ("words", ["a", "a"], "'a' stands at positions 0 and 1"),
        ("padding", 3, "padding must be a string or null"),
        ("frozen", 1, "frozen must be true or false"),
        ("counts", [1], "counts must be 5 integers"),
        ("counts", [1, 2, 3, 4, -5], "counts must be integers from 0 on"),
        ("counts", [1, 2, 3, 4, 1.5], "counts must be integers from 0 on"),
    ],
)
def test_damaged_json_is_refused(key, value, message, tmp_path):
    import json

    path = tmp_path / "words.json"
    example().save(path)
    contents = json.loads(path.read_bytes())
    path.write_text(json.dumps({**contents, key: value}))
    with pytest.raises(ValueError, match=message):
        Vocabulary.load(path)


def test_ends_of_lines_and_marks_of_other_systems(tmp_path):
    path = tmp_path / "words.txt"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\r\nc")
    assert Vocabulary.load(path, padding=None, unknown=None).words == ["a", "b", "c"]
    path.write_bytes(b"")
    assert Vocabulary.load(path).words == ["<pad>", "<unk>"]
    with pytest.raises(IsADirectoryError):
        Vocabulary.load(tmp_path)


def test_threads_add_and_decode_at_once():
    vocabulary = Vocabulary(frozen=False)
    wrong = []

    def use(seed):
        rng = np.random.default_rng(seed)
        for _ in range(40):
            words = [f"w{number}" for number in rng.integers(0, 3000, 200)]
            if vocabulary.decode(vocabulary.add(words)).tolist() != words:
                wrong.append(words)

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(set(vocabulary.words)) == len(vocabulary)
