"""What `word2vec.train` takes, learns and returns."""

import gzip
import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from pyembed import word2vec
from pyembed.vectors import Vocabulary, WordVectors

FRUIT = ["apple", "pear", "plum", "cherry"]
METAL = ["iron", "copper", "silver", "zinc"]


def texts(count=2000, seed=0):
    """Documents of two topics, which share no word but "the"."""
    rng = np.random.default_rng(seed)
    topics = [np.array([*topic, "the"]) for topic in (FRUIT, METAL)]
    return [topics[i % 2][rng.integers(0, 5, 8)].tolist() for i in range(count)]


def cosine(wv, a, b):
    x, y = wv[a].astype(float), wv[b].astype(float)
    return x @ y / np.linalg.norm(x) / np.linalg.norm(y)


@pytest.mark.parametrize("model", ["skipgram", "cbow"])
@pytest.mark.parametrize("deterministic", [True, False])
def test_words_of_one_topic_come_together(model, deterministic):
    wv = word2vec.train(
        texts(), dim=16, model=model, seed=1, deterministic=deterministic, threads=2, epochs=10
    )
    assert set(wv.words) == {*FRUIT, *METAL, "the"}
    assert len(wv.losses) == 10
    assert wv.losses[-1] < wv.losses[0]
    for topic, other in ((FRUIT, METAL), (METAL, FRUIT)):
        near = min(cosine(wv, topic[0], word) for word in topic[1:])
        far = max(cosine(wv, topic[0], word) for word in other)
        assert near > far + 0.2


@pytest.mark.parametrize("model", ["skipgram", "cbow"])
def test_a_seed_gives_the_same_bits_by_any_number_of_threads(model):
    runs = [
        word2vec.train(texts(300), dim=20, model=model, seed=5, threads=n, min_count=1)
        for n in (1, 2, 7)
    ]
    for run in runs[1:]:
        assert_array_equal(run.matrix.view(np.uint32), runs[0].matrix.view(np.uint32))
        assert_array_equal(run.output.view(np.uint32), runs[0].output.view(np.uint32))
        assert run.losses == runs[0].losses
    other = word2vec.train(texts(300), dim=20, model=model, seed=6, min_count=1)
    assert not np.array_equal(other.matrix, runs[0].matrix)


def test_a_file_a_compressed_file_several_and_a_generator_are_one_corpus(tmp_path):
    documents = texts(200)
    lines = ["  ".join(document) + "\n" for document in documents]
    plain, packed = tmp_path / "a.txt", tmp_path / "b.txt.gz"
    first, second = tmp_path / "1.txt", tmp_path / "2.txt"
    plain.write_text("".join(lines))
    with gzip.open(packed, "wt") as file:
        file.write("".join(lines))
    first.write_text("".join(lines[:50]))
    second.write_text("\n\n" + "".join(lines[50:]).rstrip("\n"))
    wanted = word2vec.train(documents, dim=8, seed=1)
    for corpus in (plain, str(packed), [first, second], (iter(d) for d in documents)):
        found = word2vec.train(corpus, dim=8, seed=1)
        assert list(found.words) == list(wanted.words)
        assert_array_equal(found.counts, wanted.counts)
        assert_array_equal(found.matrix, wanted.matrix)


def test_rows_of_ids_are_theirs():
    rng = np.random.default_rng(0)
    walks = rng.integers(0, 4, (300, 10)) * 2  # 0, 2, 4, 6
    wv = word2vec.train(walks, dim=4, seed=0)
    assert list(wv.words) == [str(i) for i in range(7)]
    assert_array_equal(wv.counts, np.bincount(walks.ravel()))
    untrained = word2vec.train(walks, dim=4, seed=0, epochs=1, learning_rate=1e-30)
    assert np.all((wv.matrix != untrained.matrix).any(axis=1) == [1, 0, 1, 0, 1, 0, 1])
    lists = word2vec.train([walk.astype(np.int16).tolist() for walk in walks], dim=4, seed=0)
    assert_array_equal(lists.matrix, wv.matrix)


def test_a_vocabulary_says_which_words_are_learned():
    vocabulary = Vocabulary(["iron", "zinc", "gold", "apple"])
    wv = word2vec.train(texts(), dim=4, vocabulary=vocabulary, seed=0, epochs=1)
    assert list(wv.words) == ["iron", "zinc", "gold", "apple"]
    assert wv.counts[2] == 0
    ids = [vocabulary.encode(document) for document in texts()]
    of_ids = word2vec.train(ids, dim=4, vocabulary=vocabulary, seed=0, epochs=1)
    assert list(of_ids.words) == vocabulary.words
    assert_array_equal(of_ids.counts, [0, 0, *wv.counts])


def test_training_goes_on_from_given_vectors_and_new_words_join():
    first = word2vec.train(texts(), dim=8, seed=0)
    more = [[*document[:4], "gold", *document[4:]] for document in texts()[1::2]]
    second = word2vec.train(more, dim=8, seed=0, initial=first, epochs=20)
    assert list(second.words) == [*first.words, "gold"]
    gold = list(second.words).index("gold")
    assert second.counts[gold] == len(more)
    assert second.counts[:gold].sum() == first.counts.sum() + 8 * len(more)
    assert_array_equal(second["apple"], first["apple"])  # not in these texts
    assert np.any(second["silver"] != first["silver"])
    assert cosine(second, "gold", "silver") > cosine(second, "gold", "apple")
    plain = WordVectors(list(first.words), first.matrix)
    assert_array_equal(word2vec.train(more, dim=8, initial=plain, epochs=1)["pear"], first["pear"])


def test_frozen_words_keep_their_vectors():
    first = word2vec.train(texts(), dim=8, seed=0)
    for model in ("skipgram", "cbow"):
        wv = word2vec.train(
            texts(seed=1), dim=8, seed=1, initial=first, frozen=["iron", "the"], model=model
        )
        same = (wv.matrix == first.matrix[: len(wv)]).all(axis=1)
        assert [word for word, is_same in zip(wv.words, same, strict=True) if is_same] == [
            word for word in wv.words if word in ("iron", "the")
        ]
    with pytest.raises(ValueError, match="frozen: 'gold' is none of the words"):
        word2vec.train(texts(), frozen=["gold"])


def test_the_most_frequent_words_alone():
    documents = [["a"] * 9 + ["b"] * 5 + ["c"] * 7 + ["d"] * 2]
    assert list(word2vec.train(documents, dim=2, max_vocab=2).words) == ["a", "c"]
    assert list(word2vec.train(documents, dim=2, min_count=6).words) == ["a", "c"]
    assert list(word2vec.train(documents, dim=2, min_count=1).words) == ["a", "c", "b", "d"]


def test_progress_is_told():
    told = []
    word2vec.train(texts(), dim=4, callback=told.append, epochs=2)
    last = told[-1]
    assert (last.epoch, last.words, last.total_words) == (2, 32_000, 32_000)
    assert last.loss > 0
    assert last.remaining == 0
    assert str(last).startswith("epoch 2, 100%: ")


def test_trained_vectors_pickle_with_all():
    wv = word2vec.train(texts(), dim=4, epochs=1)
    copy = pickle.loads(pickle.dumps(wv))
    assert_array_equal(copy.output, wv.output)
    assert copy.losses == wv.losses
    assert list(copy.words) == list(wv.words)


def test_an_interrupt_returns_what_was_learned():
    def interrupt(progress):
        raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="training was interrupted at epoch"):
        wv = word2vec.train(texts(), dim=4, callback=interrupt)
    assert wv.interrupted
    assert np.isfinite(wv.matrix).all()


@pytest.mark.parametrize("model", ["skipgram", "cbow"])
def test_the_hierarchical_softmax(model):
    wv = word2vec.train(texts(), dim=16, model=model, loss="hs", seed=1, epochs=10)
    assert wv.output.shape == (len(wv) - 1, 16)
    assert cosine(wv, "apple", "pear") > cosine(wv, "apple", "zinc") + 0.2


@pytest.mark.parametrize("model", ["skipgram", "cbow"])
@pytest.mark.parametrize("loss", ["ns", "hs"])
def test_subwords_give_vectors_to_words_that_are_not_there(model, loss):
    corpus = [[word * 2 for word in document] for document in texts()]
    options = {"dim": 16, "model": model, "loss": loss, "subword": (3, 5), "buckets": 1000}
    runs = [word2vec.train(corpus, seed=1, epochs=10, threads=n, **options) for n in (1, 3)]
    assert_array_equal(runs[0].matrix, runs[1].matrix)
    wv = runs[0]
    assert wv.has_subwords
    assert cosine(wv, "appleapple", "pearpear") > cosine(wv, "appleapple", "zinczinc") + 0.2
    assert cosine(wv, "applepear", "pearpear") > cosine(wv, "applepear", "zinczinc") + 0.2
    more = word2vec.train(corpus, seed=1, epochs=1, initial=wv, learning_rate=1e-30, **options)
    assert_array_equal(more.matrix, wv.matrix)


@pytest.mark.parametrize("deterministic", [True, False])
def test_few_words_that_all_batches_share_stay_finite(deterministic):
    rng = np.random.default_rng(0)
    walks = rng.integers(0, 3, (4000, 20))
    wv = word2vec.train(walks, dim=8, sample=0, seed=0, deterministic=deterministic, threads=2)
    assert np.abs(wv.matrix).max() < 10
    assert max(wv.losses) < 6


def damaged_files(tmp_path):
    binary, latin, empty, one = (tmp_path / name for name in ("binary", "latin", "empty", "one"))
    binary.write_bytes(b"to be\nor \0 not\n")
    latin.write_bytes("to be\n\nné".encode("latin-1"))
    empty.write_bytes(b"")
    one.write_text("to " * 100)
    return [
        (tmp_path / "none", FileNotFoundError, "no such file"),
        (["to be or not to be"], FileNotFoundError, "documents are to be lists of words"),
        (binary, ValueError, r"binary: line 2 has a zero byte: it must be text in UTF-8"),
        (latin, ValueError, r"latin: line 3 is no valid UTF-8"),
        (empty, ValueError, "0 of the corpus's 0 words"),
        (one, ValueError, "1 of the corpus's 1 words"),
        ([], ValueError, "there is nothing to learn"),
        ([[], []], ValueError, "there is nothing to learn"),
    ]


def test_what_cannot_be_learned_from_is_refused(tmp_path):
    for corpus, error, message in damaged_files(tmp_path):
        with pytest.raises(error, match=message):
            word2vec.train(corpus)


@pytest.mark.parametrize(
    ("corpus", "error", "message"),
    [
        (7, TypeError, "corpus must be a path, or an iterable of paths or documents, not int"),
        ([7], TypeError, "a document must be a sequence of words or of ids, not int"),
        ([["to", 7]], TypeError, "words must be strings, but the one at position 1 is int"),
        ([[1, 2], ["to"]], TypeError, "documents must be sequences of integers"),
        ([[1.5]], TypeError, "documents must be sequences of integers"),
        ([[-1, 2]], ValueError, "id -1 must be from 0 to 2147483646"),
        ([["to"], "be"], TypeError, "a document must be a list of words, not 'be'"),
    ],
)
def test_documents_of_another_kind_are_refused(corpus, error, message):
    with pytest.raises(error, match=message):
        word2vec.train(corpus, min_count=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dim": 0}, "dim=0 must be an integer"),
        ({"model": "glove"}, "model='glove' is none of 'skipgram', 'cbow'"),
        ({"loss": "softmax"}, "loss='softmax' is none of 'ns', 'hs'"),
        ({"window": 0}, "window=0"),
        ({"negative": 0}, "negative=0"),
        ({"epochs": 0}, "epochs=0"),
        ({"learning_rate": 0}, "learning_rate=0"),
        ({"sample": -1}, "sample=-1"),
        ({"max_vocab": 1}, "max_vocab=1"),
        ({"seed": -1}, "seed=-1"),
        ({"threads": 0}, "threads=0"),
        ({"subword": 3}, "subword=3 must be two lengths"),
        ({"subword": (3, 2)}, r"subword\[1\]=2"),
        ({"subword": (3, 6), "frozen": ["iron"]}, "frozen= is not for subword="),
        ({"initial": WordVectors(["a"], np.zeros((1, 3), np.float32))}, "vectors of length 3"),
    ],
)
def test_arguments_that_are_not_as_described(arguments, message):
    with pytest.raises(ValueError, match=message):
        word2vec.train(texts(10), **arguments)


def test_long_lines_are_read_whole(tmp_path):
    words = [f"w{number % 100}" for number in range(30_000)]
    path = tmp_path / "long.txt"
    path.write_text(" ".join(words))
    wv = word2vec.train(path, dim=2, epochs=1, sample=0)
    assert_array_equal(wv.counts, np.full(100, 300))


def test_numbers_beyond_the_memory_go_to_a_file(monkeypatch):
    from pyembed.word2vec import _numbers

    wanted = word2vec.train(texts(), dim=4, seed=0)
    monkeypatch.setattr(_numbers, "_IN_MEMORY", 1000)
    assert_array_equal(word2vec.train(texts(), dim=4, seed=0).matrix, wanted.matrix)
