import numpy as np
import pytest

import pyembed as pe

MATRIX = np.arange(6.0).reshape(3, 2)


def one_row_gradient(emb, row):
    return emb.backward([row], np.ones((1, emb.output_dim), emb.dtype))


def read_only(matrix):
    matrix = matrix.copy()
    matrix.flags.writeable = False
    return matrix


@pytest.mark.parametrize("given", [MATRIX, MATRIX.tolist(), [MATRIX], (MATRIX.astype(int),)])
def test_weights_are_copied_and_cast(layer, given):
    made = layer(3, 2, weights=given)
    np.testing.assert_array_equal(made.embeddings, MATRIX.astype(np.float32), strict=True)
    assert not np.shares_memory(made.embeddings, MATRIX)
    made.embeddings[:] = -1
    np.testing.assert_array_equal(MATRIX, [[0, 1], [2, 3], [4, 5]])


def test_weights_of_one_row(layer):
    for given in ([[1, 2]], [[[1, 2]]]):  # a matrix, and a list of one
        np.testing.assert_array_equal(layer(1, 2, weights=given).embeddings, [[1, 2]])


@pytest.mark.parametrize("given", [MATRIX.T, MATRIX[:2], MATRIX[0], [MATRIX, MATRIX], 1.0])
def test_weights_of_another_shape(layer, given):
    with pytest.raises(ValueError, match=r"weights has shape .*must have shape \(3, 2\)"):
        layer(3, 2, weights=given)


@pytest.mark.parametrize("given", [MATRIX.astype(str), MATRIX.astype(object), MATRIX * 1j])
def test_weights_must_be_real_numbers(layer, given):
    with pytest.raises(TypeError, match="weights must be real numbers"):
        layer(3, 2, weights=given)


def test_from_pretrained_shares_memory(layer, dtype):
    matrix = MATRIX.astype(dtype)
    made = layer.from_pretrained(matrix, name="words")
    assert (made.input_dim, made.output_dim, made.dtype) == (3, 2, dtype)
    assert (made.trainable, made.name) == (False, "words")
    matrix[2] = [8, 9]
    np.testing.assert_array_equal(made([[2]]).reshape(2), np.array([8, 9], dtype), strict=True)
    made.embeddings[0] = 7
    np.testing.assert_array_equal(matrix, [[7, 7], [2, 3], [8, 9]])


def test_from_pretrained_trains_in_place():
    matrix = np.zeros((3, 5))[:, 1:3]  # rows with a gap between them
    emb = pe.Embedding.from_pretrained(matrix, trainable=True)
    pe.SparseSGD(emb, 0.5).step(one_row_gradient(emb, 1))
    np.testing.assert_array_equal(matrix.base, [[0] * 5, [0, -0.5, -0.5, 0, 0], [0] * 5])


def test_from_pretrained_with_a_copy(layer):
    given = read_only(MATRIX)
    made = layer.from_pretrained(given, trainable=True, copy=True)
    np.testing.assert_array_equal(made.embeddings, MATRIX, strict=True)
    made.embeddings[:] = -1
    assert (given == MATRIX).all()
    for other in (
        MATRIX.astype(np.float16),
        MATRIX.astype(int),
        MATRIX.tolist(),
        MATRIX.T.copy().T,
    ):
        made = layer.from_pretrained(other, copy=True, dtype="float32")
        np.testing.assert_array_equal(made.embeddings, MATRIX.astype(np.float32), strict=True)


@pytest.mark.parametrize(
    ("matrix", "options", "error", "message"),
    [
        (MATRIX.astype(np.float16), {}, TypeError, "float16"),
        (MATRIX.astype(np.float16), {"copy": True}, TypeError, "float16"),
        (MATRIX.astype(np.float16), {"dtype": "float32"}, TypeError, "float16.*needs copy=True"),
        (MATRIX, {"dtype": "float32"}, TypeError, "float64.*float32.*needs copy=True"),
        (MATRIX.astype(int), {}, TypeError, "int64"),
        (MATRIX.astype(">f4"), {}, TypeError, ">f4"),
        (MATRIX.tolist(), {}, TypeError, "must be a numpy.ndarray .* not list; copy=True"),
        (MATRIX[0], {}, ValueError, r"two axes .*\(2,\)"),
        (np.zeros((0, 2)), {}, ValueError, "input_dim=0"),
        (np.asfortranarray(MATRIX), {}, ValueError, "contiguous rows"),
        (np.zeros((3, 4))[:, ::2], {}, ValueError, "contiguous rows"),
        (np.frombuffer(bytes(49), offset=1).reshape(3, 2), {}, ValueError, "aligned memory"),
        (read_only(MATRIX), {"trainable": True}, ValueError, "is read-only"),
        (np.broadcast_to(MATRIX[0], (3, 2)), {"trainable": True}, ValueError, "is read-only"),
        (MATRIX, {"weights": MATRIX}, TypeError, "weights"),
    ],
)
def test_from_pretrained_refuses(layer, matrix, options, error, message):
    with pytest.raises(error, match=message):
        layer.from_pretrained(matrix, **options)


def test_a_read_only_matrix_is_served_as_it_is(layer):
    made = layer.from_pretrained(read_only(MATRIX))
    np.testing.assert_array_equal(made([[2]]).reshape(2), [4, 5])
    with pytest.raises(ValueError, match="read-only"):
        made.embeddings[0] = 1


def test_a_read_only_matrix_is_never_trained():
    matrix = read_only(MATRIX)
    emb = pe.Embedding.from_pretrained(matrix)

    def train():
        emb.trainable = True
        pe.SparseSGD(emb).step(one_row_gradient(emb, 1))

    with pytest.raises((ValueError, AttributeError)):
        train()
    np.testing.assert_array_equal(matrix, MATRIX)


def test_the_table_keeps_its_shape_when_the_matrix_is_reshaped():
    matrix = MATRIX.copy()
    emb = pe.Embedding.from_pretrained(matrix, trainable=True)
    matrix.resize((1, 6), refcheck=False)  # of the same size: the memory stays where it is
    assert emb.embeddings.shape == (3, 2)
    assert one_row_gradient(emb, 2).shape == (3, 2)
    np.testing.assert_array_equal(one_row_gradient(emb, 2).to_dense(), [[0, 0], [0, 0], [1, 1]])


def test_a_memory_map(tmp_path):
    path = tmp_path / "matrix.npy"
    np.save(path, MATRIX)
    emb = pe.Embedding.from_pretrained(np.load(path, mmap_mode="r"))
    np.testing.assert_array_equal(emb([2, 0]), MATRIX[[2, 0]])
    assert type(emb.embeddings) is np.ndarray
    with pytest.raises(ValueError, match="read-only"):
        pe.Embedding.from_pretrained(np.load(path, mmap_mode="r"), trainable=True)

    file = np.load(path, mmap_mode="r+")
    emb = pe.Embedding.from_pretrained(file, trainable=True)
    pe.SparseSGD(emb, 0.5).step(one_row_gradient(emb, 1))
    file.flush()
    np.testing.assert_array_equal(np.load(path), [[0, 1], [1.5, 2.5], [4, 5]])
